"""Which pool size to measure next: a pure decision over the trials so far.

A ramp doubles the size from 1 until throughput stops rising. Then the sizes are refined where the
answer is decided: around the knee, and next to the size that the target needs. Whatever budget is
left repeats the sizes that matter most, in shuffled order, since repeats (not longer trials) tell
how much a size differs between runs.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from poolkit.analysis.drift import sentinel_size
from poolkit.analysis.objective import Objective
from poolkit.analysis.sizing import size
from poolkit.records import Purpose, Sizing, Sweep, Trial

STILL_RISING = 1.05  # throughput must rise by this factor per doubling for the ramp to go on
NEARLY_DOUBLES = 1.7  # throughput over that of half the size: the upstream still works in parallel
WARM_UP = 0.25  # s
WINDOW = 1.2  # s
FIRST_WINDOW = 2.0  # s at one connection, where calls are few and the knee hangs on their time
WINDOW_HOLDS = 33.0  # shortest window in mean hold times: ten valid batches, and some to spare
MOST_REPEATS = 4
NARROW = 0.02  # half width of the throughput's interval over its mean: enough is known


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """What the sweep may spend.

    Attributes:
        max_size: largest pool to try, 1 or more.
        budget: s of load in all.
        sizes: measure just these (ascending), None to choose.
        seed: of the shuffling.
    """

    max_size: int
    budget: float
    sizes: tuple[int, ...] | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One closed-loop trial to run next; `seconds` is its longest duration, warm-up included."""

    pool_size: int
    purpose: Purpose
    warm_up: float
    seconds: float
    because: str


def spent(trials: Sequence[Trial]) -> float:
    """Seconds of load that these trials took."""
    return sum(trial.warm_up + trial.window for trial in trials)


def next_trial(
    trials: Sequence[Trial], objective: Objective, limits: SweepLimits
) -> TrialPlan | None:
    """The trial to run now, or None when enough is known or the budget is spent.

    `trials` are the closed-loop trials so far, in order, unusable ones included.
    """
    if any(trial.purpose == "sentinel" for trial in trials):
        return None
    left = limits.budget - spent(trials)
    sentinel = _sentinel(trials, left)
    # The sentinel's time is kept back from the start: it is measured last.
    left -= 0.0 if sentinel is None else sentinel.seconds
    measured = Counter(trial.pool_size for trial in trials)
    if limits.sizes is not None:
        return _fixed(measured, trials, limits, left) or sentinel
    ramp = _next_in_ramp(trials, limits.max_size)
    if ramp is not None:
        because = "ramp: first look" if ramp == 1 else "ramp: throughput still rises"
        return _plan(ramp, "ramp", because, trials, left)
    sizing = size(Sweep(target="", trials=tuple(trials)), objective)
    wanted = [n for n in refinements(sizing, limits.max_size) if n not in measured]
    if wanted:
        # The answer first; the others in shuffled order, so that no drift looks like a slope.
        shuffled = random.Random(limits.seed + len(trials)).choice(wanted)
        chosen = sizing.size if sizing.size in wanted else shuffled
        return _plan(chosen, "refine", _why(chosen, sizing), trials, left) or sentinel
    return _repeat(sizing, measured, trials, limits, left) or sentinel


def _sentinel(trials: Sequence[Trial], left: float) -> TrialPlan | None:
    """The last trial of a sweep: an early size again, to see whether the endpoint changed."""
    chosen = sentinel_size(trials)
    if chosen is None:
        return None
    because = "sentinel: the same size again, to see whether the endpoint changed"
    return _plan(chosen, "sentinel", because, trials, left)


def _next_in_ramp(trials: Sequence[Trial], max_size: int) -> int | None:
    """The ramp's next size; None once throughput has stopped rising or max_size is reached."""
    ramp = [trial for trial in trials if trial.purpose == "ramp"]
    if not ramp:
        return 1
    last = ramp[-1]
    if last.pool_size >= max_size:
        return None
    if len(ramp) >= 2 and last.throughput < STILL_RISING * ramp[-2].throughput:
        return None
    # A last step that is hardly larger than the one before would say little about rising.
    doubled = last.pool_size * 2
    return max_size if doubled > max_size * 0.75 else doubled


