"""The size that an objective asks for, read off the measured curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from poolkit import units
from poolkit.analysis.curve import Curve, SharedCurve, is_clean, points
from poolkit.analysis.dispersion import pooled_dispersion
from poolkit.analysis.knee import end_slope, has_plateau, knees, plateau
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction, waits
from poolkit.analysis.response import HoldTimes, exceedance
from poolkit.analysis.rules_of_thumb import rules
from poolkit.analysis.sensible import why_not
from poolkit.analysis.verdict import first_shedding, judge
from poolkit.records import CurvePoint, PredictedWait, Sizing, Sweep, Verdict

# P(W > w) comes out of the formula right to about this share where the curve is known exactly, and
# the error costs more on one side: a size is taken when the prediction stays below this part of
# what is allowed (see the table in CONTRIBUTING.md).
PRUDENCE = 0.8
SAME_RESPONSE = 0.02  # mean response times closer than this are the same to a caller
SAME_THROUGHPUT = 0.98
# On a plateau throughput is taken to stay up to this many times the largest size measured; an
# upstream that slows down more than this (d ln X / d ln n) is not read beyond what was measured.
BEYOND = 4
FALLING = -0.05

LimitedBy = Literal["wait", "response", "plateau", "cap", "floor", "unknown"]


@dataclass(frozen=True, slots=True)
class Model:
    """One pool in front of the upstream as it was measured.

    Attributes:
        curve: what the pool sees while its sisters are as busy as itself.
        dispersion: Cd2 of the departures that the pool sees.
        holds: distributions of hold times over calls on the upstream.
        most: largest size of one pool that may be answered.
    """

    curve: SharedCurve
    dispersion: float
    holds: HoldTimes
    objective: Objective
    most: int

    def predictions(self, rate: float | None = None) -> tuple[WaitPrediction, ...]:
        """What callers meet at sizes 1 .. most of one pool, at `rate` calls/s or the objective's."""
        if self.most < 1:
            return ()
        rate = self.objective.rate_per_pool if rate is None else rate
        return waits(self.curve, rate, range(1, self.most + 1), self.dispersion)

    def meets_wait(self, prediction: WaitPrediction) -> bool:
        """Whether few enough calls wait longer than allowed."""
        allowed = PRUDENCE * self.objective.allowance
        return prediction.exceedance(self.objective.wait_p99) <= allowed

    def meets_response(self, prediction: WaitPrediction) -> bool:
        """Whether few enough calls take longer than allowed; always, where that is not asked."""
        limit = self.objective.response_p99
        if limit is None:
            return True
        allowed = self.objective.allowance
        return exceedance(prediction, self.holds, limit, self.curve.pools) <= allowed

    def smallest(self, predictions: Sequence[WaitPrediction]) -> WaitPrediction | None:
        """The smallest size that meets the objective, the floor apart."""
        for prediction in predictions:
            if self.meets_wait(prediction) and self.meets_response(prediction):
                return prediction
        return None

    def reachable_rate(self) -> float | None:
        """Calls/s of the whole service that some size still carries within the objective."""
        if self.most < 1:
            return None
        low, high = 0.0, float(max(self.curve.throughputs(range(1, self.most + 1))))
        for _ in range(12):
            middle = (low + high) / 2
            if self.smallest(self.predictions(middle)) is None:
                high = middle
            else:
                low = middle
        return low * self.curve.pools if low > 0 else None


def size(sweep: Sweep, objective: Objective) -> Sizing:
    """The smallest pool that meets the objective, or why none can be named.

    Only usable closed-loop trials are fitted. Nothing is answered beyond the largest size measured,
    nor at sizes where the server sheds calls.
    """
    measured = points(sweep.trials)
    shedding = first_shedding(sweep.trials)
    verdict = judge(sweep, measured)
    # What a server does while it sheds calls is no part of the curve, at any larger size either.
    kept = tuple(point for point in measured if shedding is None or point.pool_size < shedding)
    reason = why_not(sweep.trials, measured) or (
        None
        if len(kept) > 1
        else f"the server shed calls at {units.plural(shedding or 1, 'connection')} already"
    )
    if reason is not None:
        return _cannot_say(sweep, objective, verdict, measured, reason)
    return _answer(sweep, objective, verdict, measured, kept)


def model(sweep: Sweep, objective: Objective, kept: Sequence[CurvePoint] | None = None) -> Model:
    """The queue model of one pool, from the sweep's usable trials."""
    kept = points(sweep.trials) if kept is None else kept
    curve = Curve.fit(kept)
    trials = [trial for trial in sweep.trials if is_clean(trial)]
    slope = end_slope(kept)
    if has_plateau(kept) and slope is not None and slope > FALLING:
        curve = curve.held_flat(BEYOND * curve.measured)
    shared = SharedCurve(curve, objective.pools_left)
    dispersion = pooled_dispersion(trials)
    seen = 1.0 if dispersion is None else dispersion
    # Of a stream of departures each pool gets a random share, which is closer to Poisson.
    own = max(seen, 1.0 + (seen - 1.0) / shared.pools)
    most = min(objective.largest, shared.largest)
    return Model(shared, own, HoldTimes.of(trials), objective, most)


