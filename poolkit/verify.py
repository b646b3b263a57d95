"""Does the size hold? Open-loop load at the target rate and above it, and the signs it shows.

Prediction narrows the search, measurement decides: a size that fails grows by one until one passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from poolkit.analysis.curve import Curve
from poolkit.analysis.objective import Objective
from poolkit.histogram import share_above
from poolkit.records import Signal, Sizing, Trial, Verification

OVERLOAD = 1.2  # times the target rate
ENOUGH_REUSE = 0.9
LEAST_CALLS = 2000  # a p99 of fewer calls rests on a handful of waits
LEAST_SECONDS = 5.0
MOST_SECONDS = 12.0
OVERLOAD_SECONDS = 2.5
WARM_UP = 1.0  # s: an open loop starts with an empty queue and an empty pool
GRACEFUL = 0.85  # share of the expected throughput that is still no collapse
MOST_GROWTH = 4  # sizes tried beyond the predicted one


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """One open-loop trial: `rate` calls/s over all `pools`, each of `pool_size` connections."""

    pool_size: int
    pools: int
    rate: float
    warm_up: float
    seconds: float
    because: str


def next_trial(
    trials: Sequence[Trial], objective: Objective, sizing: Sizing, *, most: int, left: float
) -> VerifyPlan | None:
    """The verification to run now, or None when it is finished.

    `trials` are the open-loop trials so far, `most` is the largest size that one pool may have, and
    `left` the seconds of load that may still be spent; the predicted size is verified in any case.
    """
    if sizing.size is None:
        return None
    seconds = min(MOST_SECONDS, max(LEAST_SECONDS, LEAST_CALLS / objective.target_rate))
    untried = _untried(trials, objective, sizing, most)
    if untried is not None and (untried == sizing.size or left >= WARM_UP + seconds):
        because = (
            f"verify: {untried} connections at the target rate"
            if untried == sizing.size
            else f"verify: {untried - 1} waited too long, one connection more"
        )
        return _plan(untried, objective, objective.target_rate, seconds, because)
    chosen = chosen_size(trials, objective, sizing)
    if trials_of(trials, chosen, objective)[1] is None:
        rate = OVERLOAD * objective.target_rate
        because = f"verify: {chosen} connections at {OVERLOAD:g} times the target rate"
        return _plan(chosen, objective, rate, OVERLOAD_SECONDS, because)
    return None


def _untried(
    trials: Sequence[Trial], objective: Objective, sizing: Sizing, most: int
) -> int | None:
    """The next size to try at the target rate; None when one passed or all were tried."""
    assert sizing.size is not None
    for size in range(sizing.size, max(sizing.size, min(most, sizing.size + MOST_GROWTH)) + 1):
        at_target, _ = trials_of(trials, size, objective)
        if at_target is None:
            return size
        if meets(at_target, objective):
            return None
    return None


def _plan(
    pool_size: int, objective: Objective, rate: float, seconds: float, because: str
) -> VerifyPlan:
    return VerifyPlan(pool_size, objective.pools_left, rate, WARM_UP, WARM_UP + seconds, because)


def chosen_size(trials: Sequence[Trial], objective: Objective, sizing: Sizing) -> int:
    """The size to recommend: the first that passed, else the one that came closest."""
    if sizing.size is None:
        raise ValueError("nothing to verify: the sizing has no size")
    tried = [t for t in trials if t.loop == "open" and not _is_overload(t, objective)]
    passed = [t.pool_size for t in tried if meets(t, objective)]
    if passed:
        return min(passed)
    closest = min(tried, key=lambda t: failed_share(t, objective.wait_p99), default=None)
    return sizing.size if closest is None else closest.pool_size


def trials_of(
    trials: Sequence[Trial], pool_size: int, objective: Objective
) -> tuple[Trial | None, Trial | None]:
    """The latest trial of a size at the target rate, and the latest above it."""
    at_target = above = None
    for trial in trials:
        if trial.loop == "open" and trial.pool_size == pool_size:
            if _is_overload(trial, objective):
                above = trial
            else:
                at_target = trial
    return at_target, above


def _is_overload(trial: Trial, objective: Objective) -> bool:
    return (trial.arrival_rate or 0.0) > 1.1 * objective.target_rate


def failed_share(trial: Trial, wait_target: float) -> float:
    """The share (0 to 1) of calls that waited longer than `wait_target` (s), or never got through.

    A call that gave up waiting or was still waiting at the end has no wait_time; it counts as too
    long.
    """
    lost = trial.outcomes.get("pool_timeout", 0) + trial.outcomes.get("unfinished", 0)
    seen = trial.wait_time.count
    if seen + lost == 0:
        return 1.0
    late = share_above(trial.wait_time.buckets, wait_target) * seen if seen else 0.0
    return (late + lost) / (seen + lost)


def meets(trial: Trial, objective: Objective) -> bool:
    """Whether an open-loop trial at the target rate met what was asked of waits and responses."""
    if failed_share(trial, objective.wait_p99) > objective.allowance:
        return False
    return objective.response_p99 is None or _response_share(trial, objective) <= 0.01


def _response_share(trial: Trial, objective: Objective) -> float:
    assert objective.response_p99 is not None
    if trial.response_time.count == 0:
        return 1.0
    return share_above(trial.response_time.buckets, objective.response_p99)


def verification(
    at_target: Trial, above: Trial | None, objective: Objective, sizing: Sizing
) -> Verification:
    """The signs of a right size, from the trials at and above the target rate."""
    signals = [_wait_near_zero(at_target, objective)]
    if above is not None:
        signals.append(_graceful(above, sizing))
    both = [trial for trial in (at_target, above) if trial is not None]
    signals += [_no_disconnects(both), _reuse(at_target)]
    if objective.response_p99 is not None:
        signals.append(_response_in_time(at_target, objective))
    return Verification(
        achieved_rate=at_target.throughput,
        wait_p99=at_target.wait_time.p99,
        reuse_ratio=at_target.reuse_ratio,
        disconnects=sum(trial.disconnects for trial in both),
        signals=tuple(signals),
    )


def _wait_near_zero(trial: Trial, objective: Objective) -> Signal:
    share = failed_share(trial, objective.wait_p99)
    reached = trial.throughput >= 0.95 * (trial.arrival_rate or math.inf)
    wait = trial.wait_time.p99
    p99 = "unknown" if wait is None else f"{wait * 1e3:.1f} ms"
    return Signal(
        name="wait_near_zero",
        passed=reached and share <= objective.allowance,
        seen=f"{trial.throughput:.0f} of {trial.arrival_rate:.0f} calls/s, wait p99 {p99}, "
        f"{share:.2%} waited longer than {objective.wait_p99 * 1e3:g} ms",
    )


def _graceful(trial: Trial, sizing: Sizing) -> Signal:
    """Offered more than the target, the pool carries that or what the curve says it can."""
    offered = trial.arrival_rate or 0.0
    curve = Curve.fit(sizing.points)
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


def _no_disconnects(trials: Sequence[Trial]) -> Signal:
    seen = sum(trial.disconnects for trial in trials)
    kinds = sum(trial.error_kinds.get("disconnected", 0) for trial in trials)
    return Signal(
        name="no_disconnects",
        passed=seen == 0 and kinds == 0,
        seen=f"{max(seen, kinds)} calls met a connection that the server had closed",
    )


def _reuse(trial: Trial) -> Signal:
    ratio = trial.reuse_ratio
    return Signal(
        name="reuse_above_0.9",
        passed=ratio is not None and ratio > ENOUGH_REUSE,
        seen="no call" if ratio is None else f"{ratio:.1%} of the calls found a kept connection",
    )


def _response_in_time(trial: Trial, objective: Objective) -> Signal:
    assert objective.response_p99 is not None
    share = _response_share(trial, objective)
    return Signal(
        name="response_in_time",
        passed=share <= 0.01,
        seen=f"{share:.2%} took longer than {objective.response_p99 * 1e3:g} ms from due to done",
    )
