"""Which pool size to measure next: a pure decision over the trials so far.

A trial that something disturbed is measured again first of all (see `analysis.disturbed`).

A ramp doubles the size from 1 until throughput stops rising. One trial that was disturbed looks
like that too: where the end of the ramp comes as a surprise its last size is measured again,
and whenever the trials of any purpose show no plateau after all, the ramp goes on. It never goes on
past a size at which the server turned calls away. Then the sizes are refined where the answer is
decided: around the knee, and next to the size that the target needs. What is left of the
budget repeats the size, of those that matter, whose throughput is known worst, since repeats (not
longer trials) tell how much a size differs between runs. It ends when the knee's interval and the
sizes that the curve's own error leaves open are narrow, or the budget is spent.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolkit.analysis.checks import sentinel_size
from poolkit.analysis.cold import Opening
from poolkit.analysis.curve import is_clean, points, relative_error
from poolkit.analysis.disturbed import to_repeat
from poolkit.analysis.knee import has_plateau
from poolkit.analysis.limits import first_refused
from poolkit.analysis.model import model
from poolkit.analysis.replicas import Change
from poolkit.analysis.sizing import size
from poolkit.records import Purpose, Sizing, Sweep, Trial
from poolkit.targets.objective import Objective

STILL_RISING = 1.05  # throughput must rise by this factor per doubling for the ramp to go on
FALLS = 0.95  # of the throughput at half the size: less is a fall, or a trial that was disturbed
NEARLY_DOUBLES = 1.7  # throughput over that of half the size: the upstream still works in parallel
WARM_UP = 0.25  # s
WINDOW = 1.2  # s
FIRST_WINDOW = 2.0  # s at one connection, where calls are few and the knee hangs on their time
# Shortest window in mean hold times: MSER-5 may cut 0.4 of it off, and ten batches of two are left.
WINDOW_HOLDS = 36.0
MOST_REPEATS = 4
NARROW = 0.02  # half width of the throughput's interval over its mean: enough is known
KNEE_NARROW = 0.03  # the same of the knee's interval
SIZE_NARROW = 0.05  # width of the range of needed sizes over the smallest of them, or one
ERRORS = 2.0  # standard errors of the curve between the ends of that range and the middle
SAME_SIZE = 0.04  # sizes closer than this tell the same of the curve
CLOSER = 0.75  # of the largest size: whether throughput still rises there shows best against this


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """What the sweep may spend."""

    max_size: int  # largest pool to try, 1 or more
    budget: float  # s of load in all
    sizes: tuple[int, ...] | None = None  # measure just these; None: choose
    seed: int = 1  # of the shuffling


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial to run next: a closed loop of `callers`, or an open one of `rate` calls/s."""

    purpose: Purpose
    pool_size: int  # connections of each pool
    warm_up: float
    seconds: float  # longest duration, warm-up included
    because: str
    pools: int = 1  # side by side
    callers: int | None = None
    rate: float | None = None  # None in an open loop too, where its schedule has no one rate
    at_a_time: int | None = None  # calls that are due together, evenly spaced; None: Poisson
    calm: float = 0.0  # s at the end of an overload, at half the target rate
    gated: bool = True  # the target's gate stands in front of each pool
    cold: Opening | None = None  # begins with empty pools, opened like this
    change: Change | None = None  # pools go or come in its midst


Choice = tuple[int, Purpose, str]
"""A pool size, and why it is measured."""


def spent(trials: Sequence[Trial]) -> float:
    """Seconds of load that these trials took."""
    return sum(trial.warm_up + trial.window for trial in trials)


def next_trial(
    trials: Sequence[Trial], objective: Objective, limits: SweepLimits
) -> TrialPlan | None:
    """The trial to run now, or None when enough is known or the budget is spent.

    `trials` are those of the target so far, in order, unusable ones included; open loops among them
    have told of the smaller sizes, and are not part of the budget.
    """
    in_service = [trial for trial in trials if not trial.is_of_curve]
    trials = [trial for trial in trials if trial.is_of_curve]
    if any(trial.purpose == "sentinel" for trial in trials):
        return None
    left = limits.budget - spent(trials)
    sentinel = None
    if (early := sentinel_size(trials)) is not None:
        because = "sentinel: the same size again, to see whether the endpoint changed"
        sentinel = _plan((early, "sentinel", because), trials, left)
    if sentinel is not None:
        # Its time is kept back from the start: it is measured last.
        left -= sentinel.seconds
    choice = _next_again((*in_service, *trials))
    if choice is None and limits.sizes is not None:
        choice = _next_of_asked(trials, limits)
    elif choice is None:
        choice = _next_size(trials, in_service, objective, limits)
    plan = None if choice is None else _plan(choice, trials, left)
    return plan or sentinel


