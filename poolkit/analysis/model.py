"""One pool in front of the upstream as it was measured: the queue that sizes are read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poolkit.analysis.curve import Curve, SharedCurve, is_clean, points
from poolkit.analysis.dispersion import pooled_dispersion
from poolkit.analysis.knee import has_plateau, is_falling
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction, waits
from poolkit.analysis.response import HoldTimes, exceedance
from poolkit.analysis.verdict import first_shedding
from poolkit.records import CurvePoint, Sweep

# P(W > w) comes out of the formula right to about this share where the curve is known exactly, and
# the error costs more on one side: a size is taken when the prediction stays below this part of
# what is allowed (see the table in CONTRIBUTING.md).
PRUDENCE = 0.85
# On a plateau throughput is taken to stay up to this many times the largest size measured.
BEYOND = 4
CAUTION = 0.5  # standard errors by which the upstream is taken to be slower than measured


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
        """What callers meet at sizes 1 .. most, at `rate` or the objective's (calls/s)."""
        if self.most < 1:
            return ()
        rate = self.objective.rate_per_pool if rate is None else rate
        return waits(self.curve, rate, range(1, self.most + 1), self.dispersion)

    def cautious(self, rate: float | None = None) -> tuple[WaitPrediction, ...]:
        """The same for an upstream that is slower than measured, by half a standard error.

        Near saturation the needed size hangs on the last per cent of throughput, and a pool that is
        too small costs its callers more than one that is too large.
        """
        rate = self.objective.rate_per_pool if rate is None else rate
        return self.predictions(rate * (1.0 + CAUTION * self.curve.whole.error))

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
        """The smallest size that meets the objective, the floor apart; give it `cautious` ones."""
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
            if self.smallest(self.cautious(middle)) is None:
                high = middle
            else:
                low = middle
        return low * self.curve.pools if low > 0 else None


def fit_points(sweep: Sweep) -> tuple[CurvePoint, ...]:
    """The points that a size may be read off: usable, and below every size that shed calls.

    What a server does while it sheds calls is no part of the curve, at any larger size either.
    """
    shedding = first_shedding(sweep.trials)
    return tuple(
        point for point in points(sweep.trials) if shedding is None or point.pool_size < shedding
    )


def model(sweep: Sweep, objective: Objective) -> Model:
    """The queue model of one pool, from the sweep's usable trials (two sizes or more)."""
    kept = fit_points(sweep)
    curve = Curve.fit(kept)
    trials = [trial for trial in sweep.trials if is_clean(trial)]
    # Where the server sheds calls beyond the largest size, nothing is known to stay.
    if first_shedding(sweep.trials) is None and has_plateau(kept) and not is_falling(kept):
        curve = curve.held_flat(BEYOND * curve.measured)
    shared = SharedCurve(curve, objective.pools_left)
    dispersion = pooled_dispersion(trials)
    seen = 1.0 if dispersion is None else dispersion
    # Of a stream of departures each pool gets a random share, which is closer to Poisson.
    own = max(seen, 1.0 + (seen - 1.0) / shared.pools)
    most = min(objective.largest, shared.largest)
    return Model(shared, own, HoldTimes.of(trials), objective, most)