def refinements(sizing: Sizing, max_size: int) -> tuple[int, ...]:
    """The sizes worth measuring beside the ramp: around the knee and next to the needed size."""
    wanted: set[int] = set()
    knee = next((k.size for k in sizing.knees if k.rule == "littles_law" and k.size), None)
    if knee is not None:
        wanted |= {round(knee * factor) for factor in (0.75, 1.0, 1.4)}
    if sizing.size is not None:
        wanted |= {sizing.size, round(sizing.size * 0.85), math.ceil(sizing.size * 1.15)}
    largest = max((point.pool_size for point in sizing.points), default=1)
    inside = {n for n in wanted if 1 <= n <= min(max_size, largest)}
    return tuple(sorted(inside | ({sizing.size} if sizing.size is not None else set())))


def _why(chosen: int, sizing: Sizing) -> str:
    if sizing.size is not None and abs(chosen - sizing.size) <= 0.2 * sizing.size:
        return f"refine: next to the size that the target needs (about {sizing.size})"
    return "refine: around the knee"


def _repeat(
    sizing: Sizing,
    measured: Counter[int],
    trials: Sequence[Trial],
    limits: SweepLimits,
    left: float,
) -> TrialPlan | None:
    """Repeat the size that decides most and was measured least."""
    largest = max(measured)
    matters = {1, largest, *refinements(sizing, limits.max_size)}
    saturated = [p.pool_size for p in sizing.points if _is_saturated(p.throughput, sizing)]
    matters |= set(saturated[:2])
    open_sizes = [n for n in matters if n in measured and measured[n] < MOST_REPEATS]
    if not open_sizes:
        return None
    fewest = min(measured[n] for n in open_sizes)
    chosen = random.Random(limits.seed + len(trials)).choice(
        sorted(n for n in open_sizes if measured[n] == fewest)
    )
    return _plan(chosen, "repeat", "repeat: how much this size differs between runs", trials, left)


def _is_saturated(throughput: float, sizing: Sizing) -> bool:
    return sizing.plateau is not None and throughput >= 0.95 * sizing.plateau.throughput


def _fixed(
    measured: Counter[int], trials: Sequence[Trial], limits: SweepLimits, left: float
) -> TrialPlan | None:
    """The sizes that the user named: once each in order, then repeats in shuffled order."""
    sizes = sorted(set(limits.sizes or ()))
    for n in sizes:
        if not measured[n]:
            return _plan(n, "ramp", "asked for", trials, left)
    fewest = min(measured[n] for n in sizes)
    if fewest >= MOST_REPEATS:
        return None
    rest = [n for n in sizes if measured[n] == fewest]
    chosen = random.Random(limits.seed + len(trials)).choice(rest)
    return _plan(chosen, "repeat", "asked for: repeat", trials, left)


def _plan(
    pool_size: int, purpose: Purpose, because: str, trials: Sequence[Trial], left: float
) -> TrialPlan | None:
    """A trial long enough for the target's own hold time, or None when the budget is spent."""
    hold = _expected_hold(trials, pool_size)
    warm_up = max(WARM_UP, 3.0 * hold)
    window = max(FIRST_WINDOW if pool_size == 1 else WINDOW, WINDOW_HOLDS * hold)
    seconds = warm_up + window
    # The ramp may use a whole budget up; anything after it must fit into what is left.
    if left <= 0 or (purpose != "ramp" and seconds > left):
        return None
    return TrialPlan(pool_size, purpose, warm_up, seconds, because)


def _expected_hold(trials: Sequence[Trial], pool_size: int) -> float:
    """Mean hold time (s) to expect at a size; 0 before the first trial.

    Where throughput still rose nearly as much as the size did, the shortest hold time seen; else
    what the best throughput so far leaves for this many callers, n / X, as beyond the plateau.
    """
    held = [trial.hold_time.mean for trial in trials if trial.hold_time.mean]
    best = max((trial.throughput for trial in trials), default=0.0)
    if not held or best <= 0:
        return 0.0
    largest = max(trials, key=lambda trial: trial.pool_size)
    halved = [t.throughput for t in trials if t.pool_size == largest.pool_size // 2]
    still_rises = not halved or largest.throughput >= NEARLY_DOUBLES * max(halved)
    if pool_size < largest.pool_size / 2 or (still_rises and pool_size > largest.pool_size):
        return min(held)
    return max(min(held), pool_size / best)
