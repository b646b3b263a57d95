"""Sizing rules from the web, beside the measured result and with where each fails here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction
from poolkit.records import RuleOfThumb, Trial

# Where the rules ask for what poolkit cannot know; the names they are shown under say so.
CORES, SPINDLES = 4, 1
QUERIES_PER_REQUEST = 1
TABLE = ((100.0, "small", 10), (1000.0, "medium", 20), (math.inf, "high", 50))


def rules(
    objective: Objective,
    trials: Sequence[Trial],
    hold: float,
    predictions: Sequence[WaitPrediction],
    size: int | None,
) -> tuple[RuleOfThumb, ...]:
    """Every rule's size for one pool.

    Args:
        trials: the usable closed-loop ones; their smallest size gives the p50 that rules start
        from. hold: s, mean hold time at one connection. predictions: what callers meet at each
        size of one pool, from 1 on. size: the measured answer; None: there is none.
    """
    rate = objective.rate_per_pool
    p50 = _p50_at_smallest(trials) or hold
    table = next(row for row in TABLE if objective.rate <= row[0])
    found = (
        (
            "littles_law_x1.3",
            rate * p50 * 1.3,
            f"takes the p50 at one connection ({units.milliseconds(p50)}) for the time under load",
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
    )
    sized = [(name, max(1, math.ceil(value - 1e-9)), why) for name, value, why in found]
    return tuple(
        RuleOfThumb(
            name=name,
            size=asked,
            fails=f"{why}; {_outcome(asked, objective, predictions, size)}",
        )
        for name, asked, why in sized
    )


def _outcome(
    asked: int, objective: Objective, predictions: Sequence[WaitPrediction], size: int | None
) -> str:
    limit = units.milliseconds(objective.wait_p99)
    if asked > len(predictions):
        return f"{asked} is beyond what was measured or allowed here"
    met = predictions[asked - 1]
    if not met.is_stable:
        return f"{asked} cannot carry {units.rate(objective.rate_per_pool)} here: the queue grows"
    late = units.share(met.exceedance(objective.wait_p99), 1)
    said = f"at {asked}, {late} of the calls wait longer than {limit}"
    if size is None or asked == size:
        return said
    if asked < size:
        return f"{said}, {size - asked} too few"
    return f"{said}, {asked - size} more than needed"


def _p50_at_smallest(trials: Sequence[Trial]) -> float | None:
    known = [trial for trial in trials if trial.hold_time.p50 is not None]
    if not known:
        return None
    return min(known, key=lambda trial: (trial.pool_size, -trial.hold_time.count)).hold_time.p50
