"""What each generator of a fleet had of a trial, and whether each did its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poolkit.analysis.checks import check
from poolkit.analysis.state_curve import OF_THE_CLIENT
from poolkit.analysis.summary import summarise
from poolkit.load.together import Part
from poolkit.records import Check, GeneratorShare, Trial

SHARE_TOLERANCE = 0.02  # of what a generator was to send
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


def _sent(found: Sequence[GeneratorShare]) -> Check:
    off = {one.name: one.sent / one.planned - 1.0 for one in found if one.planned}
    name = max(off, key=lambda name: abs(off[name]))
    seen = f"{name} sent {off[name]:+.1%} of what was planned for it, the others were closer"
    return check("shares", abs(off[name]) <= SHARE_TOLERANCE, seen)