def _plan(choice: Choice, trials: Sequence[Trial], left: float) -> TrialPlan | None:
    """A trial long enough for the target's own hold time, or None when the budget is spent."""
    pool_size, purpose, because = choice
    hold = _expected_hold(trials, pool_size)
    warm_up = max(WARM_UP, 3.0 * hold)
    window = max(FIRST_WINDOW if pool_size == 1 else WINDOW, WINDOW_HOLDS * hold)
    seconds = warm_up + window
    # The first ramp may use a whole budget up; anything after it must fit into what is left.
    is_first_ramp = purpose == "ramp" and all(trial.purpose == "ramp" for trial in trials)
    if left <= 0 or (not is_first_ramp and seconds > left):
        return None
    return TrialPlan(purpose, pool_size, warm_up, seconds, because, callers=pool_size, gated=False)


def _expected_hold(trials: Sequence[Trial], pool_size: int) -> float:
    """Mean hold time (s) to expect at a size; 0 before the first trial.

    Where throughput still rose nearly as much as the size did, the shortest hold time so far; else
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


def _next_of_asked(trials: Sequence[Trial], limits: SweepLimits) -> Choice | None:
    """The sizes that the user named: once each in order, then repeats in shuffled order."""
    counts = Counter(trial.pool_size for trial in trials)
    refused = first_refused(trials)
    # What is refused is asked once.
    sizes = sorted(
        n for n in set(limits.sizes or ()) if refused is None or n < refused or not counts[n]
    )
    if not sizes:
        return None
    fewest = min(counts[n] for n in sizes)
    rest = [n for n in sizes if counts[n] == fewest]
    if fewest == 0:
        return rest[0], "ramp", "asked for"
    if fewest >= MOST_REPEATS:
        return None
    chosen = random.Random(limits.seed + len(trials)).choice(rest)
    return chosen, "repeat", "asked for: repeat"


def _next_again(trials: Sequence[Trial]) -> Choice | None:
    """The size that a disturbed trial spoilt, where another may help and no call was refused."""
    again, refused = to_repeat(trials), first_refused(trials)
    if again is None or (refused is not None and again.pool_size >= refused):
        return None
    return again.pool_size, "repeat", again.because


def _next_size(
    trials: Sequence[Trial],
    in_service: Sequence[Trial],
    objective: Objective,
    limits: SweepLimits,
) -> Choice | None:
    """The ramp's next size, then one near the answer or the knee, then the one known worst."""
    counts = Counter(trial.pool_size for trial in trials)
    ramp = _next_in_ramp(trials, limits.max_size, _second(trials, in_service, objective, limits))
    if ramp is not None:
        if counts[ramp]:
            return ramp, "repeat", "repeat: throughput stopped growing sooner than expected"
        if ramp > 2 and len(counts) == 1:
            return ramp, "ramp", "ramp: the connections that the target rate keeps busy"
        return ramp, "ramp", "ramp: first look" if ramp == 1 else "ramp: throughput still rises"
    every = (*in_service, *trials)
    sizing = size(Sweep(target="", trials=every), objective)
    refused = first_refused(every)
    near = tuple(
        n
        for n in refinements(sizing, limits.max_size, objective.pools_left)
        if refused is None or n < refused
    )
    # A size counts as measured where the curve cannot tell it from one that was.
    wanted = [n for n in near if not any(abs(n - other) <= SAME_SIZE * n for other in counts)]
    if wanted:
        # The answer first; the others in shuffled order, so that no drift looks like a slope.
        shuffled = random.Random(limits.seed + len(trials)).choice(wanted)
        answer = _answer(sizing, limits.max_size, objective.pools_left)
        chosen = answer if answer in wanted else shuffled
        if answer is not None and abs(chosen - answer) <= 0.2 * answer:
            why = f"refine: next to the size that the target needs (about {answer})"
            return chosen, "refine", why
        return chosen, "refine", "refine: near the size from which on throughput hardly grows"
    if is_narrow(every, sizing, objective):
        return None
    taken = Counter({n: count for n, count in counts.items() if refused is None or n < refused})
    return _worst_known(sizing, taken, near) if taken else None


def _second(
    trials: Sequence[Trial],
    in_service: Sequence[Trial],
    objective: Objective,
    limits: SweepLimits,
) -> int:
    """The ramp's size after 1: 2, or the offered load where that is known and saves load.

    It is known where the target rate was sent, whose trials have seen the smaller sizes in use. A
    climb that strained the server shows its queue near there, not the time that a call needs.
    Else it is guessed from the hold time alone, where the budget does not reach up to it by
    doubling: calls are slow, and a ramp that ends below the offered load tells nothing.
    """
    sent = [t for t in in_service if t.arrival_rate and t.throughput > 0 and t.mean_hold > 0]
    if sent:
        hold = max(sent, key=lambda trial: trial.throughput).mean_hold
        if any(trial.cut_short for trial in sent):
            hold = min(trial.mean_hold for trial in sent)
        return max(2, math.floor(objective.rate * hold))
    hold = _expected_hold(trials, 1)
    offered = math.floor(objective.rate * hold)
    steps = math.ceil(math.log2(max(offered, 1))) + 1
    if offered <= 2 or steps * WINDOW_HOLDS * hold <= limits.budget - spent(trials):
        return 2
    return offered


