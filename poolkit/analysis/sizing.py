"""The size that an objective asks for, read off the measured curve, with all that speaks for it."""

from __future__ import annotations

import math
from typing import Any

from poolkit.analysis import reasons
from poolkit.analysis.curve import is_clean
from poolkit.analysis.knee import knees
from poolkit.analysis.model import Fitted
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.response import p99 as response_p99
from poolkit.analysis.rules_of_thumb import rules
from poolkit.analysis.smallest import Found
from poolkit.analysis.what_if import Answer, Planner, Question, answer
from poolkit.analysis.why_none import what_raises
from poolkit.records import PredictedWait, Sizing, Sweep
from poolkit.targets.objective import Objective


def size(sweep: Sweep, objective: Objective) -> Sizing:
    """The smallest pool that meets the objective, or why none can be named.

    Only usable closed-loop trials are fitted. Nothing is answered at sizes where the server turns
    calls away, nor beyond the largest size measured; except on a plateau, where throughput is taken
    to stay up to `BEYOND` times that size and the answer says that it rests on it.
    """
    planner = Planner.of(sweep, objective)
    plain = answer(planner, Question())
    more: dict[str, Any] = {"knees": ()}
    if planner.upstream is not None and plain.found is not None:
        more = _evidence(sweep, planner, planner.upstream, plain, plain.found)
    return Sizing(
        target=sweep.target,
        verdict=planner.verdict,
        points=planner.points,
        plateau=planner.plateau,
        size=plain.size,
        because=plain.because,
        limited_by=plain.limited_by,
        headroom=plain.headroom,
        out_of_reach=plain.out_of_reach,
        reachable_rate=plain.reachable_rate,
        rate_per_pool=plain.rate_per_pool,
        **more,
    )


def _evidence(
    sweep: Sweep, planner: Planner, upstream: Fitted, answer: Answer, found: Found
) -> dict[str, Any]:
    """What a sizing says beside the answer, where the curve makes sense."""
    usable = [trial for trial in sweep.trials if is_clean(trial)]
    smallest = upstream.curve.smallest
    fewest = upstream.curve.hold_time(smallest)
    return {
        "knees": knees(planner.points),
        "dispersion": found.queue.dispersion,
        "hold_at_one": fewest if smallest == 1 else None,
        "rules_of_thumb": rules(found, usable, planner.points, fewest),
        "predictions": _shown(found),
        "raised_by": what_raises(upstream, answer.objective, planner.verdict, answer.reachable_rate)
        if answer.out_of_reach
        else "",
        "is_extrapolated": found.size is not None and found.queue.is_extrapolated(found.size),
        "only_moves_queue": reasons.only_moves_queue(found),
    }


def _shown(found: Found) -> tuple[PredictedWait, ...]:
    """The predictions for half to twice the answer; without one, for the larger half of sizes."""
    middle = len(found.predictions) if found.size is None else found.size
    first, last = math.ceil(middle / 2), 2 * middle
    return tuple(_record(found, one) for one in found.predictions if first <= one.pool_size <= last)


def _record(found: Found, one: WaitPrediction) -> PredictedWait:
    queue = found.queue
    limit = queue.objective.wait_p99
    asks_response = queue.objective.response_p99 is not None
    return PredictedWait(
        pool_size=one.pool_size,
        exceedance=one.exceedance(limit) if one.is_stable and limit is not None else None,
        wait_p99=one.wait_p99,
        hold_time=one.hold_time if one.hold_time is not None else 0.0,
        utilisation=one.utilisation,
        response_time=one.response_time,
        response_p99=response_p99(one, queue.holds, queue.curve.pools) if asks_response else None,
        is_extrapolated=queue.is_extrapolated(one.pool_size),
    )
