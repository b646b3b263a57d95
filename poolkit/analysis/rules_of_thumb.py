"""Sizing rules from the web, beside the measured result and with where each fails here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.gradient2 import TOLERANCE, settled_limit
from poolkit.analysis.reasons import late_responses, late_waits
from poolkit.analysis.smallest import Found
from poolkit.records import CurvePoint, RuleOfThumb, Trial

# Where the rules ask for what poolkit cannot know; the names they are shown under say so.
CORES, SPINDLES = 4, 1
QUERIES_PER_REQUEST = 1
TABLE = ((100.0, "small", 10), (1000.0, "medium", 20), (math.inf, "high", 50))


def rules(
    found: Found, trials: Sequence[Trial], measured: Sequence[CurvePoint], hold: float
) -> tuple[RuleOfThumb, ...]:
    """Every rule's size for one pool.

    Args:
        found: what the search came to.
        trials: the usable closed-loop ones; their smallest size gives the p50 that rules start
        from. measured: the points that they gave. hold: s, mean hold time at the smallest size.
    """
    objective = found.queue.objective
    rate = objective.rate_per_pool
    p50 = _p50_at_smallest(trials) or hold
    table = next(row for row in TABLE if objective.rate <= row[0])
    gradient, why_gradient = _gradient2(found)
    asked = (
        (
            "littles_law_x1.3",
            rate * p50 * 1.3,
            f"takes the p50 at {_fewest(measured)} ({units.milliseconds(p50)}) for the time under "
            f"load{_grown(measured, hold)}",
        ),
        (
            "concurrent_x1.5",
            rate * hold / QUERIES_PER_REQUEST * 1.5,
            f"takes {units.number(rate * hold)} concurrent requests of one call each for all that "
            "ever meet, whatever wait is allowed",
        ),
        (
            "cores*2+spindles",
            float(CORES * 2 + SPINDLES),
            f"counts the server's cores (taken as {CORES}, and {SPINDLES} disk), not the load or "
            "the time that calls wait for others",
        ),
        (
            "small/medium/high table",
            float(table[2]),
            f"calls {units.rate(objective.rate)} {table[1]} and knows no hold time",
        ),
        ("netflix_gradient2", gradient, why_gradient),
    )
    sized = [(name, max(1, math.ceil(value - 1e-9)), why) for name, value, why in asked]
    return tuple(
        RuleOfThumb(name=name, size=chosen, fails=f"{why}; {_outcome(chosen, found)}")
        for name, chosen, why in sized
    )


def _gradient2(found: Found) -> tuple[float, str]:
    """The limit that Netflix's algorithm would settle on, and what it leaves out of account."""
    queue = found.queue
    # Everyday traffic: what a pool of the answer's size (or the largest that copes) makes of it.
    calm = [one.hold_time for one in found.predictions if one.is_stable and one.hold_time]
    shared = queue.curve
    if calm and found.size is not None and found.size <= len(found.predictions):
        usual = found.predictions[found.size - 1].hold_time or calm[-1]
    else:
        usual = calm[-1] if calm else 1.0 / float(shared.throughputs([1.0])[0])
    largest = float(max(1, shared.largest))
    limit = settled_limit(lambda n: n / float(shared.throughputs([n])[0]), usual, largest)
    why = (
        f"lets calls in until they take {TOLERANCE:g} times as long as usual "
        f"({units.milliseconds(usual)}), whatever the rate and the wait allowed"
    )
    if limit >= largest:
        why += f", and calls were not that slow at any size up to {largest:.0f}"
    return limit, why


def _fewest(measured: Sequence[CurvePoint]) -> str:
    smallest = measured[0].pool_size
    return "one connection" if smallest == 1 else units.plural(smallest, "connection")


def _grown(measured: Sequence[CurvePoint], hold: float) -> str:
    """How much longer a call holds its connection on the plateau than alone, where that is much."""
    last = max(measured, key=lambda point: point.throughput)
    if last.hold_time < 1.1 * hold:
        return ""
    return (
        f", which is {units.milliseconds(last.hold_time)} on average at "
        f"{units.plural(last.pool_size, 'connection')}"
    )


def _outcome(asked: int, found: Found) -> str:
    """What callers would meet with this size, beside the answer."""
    objective = found.queue.objective
    if asked > len(found.predictions):
        return f"{asked} is beyond what was measured or allowed here"
    met = found.predictions[asked - 1]
    if not met.is_stable:
        return f"{asked} cannot carry {units.rate(objective.rate_per_pool)} here: the queue grows"
    late = late_responses if objective.wait_p99 is None else late_waits
    said = f"at {asked}, {late(found.queue, met)}"
    return said if found.size is None else f"{said}{_beside(asked, found.size)}"


def _beside(asked: int, answer: int) -> str:
    """How a rule's size compares to the answer, as the end of a sentence."""
    if asked == answer:
        return ", as many as needed"
    if asked < answer:
        return f", {answer - asked} too few"
    return f", {asked - answer} more than needed"


def beside(rules: Sequence[RuleOfThumb], predicted: int, answer: int) -> tuple[RuleOfThumb, ...]:
    """The same rules held against the size that verification moved the prediction to."""
    return tuple(
        rule.model_copy(
            update={
                "fails": rule.fails.removesuffix(end) + _beside(rule.size, answer)
                if rule.fails.endswith(end := _beside(rule.size, predicted))
                else rule.fails
            }
        )
        for rule in rules
    )


def _p50_at_smallest(trials: Sequence[Trial]) -> float | None:
    known = [trial for trial in trials if trial.hold_time.p50 is not None]
    if not known:
        return None
    return min(known, key=lambda trial: (trial.pool_size, -trial.hold_time.count)).hold_time.p50
