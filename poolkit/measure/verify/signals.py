"""The signs of a right size, from the trials of one size in service."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.state_curve import curve_of
from poolkit.histogram import quantile
from poolkit.measure.verify.as_soon import served_as_soon
from poolkit.measure.verify.evidence import (
    LEAST_CALLS,
    RESPONSE_ALLOWANCE,
    answers_late,
    failed_share,
    latest,
    of_size,
    p99_interval,
    pooled_share,
)
from poolkit.records import Signal, Sizing, Trial, Verification
from poolkit.targets.objective import Objective

ENOUGH_REUSE = 0.9
REACHED = 0.95  # of the planned rate: less was carried, so waits of the rest say nothing
GRACEFUL = 0.85  # share of the expected throughput that is still no collapse


def verification(
    trials: Sequence[Trial], pool_size: int, objective: Objective, sizing: Sizing
) -> Verification | None:
    """The signs of a right size, from its trials; None before it ran at the target rate."""
    at_target = of_size(trials, pool_size, "verify")
    if not at_target:
        return None
    above = latest(trials, pool_size, "overload")
    after = latest(trials, pool_size, "recovery")
    shown = [*at_target, *filter(None, (above, after))]
    disconnects = sum(trial.disconnects for trial in shown)
    met = max(disconnects, sum(trial.error_kinds.get("disconnected", 0) for trial in shown))
    reuse = at_target[-1].reuse_ratio
    signals = [_wait_near_zero(at_target, objective)]
    if above is not None:
        signals.append(_graceful(above, sizing))
    if after is not None:
        signals.append(_recovers(after, objective))
    signals += [
        Signal(
            name="no_disconnects",
            passed=met == 0,
            seen=f"{met} calls met a connection that the server had closed",
        ),
        Signal(
            name="reuse_above_0.9",
            passed=reuse is not None and reuse > ENOUGH_REUSE,
            seen="no call"
            if reuse is None
            else f"{reuse:.1%} of the calls found a kept connection",
        ),
    ]
    if objective.response_p99 is not None:
        share = answers_late(at_target, objective)
        limit = f"{objective.response_p99 * 1e3:g} ms"
        signals.append(
            Signal(
                name="response_in_time",
                passed=share <= RESPONSE_ALLOWANCE,
                seen=f"{share:.2%} took longer than {limit} from due to done",
            )
        )
    elif objective.asks_as_soon:
        served = served_as_soon(trials, pool_size, objective, sizing)
        signals.append(Signal(name="response_in_time", passed=served.passed, seen=served.seen))
    return Verification(
        achieved_rate=at_target[-1].throughput,
        wait_p99=_p99(at_target),
        wait_p99_interval95=p99_interval(at_target, objective, _busy(at_target, sizing)),
        reuse_ratio=reuse,
        disconnects=disconnects,
        signals=tuple(signals),
    )


def _busy(trials: Sequence[Trial], sizing: Sizing) -> float:
    """The utilisation of the pool, or of what serves the calls where that is the busier."""
    rate = max(trial.throughput for trial in trials)
    most = None if sizing.plateau is None else sizing.plateau.throughput
    return max(rate / most if most else 0.0, *(trial.utilisation for trial in trials))


def _p99(trials: Sequence[Trial]) -> float | None:
    """The p99 (s) of the waits of several trials together; None where no call got a connection."""
    buckets: Counter[int] = Counter()
    for trial in trials:
        buckets.update(trial.wait_time.buckets)
    return quantile(buckets, 0.99) if buckets else None


def _wait_near_zero(trials: Sequence[Trial], objective: Objective) -> Signal:
    share = pooled_share(trials, objective.wait_p99)
    wait = _p99(trials)
    p99 = "unknown" if wait is None else f"{wait * 1e3:.1f} ms"
    repeats = f" ({len(trials)} trials)" if len(trials) > 1 else ""
    calls = sum(trial.wait_time.count for trial in trials)
    if calls < LEAST_CALLS:
        repeats += f"; {units.plural(calls, 'call')} only, so the p99 rests on a handful of waits"
    carried = all(t.throughput >= REACHED * (t.arrival_rate or math.inf) for t in trials)
    return Signal(
        name="wait_near_zero",
        passed=carried and share <= objective.allowance,
        seen=f"{trials[-1].throughput:.0f} of {trials[-1].arrival_rate:.0f} calls/s, "
        f"wait p99 {p99}, {_late(share, objective)}{repeats}",
    )


def _late(share: float, objective: Objective) -> str:
    if objective.wait_p99 is None:
        return f"{share:.2%} never got a connection"
    return f"{share:.2%} waited longer than {objective.wait_p99 * 1e3:g} ms"


def _graceful(trial: Trial, sizing: Sizing) -> Signal:
    """Offered more than the target, the pool carries that or what the curve says it can."""
    offered = trial.arrival_rate or 0.0
    curve = curve_of(sizing)
    connections = min(max(trial.pool_size * trial.pools, curve.smallest), curve.largest)
    expected = min(offered, curve.throughput(connections))
    # Calls still waiting at the end are the overload itself, not a failure.
    calls = max(1, sum(trial.outcomes.values()))
    failed = calls - trial.outcomes.get("ok", 0) - trial.outcomes.get("unfinished", 0)
    return Signal(
        name="graceful_plateau",
        passed=trial.throughput >= GRACEFUL * expected and failed <= 0.01 * calls,
        seen=f"offered {offered:.0f} calls/s, carried {trial.throughput:.0f} "
        f"(the curve says {expected:.0f}), {failed / calls:.1%} failed",
    )


def _recovers(trial: Trial, objective: Objective) -> Signal:
    """After an overload the queue drains, and at half the target rate no call waits any more."""
    share = failed_share(trial, objective.wait_p99)
    return Signal(
        name="recovers",
        passed=share <= objective.allowance,
        seen=f"a moment after the overload, at {trial.arrival_rate or 0.0:.0f} calls/s, "
        f"{_late(share, objective)}",
    )