def _answer(
    sweep: Sweep,
    objective: Objective,
    verdict: Verdict,
    measured: tuple[CurvePoint, ...],
    kept: Sequence[CurvePoint],
) -> Sizing:
    queue = model(sweep, objective, kept)
    predictions = queue.predictions()
    found = queue.smallest(predictions)
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
        limited_by, out_of_reach, because = _why_none(queue, predictions, verdict, found)
        return Sizing(
            size=None,
            because=because,
            limited_by=limited_by,
            out_of_reach=out_of_reach,
            reachable_rate=queue.reachable_rate() if out_of_reach else None,
            **common,
        )
    limited_by = _limit(queue, predictions, answer, found)
    return Sizing(
        size=answer,
        because=_because(queue, predictions, answer, limited_by),
        limited_by=limited_by,
        only_moves_queue=_only_moves(queue, predictions, answer),
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


def _limit(
    queue: Model,
    predictions: Sequence[WaitPrediction],
    answer: int,
    found: WaitPrediction | None,
) -> LimitedBy:
    """What the size would have to give way on to be smaller."""
    if found is not None and answer > found.pool_size:
        return "floor"
    if answer > 1 and not queue.meets_wait(predictions[answer - 2]):
        return "wait"
    return "wait" if answer == 1 else "response"


def _because(
    queue: Model, predictions: Sequence[WaitPrediction], answer: int, limited_by: LimitedBy
) -> str:
    objective = queue.objective
    limit = units.milliseconds(objective.wait_p99)
    if answer > len(predictions):
        return (
            f"no pool may be smaller than {objective.floor} here, or its tasks lock each other out"
        )
    met = predictions[answer - 1]
    late = units.share(met.exceedance(objective.wait_p99), 1)
    said = (
        f"{units.rate(objective.rate_per_pool)} keep {units.number(met.busy)} of "
        f"{units.plural(answer, 'connection')} busy on average, and {late} of the calls wait "
        f"longer than {limit}"
    )
    if limited_by == "floor":
        return f"no pool may be smaller than {objective.floor} here; {said}"
    if answer == 1:
        return said
    less = predictions[answer - 2]
    if not less.is_stable:
        return f"{said}; {answer - 1} would not carry the rate"
    if limited_by == "response":
        asked = units.milliseconds(objective.response_p99)
        return f"{said}; with {answer - 1} too many would take longer than {asked} in all"
    with_less = units.share(less.exceedance(objective.wait_p99), 1)
    return f"{said} (with {answer - 1}: {with_less})"


def _why_none(
    queue: Model,
    predictions: Sequence[WaitPrediction],
    verdict: Verdict,
    found: WaitPrediction | None,
) -> tuple[LimitedBy, bool, str]:
    """What is in the way, whether the rate is out of reach, and the reason in words."""
    objective = queue.objective
    asked = units.rate(objective.rate_per_pool) + (
        f" a pool ({objective.pools_left} pools)" if objective.pools_left > 1 else ""
    )
    if found is not None:
        floor = units.plural(objective.floor, "connection")
        return (
            "cap",
            True,
            f"a pool needs {floor} so that its tasks cannot lock each other out, and max_size "
            f"leaves {objective.largest} for each of {units.plural(objective.pools, 'pool')}",
        )
    if verdict.name in ("rate_limited", "refused"):
        return (
            "plateau",
            True,
            f"{asked} cannot be had by a larger pool: {verdict.evidence}",
        )
    if verdict.name == "client_bound":
        return (
            "unknown",
            False,
            f"cannot say, because this client is the limit: {verdict.evidence}",
        )
    if any(queue.meets_wait(prediction) for prediction in predictions):
        limit = units.milliseconds(objective.response_p99)
        return (
            "response",
            True,
            f"sizes that keep the wait short do not keep the response below {limit}: holding a "
            "connection takes too long by itself",
        )
    most = units.plural(queue.most, "connection")
    if queue.most < 1:
        return (
            "cap",
            True,
            f"max_size leaves less than one connection for each of {objective.pools} pools",
        )
    if verdict.name == "server_bound":
        top = max(prediction_rate(queue, n) for n in range(1, queue.most + 1))
        if top <= objective.rate_per_pool:
            return (
                "plateau",
                True,
                f"{asked} is beyond what any size carries ({units.rate(top)}): {verdict.evidence}",
            )
        return (
            "plateau" if queue.most < objective.largest else "cap",
            True,
            f"{asked} is so near the plateau that even {most} leave too many calls waiting longer "
            f"than {units.milliseconds(objective.wait_p99)}",
        )
    if queue.most < objective.largest:
        return (
            "unknown",
            False,
            f"cannot say, because throughput still rises at {most}, the largest size measured, and "
            f"{asked} need more: widen the range",
        )
    return "cap", True, f"{asked} need more than the {most} that max_size leaves for one pool"


def prediction_rate(queue: Model, size: int) -> float:
    """The throughput (calls/s) that one pool of this size can carry at most."""
    return float(queue.curve.throughputs([size])[0])


def _only_moves(queue: Model, predictions: Sequence[WaitPrediction], answer: int) -> str | None:
    """Said when a smaller pool carries as much and serves callers as soon."""
    if answer > len(predictions):
        return None
    rates = queue.curve.throughputs(range(1, answer + 1))
    enough = next(n for n in range(1, answer + 1) if rates[n - 1] >= SAME_THROUGHPUT * rates[-1])
    chosen = predictions[answer - 1]
    for less in predictions[enough - 1 : answer - 1]:
        if (
            less.wait is not None
            and less.hold_time is not None
            and less.response_time is not None
            and chosen.wait is not None
            and chosen.hold_time is not None
            and chosen.response_time is not None
            and less.response_time <= (1.0 + SAME_RESPONSE) * chosen.response_time
        ):
            return (
                f"from {less.pool_size} to {answer} connections the queue only moves into the "
                f"server: the mean wait falls from {units.milliseconds(less.wait)} to "
                f"{units.milliseconds(chosen.wait)}, the mean hold goes from "
                f"{units.milliseconds(less.hold_time)} to {units.milliseconds(chosen.hold_time)}, "
                f"and callers are served in {units.milliseconds(chosen.response_time, 3)} instead of "
                f"{units.milliseconds(less.response_time, 3)}"
            )
    return None


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
