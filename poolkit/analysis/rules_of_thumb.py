"""Sizing rules from the web, beside the measured result and with where each fails here.

One of them is the limit that Netflix's Gradient2 would settle on (the `concurrency-limits` library,
Gradient2Limit; after the gradient of TCP Vegas). It adapts a limit L while it serves, from two
averages of the round trip time R:

    g = min(1, max(1/2, T * R_long / R_short))      T = 1.5, the slowdown that it tolerates
    L <- (1 - s) * L + s * (g * L + Q)              s = 0.2, Q = 4 calls of queue that it allows

R_short is the latest window's, R_long an exponential average over 600 windows: a burst is short
against that, so R_long stays what everyday traffic left. (Under lasting overload it follows R_short
and the limit drifts upwards without end.) The rule asks how many calls the upstream takes before it
slows down by half, and knows no rate and no wait target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from poolkit import units
from poolkit.analysis.reasons import late_responses, late_waits, response
from poolkit.analysis.smallest import Found
from poolkit.records import CurvePoint, RuleOfThumb, Trial

# Where the rules ask for what poolkit cannot know; the names they are shown under say so.
CORES, SPINDLES = 4, 1
QUERIES_PER_REQUEST = 1
TABLE = ((100.0, "small", 10), (1000.0, "medium", 20), (math.inf, "high", 50))

TOLERANCE = 1.5
QUEUE = 4.0
SMOOTHING = 0.2
LEAST_GRADIENT = 0.5
SETTLED = 1e-4  # share by which an update still changes the limit
MOST_UPDATES = 5000


def rules(
    found: Found, trials: Sequence[Trial], measured: Sequence[CurvePoint], hold: float
) -> tuple[RuleOfThumb, ...]:
    """Every rule's size for one pool.

    Args:
        found: what the search came to.
        trials: the usable closed-loop ones; their smallest size gives the p50 that rules start
            from.
        measured: the points that they gave.
        hold: s, mean hold time at the smallest size.
    """
    objective = found.queue.objective
    rate = objective.rate_per_pool
    known = [trial for trial in trials if trial.hold_time.p50 is not None]
    first = min(known, key=lambda t: (t.pool_size, -t.hold_time.count), default=None)
    p50 = (None if first is None else first.hold_time.p50) or hold
    _, word, of_table = next(row for row in TABLE if objective.rate <= row[0])
    smallest = measured[0].pool_size
    fewest = "one connection" if smallest == 1 else units.plural(smallest, "connection")
    found_by = {
        "littles_law_x1.3": (
            rate * p50 * 1.3,
            f"takes the p50 at {fewest} ({units.milliseconds(p50)}) for the time under load"
            f"{_grown(measured, hold)}",
        ),
        "concurrent_x1.5": (
            rate * hold / QUERIES_PER_REQUEST * 1.5,
            f"takes {units.number(rate * hold)} concurrent requests of one call each for all that "
            "ever meet, whatever wait is allowed",
        ),
        "cores*2+spindles": (
            float(CORES * 2 + SPINDLES),
            f"counts the server's cores (taken as {CORES}, and {SPINDLES} disk), not the load or "
            "the time that calls wait for others",
        ),
        "small/medium/high table": (
            float(of_table),
            f"calls {units.rate(objective.rate)} {word} and knows no hold time",
        ),
    }
    if found.queue.curve.largest >= 1:  # else nothing is known of one call in each pool
        found_by["netflix_gradient2"] = _gradient2(found)
    made = []
    for name, (value, why) in found_by.items():
        size = max(1, math.ceil(value - 1e-9))
        made.append(RuleOfThumb(name=name, size=size, fails=f"{why}; {_outcome(size, found)}"))
    return tuple(made)


def _grown(measured: Sequence[CurvePoint], hold: float) -> str:
    """How much longer a call holds its connection on the plateau than alone, where that is much."""
    last = max(measured, key=lambda point: point.throughput)
    if last.hold_time < 1.1 * hold:
        return ""
    size = units.plural(last.pool_size, "connection")
    return f", which is {units.milliseconds(last.hold_time)} on average at {size}"


def _gradient2(found: Found) -> tuple[float, str]:
    """The limit that Netflix's algorithm would settle on, and what it leaves out of account."""
    curve = found.queue.curve
    # Everyday traffic: what a pool of the answer's size (or the largest that copes) makes of it.
    calm = [one.hold_time for one in found.predictions if one.is_stable]
    usual = calm[-1] if calm else 1.0 / float(curve.throughputs([1.0])[0])
    if calm and found.size is not None and found.size <= len(found.predictions):
        usual = found.predictions[found.size - 1].hold_time
    largest = float(max(1, curve.largest))
    limit = settled_limit(lambda n: n / float(curve.throughputs([n])[0]), usual, largest)
    why = (
        f"lets calls in until they take {TOLERANCE:g} times as long as usual "
        f"({units.milliseconds(usual)}), whatever the rate and the wait allowed"
    )
    if limit >= largest:
        why += f", and calls were not that slow at any size up to {largest:.0f}"
    return limit, why


def settled_limit(round_trip: Callable[[float], float], usual: float, largest: float) -> float:
    """Where Gradient2's limit (calls) comes to rest in a burst that fills whatever it allows.

    Args:
        round_trip: R (s) with so many calls on the upstream, 1 .. largest.
        usual: s, R_long: the round trip of everyday traffic.
        largest: calls beyond which the round trip is not known; returned where L gets there.
    """
    limit = 1.0
    for _ in range(MOST_UPDATES):
        gradient = min(1.0, max(LEAST_GRADIENT, TOLERANCE * usual / round_trip(limit)))
        updated = (1.0 - SMOOTHING) * limit + SMOOTHING * (gradient * limit + QUEUE)
        if updated >= largest:
            return largest
        if abs(updated - limit) <= SETTLED * limit:
            break
        limit = max(1.0, updated)
    return limit


def _outcome(asked: int, found: Found) -> str:
    """What callers would meet with this size, beside the answer."""
    objective = found.queue.objective
    if asked > len(found.predictions):
        return f"{asked} is beyond what was measured or allowed here"
    met = found.predictions[asked - 1]
    if not met.is_stable:
        return f"{asked} cannot carry {units.rate(objective.rate_per_pool)} here: the queue grows"
    said = late_responses if objective.wait_p99 is None else late_waits
    said = response if objective.asks_as_soon else said
    beside_answer = "" if found.size is None else _beside(asked, found.size)
    return f"at {asked}, {said(found.queue, met)}{beside_answer}"


def _beside(asked: int, answer: int) -> str:
    """How a rule's size compares to the answer, as the end of a sentence."""
    if asked == answer:
        return ", as many as needed"
    if asked < answer:
        return f", {answer - asked} too few"
    return f", {asked - answer} more than needed"


def beside(
    rules: tuple[RuleOfThumb, ...], predicted: int | None, answer: int | None
) -> tuple[RuleOfThumb, ...]:
    """The same rules held against the size that verification moved the prediction to."""
    if predicted is None or answer is None:
        return rules
    moved = []
    for rule in rules:
        end = _beside(rule.size, predicted)
        if rule.fails.endswith(end):
            fails = rule.fails.removesuffix(end) + _beside(rule.size, answer)
            rule = rule.model_copy(update={"fails": fails})
        moved.append(rule)
    return tuple(moved)
