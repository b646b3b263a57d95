"""What each generator of a fleet had of a trial, and whether each did its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poolkit import units
from poolkit.analysis.checks import HARMLESS, check, evenness
from poolkit.analysis.state_curve import OF_THE_CLIENT
from poolkit.analysis.summary import summarise
from poolkit.load.together import Part
from poolkit.records import Check, GeneratorShare, Trial

SHARE_TOLERANCE = 0.02  # of what a generator was to send
# A replica's p99 wait over the mean of the others' p99: near the target it is twice that by chance.
FAR_LONGER = 3.0
EVEN = 0.98  # Jain's index of what pools carried: of two the one has three quarters of the other's
_EACH = OF_THE_CLIENT | {"littles_law"}  # checks that hold for each, not only for the whole


def of_generators(trial: Trial, parts: Mapping[str, Part], *, calm: bool = False) -> Trial:
    """The trial of a fleet with what each generator did; a check that one fails fails for all.

    Args:
        calm: the load was lower at the end, so that no rate holds for the whole of it.
    """
    if not parts:
        return trial
    each = {name: _alone(part, trial) for name, part in parts.items()}
    found = tuple(_share(name, parts[name], alone) for name, alone in each.items())
    checks = [_worst(one, each) for one in trial.checks]
    if trial.loop == "open" and not calm and trial.stopped is None:
        checks.append(_sent(found))
        if len(found) > 1 and trial.purpose == "verify":
            checks.append(replicas_alike(found, trial.mean_hold))
    return trial.model_copy(update={"generators": found, "checks": tuple(checks)})


def _alone(part: Part, trial: Trial) -> Trial:
    return summarise(
        part.measurement,
        target=trial.target,
        driver=trial.driver,
        fingerprint=trial.fingerprint,
        purpose=trial.purpose,
        pools=part.pools,
        gate=trial.gate,
    )


def _share(name: str, part: Part, alone: Trial) -> GeneratorShare:
    planned = part.measurement.arrival_rate
    return GeneratorShare(
        name=name,
        pools=alone.pools,
        pool_size=alone.pool_size,
        planned=planned,
        sent=sum(alone.outcomes.values()) / alone.window,
        throughput=alone.throughput,
        wait_p99=alone.wait_time.p99,
        lag_p99=alone.lag.p99,
        cpu_share=alone.cpu_share,
        loop_lag_p99=alone.loop_lag_p99,
        skew=part.skew,
    )


def _worst(whole: Check, each: Mapping[str, Trial]) -> Check:
    """The check of the whole, or the first generator's that did not pass it."""
    if whole.name not in _EACH or not whole.passed:
        return whole
    for name, trial in each.items():
        for failed in trial.failed_checks:
            if failed.name == whole.name:
                return failed.model_copy(update={"seen": f"{name}: {failed.seen}"})
    return whole


def replicas_alike(found: Sequence[GeneratorShare], hold: float) -> Check:
    """Whether two or more replicas carried as much with each pool, and none waited far longer.

    Args:
        hold: mean hold time (s): waits below a few of it do no harm.
    """
    waits = {one.name: one.wait_p99 or 0.0 for one in found}
    carried = [one.throughput / one.pools for one in found]
    even = evenness((rate, 1) for rate in carried) or 0.0
    index = evenness((wait, 1) for wait in waits.values())
    slowest = max(waits, key=waits.__getitem__)
    others = (sum(waits.values()) - waits[slowest]) / (len(waits) - 1)
    is_slow = waits[slowest] > max(HARMLESS, 5.0 * hold, FAR_LONGER * others)
    seen = (
        f"p99 waits of {len(found)} replicas {units.milliseconds(min(waits.values()))} to "
        f"{units.milliseconds(waits[slowest])}"
    )
    if index is not None:
        seen += f" (Jain's index {index:.2f}, 1: all alike)"
    if is_slow:
        seen += f", the longest that of {slowest}, the others' mean {units.milliseconds(others)}"
    seen += (
        f"; {units.number(min(carried))} to {units.number(max(carried))} calls/s for each pool "
        f"(index {even:.2f})"
    )
    return check("replicas_alike", not is_slow and even >= EVEN, seen)


def _sent(found: Sequence[GeneratorShare]) -> Check:
    off = {one.name: one.sent / one.planned - 1.0 for one in found if one.planned}
    name = max(off, key=lambda name: abs(off[name]))
    seen = f"{name} sent {off[name]:+.1%} of what was planned for it, the others were closer"
    return check("shares", abs(off[name]) <= SHARE_TOLERANCE, seen)
