"""The size that an objective asks for, read off the measured curve."""

from __future__ import annotations

import math

from poolkit.analysis import reasons
from poolkit.analysis.answer import Found, find, reachable_rate
from poolkit.analysis.curve import is_clean, points
from poolkit.analysis.knee import knees, plateau
from poolkit.analysis.model import Fitted, fit_points
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.reach import what_raises
from poolkit.analysis.response import p99 as response_p99
from poolkit.analysis.rules_of_thumb import rules
from poolkit.analysis.sensible import cannot_say, why_not
from poolkit.analysis.verdict import judge
from poolkit.analysis.why_none import why_none
from poolkit.records import CurvePoint, PredictedWait, Sizing, Sweep, Verdict


def size(sweep: Sweep, objective: Objective) -> Sizing:
    """The smallest pool that meets the objective, or why none can be named.

    Only usable closed-loop trials are fitted. Nothing is answered at sizes where the server turns
    calls away, nor beyond the largest size measured; except on a plateau, where throughput is taken
    to stay up to `BEYOND` times that size and the answer says that it rests on it.
    """
    measured = points(sweep.trials)
    verdict = judge(sweep, measured)
    reason = why_not(sweep, measured)
    if reason is not None:
        return _cannot_say(sweep, objective, verdict, measured, reason)
    return _answer(sweep, objective, verdict, fit_points(sweep))


def _answer(
    sweep: Sweep,
    objective: Objective,
    verdict: Verdict,
    measured: tuple[CurvePoint, ...],
) -> Sizing:
    upstream = Fitted.of(sweep)
    found = find(upstream, objective)
    usable = [trial for trial in sweep.trials if is_clean(trial)]
    smallest = upstream.curve.smallest
    fewest = upstream.curve.hold_time(smallest)
    common = {
        "target": sweep.target,
        "verdict": verdict,
        "points": measured,
        "knees": knees(measured),
        "plateau": plateau(measured),
        "rate_per_pool": found.queue.objective.rate_per_pool,
        "dispersion": found.queue.dispersion,
        "hold_at_one": fewest if smallest == 1 else None,
        "rules_of_thumb": rules(found, usable, measured, fewest),
        "predictions": _shown(found),
    }
    if found.size is None:
        limited_by, out_of_reach, because = why_none(found, verdict, upstream)
        reachable = reachable_rate(upstream, objective) if out_of_reach else None
        return Sizing(
            size=None,
            because=because,
            limited_by=limited_by,
            out_of_reach=out_of_reach,
            reachable_rate=reachable,
            raised_by=what_raises(upstream, objective, verdict, reachable) if out_of_reach else "",
            **common,
        )
    limited_by = reasons.limit(found)
    return Sizing(
        size=found.size,
        because=reasons.because(found, limited_by),
        limited_by=limited_by,
        is_extrapolated=found.queue.is_extrapolated(found.size),
        headroom=found.headroom,
        only_moves_queue=reasons.only_moves_queue(found),
        **common,
    )


def _cannot_say(
    sweep: Sweep,
    objective: Objective,
    verdict: Verdict,
    measured: tuple[CurvePoint, ...],
    reason: str,
) -> Sizing:
    return Sizing(
        target=sweep.target,
        verdict=verdict,
        points=measured,
        knees=(),
        plateau=None,
        size=None,
        because=cannot_say(reason, verdict),
        limited_by="unknown",
        rate_per_pool=objective.rate_per_pool,
    )


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
