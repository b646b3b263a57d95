"""Which trial tells most of the limit at which a server turns calls away: a pure decision.

Between the largest size that was not refused and the smallest one that was, the search bisects to
one connection: with a caller for each connection, whose clean trials are points of the curve as
well; where load must not go beyond the target rate with a paced trial instead (see
`analysis.limits`), that many calls at a time and few per second. Then the last clean size is tried
once more if nothing after the first refusal did, since limits change; and a paced trial at the
refused size tells a limit on calls at once from a quota, whose rate is measured then.

A server that turns calls away is asked little: all trials that are refused take 2 s together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.limits import (
    STEADY_CALLS,
    Bracket,
    bracket,
    counted,
    first_in_use,
    is_paced,
    limit_kind,
    steady,
    turned_away,
)
from poolkit.analysis.limits import limits as limits_of
from poolkit.measure.sweep import WARM_UP, WINDOW, WINDOW_HOLDS, SweepLimits, TrialPlan
from poolkit.records import Trial
from poolkit.targets.objective import Objective

REFUSED_SECONDS = 2.0  # of load on a server that turns calls away, over the whole search
LEAST_SECONDS = 0.3  # of a trial that says anything
MOST_TRIALS = 16
REFUSED_WINDOW, REFUSED_HOLDS = 0.4, 4.0  # s, and mean hold times, of one to be refused
PACED_CALLS = 40
PACED_TIMES = 5  # that so many calls at a time come at least, and once more before the window
APART = 1.5  # p99 hold times between them, so that all are over before the next
PACED_SHARE = 0.5  # of the rate that was carried
ABOVE = 1.15  # times the rate that is served, to meet a quota
WORTH_A_TRIAL = 1.02


def next_trial(
    trials: Sequence[Trial], objective: Objective, limits: SweepLimits, *, left: float
) -> TrialPlan | None:
    """The trial to run now; None where no limit was met, it is known, or nothing may be sent.

    Args:
        trials: all of the target, of any purpose, in order.
        left: s of load that may still be spent.
    """
    seen = bracket(trials)
    away = turned_away(trials)
    searched = [trial for trial in trials if trial.purpose == "limit"]
    refused_left = REFUSED_SECONDS - refused_seconds(trials)
    seconds = min(left, refused_left)
    if not away or limits.sizes is not None or len(searched) >= MOST_TRIALS:
        return None
    if seconds < LEAST_SECONDS or not any(trial.outcomes.get("ok") for trial in trials):
        return None
    kind = counted(trials)
    if kind == "rate":
        return _rate(trials, away, objective, seconds)
    if seen.refused is None:
        return None
    size = _next_size(trials, seen, objective)
    if size is not None:
        because = f"limit: is {units.plural(size, 'call')} at once still taken?"
        if seen.refused - seen.clean > 1:
            because = f"limit: calls are refused with {seen.refused} at once"
            if seen.clean:
                because += f", not with {seen.clean}"
        if not objective.push:
            return _paced(trials, size, objective, seconds, because)
        return _closed(trials, size, seconds, because)
    if kind is None and limit_kind(trials) != "connections":
        because = "limit: as many calls at a time, but at half the rate"
        tried = {trial.connections for trial in trials if is_paced(trial)}
        size = next((n for n in (seen.refused, seen.clean) if n and n not in tried), None)
        return None if size is None else _paced(trials, size, objective, seconds, because)
    return None


def _closed(trials: Sequence[Trial], size: int, seconds: float, because: str) -> TrialPlan | None:
    """A caller for each connection, as long as a trial of the curve where there is time.

    Shorter where refusals are to be expected: the server is asked little, and they show at once.
    """
    if sum(t.purpose == "limit" and t.is_of_curve and t.connections == size for t in trials) > 1:
        return None  # calls so slow that no trial tells
    hold = max((trial.mean_hold for trial in trials if trial.stopped is None), default=0.0)
    warm_up = max(WARM_UP, 3.0 * hold)
    window = max(WINDOW, WINDOW_HOLDS * hold)
    if any(size >= guess for guess in _guesses(trials)):
        window = max(REFUSED_WINDOW, REFUSED_HOLDS * hold)
    whole = min(warm_up + window, seconds)
    return TrialPlan(
        "limit", size, min(warm_up, whole / 4), whole, because, callers=size, gated=False
    )


def refused_seconds(trials: Sequence[Trial]) -> float:
    """Seconds of load of the search in which the server turned calls away."""
    return sum(t.warm_up + t.window for t in turned_away(trials) if t.purpose == "limit")


def _next_size(trials: Sequence[Trial], seen: Bracket, objective: Objective) -> int | None:
    """The size to try, clean or refused; None: the limit is known to one connection."""
    assert seen.refused is not None
    low, high = seen.clean, seen.refused
    if high - low <= 1:
        # Where load may not be pushed the refused size itself may be what one trial guessed.
        if not objective.push and not _was_tried(trials, high):
            return high
        return low if low and not seen.is_confirmed else None
    for guess in sorted({n + step for n in _guesses(trials) for step in (-1, 0)}, reverse=True):
        if low < guess < high:
            return guess
    return (low + high) // 2


def _guesses(trials: Sequence[Trial]) -> set[int]:
    """With how many connections in use refusals began, as trials at larger sizes saw it."""
    found = (first_in_use(trial) for trial in turned_away(trials))
    return {first for first in found if first is not None}


def _was_tried(trials: Sequence[Trial], size: int) -> bool:
    return any(t.connections == size and (t.is_of_curve or is_paced(t)) for t in trials)


def _paced(
    trials: Sequence[Trial], size: int, objective: Objective, seconds: float, because: str
) -> TrialPlan | None:
    """`size` calls at a time, at half the rate that was carried or less."""
    served = [trial for trial in trials if trial.throughput > 0]
    carried = max((trial.throughput for trial in served), default=objective.rate)
    rate = PACED_SHARE * (carried if objective.push else min(carried, objective.rate))
    holds = [t.hold_time.p99 or 0.0 for t in served if t.stopped is None]
    apart = max(size / rate, APART * max(holds, default=0.0))
    times = max(PACED_TIMES, math.ceil(PACED_CALLS / size))
    times = min(times, int(seconds / apart) - 1)
    if times < 2:
        return None
    whole = (times + 1) * apart
    return TrialPlan(
        "limit", size, apart, whole, because, rate=size / apart, at_a_time=size, gated=False
    )


def _rate(
    trials: Sequence[Trial], away: Sequence[Trial], objective: Objective, seconds: float
) -> TrialPlan | None:
    """Evenly spaced calls a little above the quota, as far as it is known; None: known.

    At so little above it the brakes leave some time between the last call that a bucket had saved
    up and the stop, and the calls served then come at the quota's rate.
    """
    served, _ = steady(away)
    if served >= STEADY_CALLS:
        return None
    limit = next(iter(limits_of(trials)), None)
    if limit is None:
        return None
    size, known = max(t.connections for t in away), limit.value
    rate = ABOVE * known if objective.push else min(ABOVE * known, objective.rate)
    if rate < WORTH_A_TRIAL * known:
        return None
    because = f"limit: {units.rate(known)} are served, is {units.rate(rate)}?"
    return TrialPlan("limit", size, 0.0, seconds, because, rate=rate, at_a_time=1, gated=False)
