"""The size that an objective asks for, read off the measured curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis import reasons
from poolkit.analysis.curve import is_clean, points
from poolkit.analysis.knee import knees, plateau
from poolkit.analysis.model import fit_points, model
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.rules_of_thumb import rules
from poolkit.analysis.sensible import why_not
from poolkit.analysis.verdict import first_shedding, judge
from poolkit.records import CurvePoint, PredictedWait, Sizing, Sweep, Verdict


def size(sweep: Sweep, objective: Objective) -> Sizing:
    """The smallest pool that meets the objective, or why none can be named.

    Only usable closed-loop trials are fitted. Nothing is answered beyond the largest size measured,
    nor at sizes where the server sheds calls.
    """
    measured = points(sweep.trials)
    verdict = judge(sweep, measured)
    reason = why_not(sweep.trials, measured)
    if reason is None and len(fit_points(sweep)) < 2:
        first = units.plural(first_shedding(sweep.trials) or 1, "connection")
        reason = f"the server sheds calls at {first} already"
    if reason is not None:
        return _cannot_say(sweep, objective, verdict, measured, reason)
    return _answer(sweep, objective, verdict, measured)


def _answer(
    sweep: Sweep,
    objective: Objective,
    verdict: Verdict,
    measured: tuple[CurvePoint, ...],
) -> Sizing:
    queue = model(sweep, objective)
    predictions = queue.predictions()
    cautious = queue.cautious()
    found = queue.smallest(cautious)
    usable = [trial for trial in sweep.trials if is_clean(trial)]
    alone = queue.curve.whole.hold_time(queue.curve.whole.smallest)
    answer = None if found is None else max(found.pool_size, objective.floor)
    if answer is not None and answer > objective.largest:
        answer = None
    common = {
        "target": sweep.target,
        "verdict": verdict,
        "points": measured,
        "knees": knees(measured),
        "plateau": plateau(measured),
        "rate_per_pool": objective.rate_per_pool,
        "dispersion": queue.dispersion,
        "hold_at_one": alone,
        "rules_of_thumb": rules(objective, usable, alone, predictions, answer),
        "predictions": _shown(predictions, answer, objective),
    }
    if answer is None:
        limited_by, out_of_reach, because = reasons.why_none(queue, cautious, verdict, found)
        return Sizing(
            size=None,
            because=because,
            limited_by=limited_by,
            out_of_reach=out_of_reach,
            reachable_rate=queue.reachable_rate() if out_of_reach else None,
            **common,
        )
    limited_by = reasons.limit(queue, cautious, answer, found)
    return Sizing(
        size=answer,
        because=reasons.because(queue, predictions, answer, limited_by),
        limited_by=limited_by,
        only_moves_queue=reasons.only_moves_queue(queue, predictions, answer),
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
        because=f"cannot say, because {reason}",
        limited_by="unknown",
        rate_per_pool=objective.rate_per_pool,
    )


def _shown(
    predictions: Sequence[WaitPrediction], answer: int | None, objective: Objective
) -> tuple[PredictedWait, ...]:
    """The predictions for half to twice the answer; without one, for the larger half of sizes."""
    middle = len(predictions) if answer is None else answer
    first, last = math.ceil(middle / 2), 2 * middle
    return tuple(
        PredictedWait(
            pool_size=one.pool_size,
            exceedance=one.exceedance(objective.wait_p99) if one.is_stable else None,
            wait_p99=one.wait_p99,
            hold_time=one.hold_time if one.hold_time is not None else 0.0,
            utilisation=one.utilisation,
            response_time=one.response_time,
        )
        for one in predictions
        if first <= one.pool_size <= last
    )
