"""The size that an objective asks for, read off the measured curve, with all that speaks for it."""

from __future__ import annotations

import math

from poolkit.analysis.curve import is_clean
from poolkit.analysis.knee import knees
from poolkit.analysis.limits import limits
from poolkit.analysis.reasons import BOUND_BY_POOLER, only_moves_queue
from poolkit.analysis.response import p99s
from poolkit.analysis.rules_of_thumb import rules
from poolkit.analysis.smallest import Found
from poolkit.analysis.state_curve import open_loops
from poolkit.analysis.two_tiers import raised
from poolkit.analysis.what_if import Planner, Question, answer
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
    sizing = Sizing(
        target=sweep.target,
        verdict=planner.verdict,
        points=planner.points,
        knees=(),
        plateau=planner.plateau,
        size=plain.size,
        because=plain.because,
        limited_by=plain.limited_by,
        headroom=plain.headroom,
        out_of_reach=plain.out_of_reach,
        reachable_rate=plain.reachable_rate,
        size_for_reachable=plain.size_for_reachable,
        limits=limits(sweep.trials),
        rate_per_pool=plain.rate_per_pool,
    )
    found = plain.found
    if found is None:  # the curve makes no sense
        return sizing
    upstream, queue = found.upstream, found.queue
    usable = [t for t in sweep.trials if is_clean(t)] or open_loops(sweep.trials)
    hold = upstream.curve.hold
    raised_by, pooler = "", sweep.trials[-1].pooler
    if plain.out_of_reach:
        raised_by = what_raises(upstream, plain.objective, planner.verdict, plain.reachable_rate)
        if planner.verdict.name == "pooler_bound":
            raised_by = raised(sweep.trials, plain.objective) or raised_by
        elif raised_by and pooler and planner.verdict.name == "server_bound":
            raised_by += BOUND_BY_POOLER
    return sizing.model_copy(
        update={
            "knees": knees(planner.points) if planner.points else (),
            "states": upstream.states,
            "dispersion": queue.dispersion,
            "hold_at_one": hold if upstream.curve.smallest == 1 else None,
            "rules_of_thumb": rules(found, usable, upstream.measured, hold),
            "predictions": _shown(found),
            "raised_by": raised_by,
            "is_extrapolated": found.size is not None and queue.is_extrapolated(found.size),
            "only_moves_queue": only_moves_queue(found, pooler),
            "smallest_as_fast": found.as_fast,
        }
    )


def _shown(found: Found) -> tuple[PredictedWait, ...]:
    """The predictions for half to twice the answer, or from the smallest that is as fast on.

    Without an answer those of the larger half of sizes.
    """
    queue, objective = found.queue, found.queue.objective
    middle = len(found.predictions) if found.size is None else found.size
    shown = []
    first = min(math.ceil(middle / 2), found.as_fast or middle)
    asked = found.predictions[first - 1 : 2 * middle]
    for one, p99 in zip(asked, p99s(asked, queue.holds, queue.curve.pools), strict=True):
        limit, late = objective.wait_p99, None
        if limit is not None and one.is_stable:
            late = one.exceedance(limit)
        shown.append(
            PredictedWait(
                pool_size=one.pool_size,
                exceedance=late,
                wait_p99=one.wait_p99,
                hold_time=one.hold_time,
                utilisation=one.utilisation,
                response_time=one.response_time,
                response_p99=p99,
                is_extrapolated=queue.is_extrapolated(one.pool_size),
            )
        )
    return tuple(shown)