def _next_in_ramp(trials: Sequence[Trial], max_size: int, second: int = 2) -> int | None:
    """The ramp's next size, or its last once more; None where it has ended."""
    ramp = sorted({trial.pool_size for trial in trials if trial.purpose == "ramp"})
    if not ramp:
        return 1
    if first_refused(trials) is not None:
        return None
    # By size: of all usable trials together, else of the best there is.
    throughput: dict[int, float] = {}
    for trial in trials:
        throughput[trial.pool_size] = max(throughput.get(trial.pool_size, 0.0), trial.throughput)
    curve = points(trials)
    throughput |= {point.pool_size: point.throughput for point in curve}
    rises = len(ramp) < 2 or throughput[ramp[-1]] >= STILL_RISING * throughput[ramp[-2]]
    if not rises and _is_surprising(trials, ramp, throughput):
        return ramp[-1]
    largest = max(trial.pool_size for trial in trials)
    # Trials of other purposes may show that it rises after all.
    rises = rises or (len(curve) > 2 and not has_plateau(curve))
    if largest >= max_size or not rises:
        return None
    # A last step that is hardly larger than the one before would say little about rising.
    doubled = second if largest == 1 else largest * 2
    return max_size if doubled > max_size * 0.75 else doubled


def _is_surprising(
    trials: Sequence[Trial], ramp: Sequence[int], throughput: Mapping[int, float]
) -> bool:
    """Whether a ramp that stops rising at its last size rests on one trial, and looks like a slip.

    Throughput falls, stops right after a step that nearly doubled it, or was not measured usably.
    """
    last = [trial for trial in trials if trial.pool_size == ramp[-1]]
    if len(last) > 1:
        return False
    before = throughput[ramp[-2]]
    falls = throughput[ramp[-1]] < FALLS * before
    was_steep = len(ramp) < 3 or before >= NEARLY_DOUBLES * throughput[ramp[-3]]
    return falls or was_steep or not is_clean(last[0])


def refinements(sizing: Sizing, max_size: int, pools: int = 1) -> tuple[int, ...]:
    """The sizes worth measuring beside the ramp: around the knee and next to the needed size.

    Sizes of the curve are connections of all `pools` together; `sizing` is asked for one of them.
    """
    largest = max((point.pool_size for point in sizing.points), default=1)
    knee = next((k.size for k in sizing.knees if k.rule == "littles_law" and k.size), None)
    if knee is not None:
        wanted = {round(knee * factor) for factor in (0.75, 1.0, 1.4)}
    else:
        wanted = {round(CLOSER * largest)}
    answer = _answer(sizing, max_size, pools)
    if answer is not None:
        wanted |= {round(answer * 0.85), math.ceil(answer * 1.15)}
    inside = {n for n in wanted if 1 <= n <= min(max_size, largest)}
    return tuple(sorted(inside | ({answer} if answer is not None else set())))


def _answer(sizing: Sizing, max_size: int, pools: int) -> int | None:
    """Connections of all pools at the size that the target needs; None: it is not known."""
    return None if sizing.size is None else min(sizing.size * pools, max_size)


def is_narrow(trials: Sequence[Trial], sizing: Sizing, objective: Objective) -> bool:
    """Whether knee and needed size are known well enough to stop before the budget is spent."""
    if sizing.size is None:
        return False
    for knee in sizing.knees:
        if knee.rule == "littles_law":
            if knee.size is None or knee.interval95 is None:
                return False
            if (knee.interval95[1] - knee.interval95[0]) / 2 > KNEE_NARROW * knee.size:
                return False
    queue = model(Sweep(target="", trials=tuple(trials)), objective)
    error = ERRORS * queue.curve.whole.error
    ends = [
        queue.smallest(queue.predictions(objective.rate_per_pool * (1.0 + sign * error)))
        for sign in (-1.0, 1.0)
    ]
    if ends[0] is None or ends[1] is None:
        return False
    low, high = ends[0].pool_size, ends[1].pool_size
    return high - low <= max(1.0, SIZE_NARROW * low)


def _worst_known(sizing: Sizing, counts: Counter[int], near: Sequence[int]) -> Choice | None:
    """Repeat the size, of those that decide, whose throughput is known worst."""
    plateau = sizing.plateau.throughput if sizing.plateau is not None else math.inf
    saturated = [p.pool_size for p in sizing.points if p.throughput >= 0.95 * plateau]
    matters = {1, max(counts), *near, *saturated[:2]}
    open_sizes = sorted(n for n in matters if 0 < counts[n] < MOST_REPEATS)
    if not open_sizes:
        return None
    errors = {point.pool_size: relative_error(point) for point in sizing.points}
    for n in open_sizes:
        # Without a usable trial nothing is known worse; but what fails twice fails again.
        errors.setdefault(n, math.inf if counts[n] < 2 else 0.0)
    chosen = max(open_sizes, key=lambda n: (errors[n], -counts[n]))
    return chosen, "repeat", "repeat: this size is known worst"
