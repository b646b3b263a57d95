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
from poolkit.records import Purpose, Signal, Sizing, Trial, Verification

OVERLOAD = 1.2  # times the target rate
ENOUGH_REUSE = 0.9
LEAST_CALLS = 2000  # a p99 of fewer calls rests on a handful of waits
LEAST_SECONDS = 5.0
MOST_SECONDS = 12.0
OVERLOAD_SECONDS = 2.5
CALM_SECONDS = 2.0  # of half the target rate after the overload
SETTLED = 0.5  # share of the calm after which the overload's queue should be gone
CROWD = 4  # callers for each connection
CROWD_SECONDS = 1.2
WARM_UP = 1.0  # s: an open loop starts with an empty queue and an empty pool
GRACEFUL = 0.85  # share of the expected throughput that is still no collapse
MOST_GROWTH = 4  # sizes tried beyond the predicted one


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """One trial of a size in service: `pools` side by side, each of `pool_size` connections.

    An open loop of `rate` calls/s, for an overload followed by `calm` s of half the target rate;
    or, where `callers` is given, a closed loop of so many per pool. `gated` says whether the
    target's gate stands in front of each pool.
    """

    purpose: Purpose
    pool_size: int
    pools: int
    warm_up: float
    seconds: float
    because: str
    rate: float | None = None
    calm: float = 0.0
    callers: int | None = None
    gated: bool = True


def next_trial(
    trials: Sequence[Trial],
    objective: Objective,
    sizing: Sizing,
    *,
    most: int,
    left: float,
    gate: bool = False,
) -> VerifyPlan | None:
    """The verification to run now, or None when it is finished.

    `trials` are the open-loop trials so far, `most` is the largest size that one pool may have, and
    `left` the seconds of load that may still be spent; the predicted size is verified in any case.
    `gate`: whether the target has a gate, whose effect is then shown.
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
        return VerifyPlan(
            "verify",
            untried,
            objective.pools_left,
            WARM_UP,
            WARM_UP + seconds,
            because,
            rate=objective.target_rate,
        )
    chosen = chosen_size(trials, objective, sizing)
    if latest(trials, chosen, "overload") is None:
        return VerifyPlan(
            "overload",
            chosen,
            objective.pools_left,
            WARM_UP,
            WARM_UP + OVERLOAD_SECONDS + CALM_SECONDS,
            f"verify: {chosen} connections at {OVERLOAD:g} times the target rate, then half",
            rate=OVERLOAD * objective.target_rate,
            calm=CALM_SECONDS,
        )
    return _next_of_gate(trials, chosen) if gate else None


def calm_rate(overload_rate: float) -> float:
    """Half the target rate, from the rate of the overload before it (calls/s)."""
    return overload_rate / OVERLOAD / 2.0


def _untried(
    trials: Sequence[Trial], objective: Objective, sizing: Sizing, most: int
) -> int | None:
    """The next size to try at the target rate; None when one passed or all were tried."""
    assert sizing.size is not None
    for size in range(sizing.size, max(sizing.size, min(most, sizing.size + MOST_GROWTH)) + 1):
        at_target = latest(trials, size, "verify")
        if at_target is None:
            return size
        if meets(at_target, objective):
            return None
    return None


def _next_of_gate(trials: Sequence[Trial], chosen: int) -> VerifyPlan | None:
    """More callers than connections, without the gate and with it."""
    gates = {
        t.gate is not None for t in trials if t.purpose == "fairness" and t.pool_size == chosen
    }
    for gated in (False, True):
        if gated not in gates:
            return VerifyPlan(
                "fairness",
                chosen,
                1,
                # Without a warm-up: those who starve began at once and are not to be cut off.
                0.0,
                CROWD_SECONDS,
                f"verify: {CROWD} callers for each of {chosen} connections, "
                f"{'with' if gated else 'without'} the gate",
                callers=CROWD * chosen,
                gated=gated,
            )
    return None


def chosen_size(trials: Sequence[Trial], objective: Objective, sizing: Sizing) -> int:
    """The size to recommend: the first that passed, else the one that came closest."""
    if sizing.size is None:
        raise ValueError("nothing to verify: the sizing has no size")
    tried = [t for t in trials if t.purpose == "verify"]
    passed = [t.pool_size for t in tried if meets(t, objective)]
    if passed:
        return min(passed)
    closest = min(tried, key=lambda t: failed_share(t, objective.wait_p99), default=None)
    return sizing.size if closest is None else closest.pool_size


def latest(trials: Sequence[Trial], pool_size: int, purpose: Purpose) -> Trial | None:
    """The latest trial of a size and purpose: a resumed run may hold several."""
    for trial in reversed(trials):
        if trial.purpose == purpose and trial.pool_size == pool_size:
            return trial
    return None


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
    trials: Sequence[Trial], pool_size: int, objective: Objective, sizing: Sizing
) -> Verification | None:
    """The signs of a right size, from its trials; None before it ran at the target rate."""
    at_target = latest(trials, pool_size, "verify")
    if at_target is None:
        return None
    above = latest(trials, pool_size, "overload")
    after = latest(trials, pool_size, "recovery")
    signals = [_wait_near_zero(at_target, objective)]
    if above is not None:
        signals.append(_graceful(above, sizing))
    if after is not None:
        signals.append(_recovers(after, objective))
    seen = [trial for trial in (at_target, above, after) if trial is not None]
    signals += [_no_disconnects(seen), _reuse(at_target)]
    if objective.response_p99 is not None:
        signals.append(_response_in_time(at_target, objective))
    return Verification(
        achieved_rate=at_target.throughput,
        wait_p99=at_target.wait_time.p99,
        reuse_ratio=at_target.reuse_ratio,
        disconnects=sum(trial.disconnects for trial in seen),
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


def _recovers(trial: Trial, objective: Objective) -> Signal:
    """After an overload the queue drains, and at half the target rate nobody waits any more."""
    share = failed_share(trial, objective.wait_p99)
    return Signal(
        name="recovers",
        passed=share <= objective.allowance,
        seen=f"a moment after the overload, at {trial.arrival_rate or 0.0:.0f} calls/s, "
        f"{share:.2%} waited longer than {objective.wait_p99 * 1e3:g} ms",
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
