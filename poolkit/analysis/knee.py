"""Where the throughput curve bends, by named rules, each with a bootstrap interval.

littles_law   X_max * S(1): where the asymptotes n / S(1) and X_max meet (Kleinrock 1976, "Queueing
              Systems" vol. 2, the saturation point), S(1) the cycle time of a call that is alone.
plateau95     the smallest size whose throughput is within 5 % of the plateau.
usl_peak      the peak of the Universal Scalability Law, where the curve was seen to fall:
              X(n) = gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))   (Gunther, "Guerrilla
              Capacity Planning", 2007, ch. 4). gamma: calls/s of one connection; alpha: contention,
              the share of a call that queues for something shared; beta: coherency, what each pair
              of calls costs.

The bootstrap is parametric: every point of the smoothed curve is drawn again from its own standard
error, which holds the spread within its trials and between its repeats, and the rule is applied to
the drawn curve. It is seeded. The errors are drawn `WIDENING` times as large: they are estimates
from a second or two, and between the sizes measured the curve is read, not seen. With it the
intervals hold the truth in 90 % of the cases or more (tests/bench/coverage.py counts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts are loaded when they are first used

from poolkit.analysis.curve import Curve, Floats, as_arrays, relative_error
from poolkit.records import CurvePoint, Interval, Knee, KneeRule, Plateau

DRAWS = 200
SEED = 20_061
WIDENING = 1.2
NEAR_PLATEAU = 0.95  # of the plateau's throughput
SAME_HEIGHT = 0.02  # a fall smaller than this was not seen
# d ln X / d ln n at the upper end below which no more is expected: a doubling brings 9 % at most.
FLAT = 0.12
FALLING = 0.05  # d ln X / d ln n below minus this is a fall
MOST_NOISE = 0.1  # in that slope, allowed for
TOP = 0.975  # share of the highest throughput from which a size belongs to the plateau
SOFT = 0.85  # share of the plateau's throughput at the knee below which the note warns
UPPER_END = 0.75  # the end's slope is measured against the largest size below this share of it


class _Points:
    """The points as arrays: sizes, throughputs (calls/s) and their relative standard errors."""

    def __init__(self, points: Sequence[CurvePoint]) -> None:
        self.sizes, self.rates, self.errors = as_arrays(points)
        # The smoothed curve's throughputs at the sizes measured.
        self.smooth = self.sizes / np.array(self.curve(self.rates).cycles)

    def curve(self, rates: Floats) -> Curve:
        """The smoothed curve through these throughputs."""
        return Curve.through(self.sizes, rates, self.errors)

    def drawn(self) -> Floats:
        """Throughputs drawn again around the smoothed curve, one row a draw."""
        rng = np.random.default_rng(SEED)
        noise = rng.normal(size=(DRAWS, self.sizes.size)) * self.errors * WIDENING
        return np.asarray(self.smooth * np.exp(noise), dtype=np.float64)

    def interval(self, rule: Callable[[Floats], float]) -> Interval:
        """The basic bootstrap interval of a rule's figure, its bias taken out (Hall 1988).

        The draws tell how far the rule strays from the figure of the curve that they were drawn
        from, and to which side; the measured figure is taken to have strayed likewise.
        """
        found, centre = rule(self.rates), rule(self.smooth)
        low, high = np.quantile([rule(rates) for rates in self.drawn()], (0.025, 0.975))
        below, above = float(found - (high - centre)), float(found - (low - centre))
        return (max(0.0, min(below, found)), max(above, found))

    def height(self, rates: Floats, curve: Curve | None = None) -> float:
        """X_max (calls/s): the mean over the sizes where the smoothed curve is as high as anywhere.

        The highest of several noisy points lies above the truth, their mean does not.
        """
        curve = self.curve(rates) if curve is None else curve
        smooth = self.sizes / np.array(curve.cycles)
        top = smooth >= TOP * smooth.max()
        weights = 1.0 / (rates[top] * self.errors[top]) ** 2
        return float(weights @ rates[top] / weights.sum())

    def reaches(self, rates: Floats) -> float:
        """The smallest size, whole or not, at which the curve is within 5 % of its height."""
        curve = self.curve(rates)
        grid = np.linspace(curve.smallest, curve.measured, 513)
        throughputs = curve.throughputs(grid)
        need = NEAR_PLATEAU * min(self.height(rates, curve), float(throughputs.max()))
        return float(grid[np.flatnonzero(throughputs >= need)[0]])


def end_slope(points: Sequence[CurvePoint]) -> tuple[float, float] | None:
    """Elasticity d ln X / d ln n at the upper end of the sizes measured, and its standard error.

    1: throughput rises with every connection; 0: it does not rise; below 0: it falls. None where
    only one size was measured.
    """
    if len(points) < 2:
        return None
    last, limit = points[-1], UPPER_END * points[-1].pool_size
    before = next((one for one in reversed(points[:-1]) if one.pool_size <= limit), points[0])
    # The smoothed curve at sizes that were measured: a corner between two of them was not seen.
    curve = Curve.fit(points)
    rise = math.log(curve.throughput(last.pool_size) / curve.throughput(before.pool_size))
    further = math.log(last.pool_size / before.pool_size)
    return rise / further, math.hypot(relative_error(last), relative_error(before)) / further


def has_plateau(points: Sequence[CurvePoint]) -> bool:
    """Whether throughput had stopped rising before the sizes ended, noise allowed for."""
    slope, noise = end_slope(points) or (math.inf, 0.0)
    return slope <= FLAT + min(noise, MOST_NOISE)


def is_falling(points: Sequence[CurvePoint]) -> bool:
    """Whether throughput falls at the end of the sizes measured by more than noise."""
    slope, noise = end_slope(points) or (math.inf, 0.0)
    return slope < -FALLING - noise


def plateau(points: Sequence[CurvePoint]) -> Plateau | None:
    """The throughput that no larger pool improves; None where the curve still rises at its end."""
    if not has_plateau(points):
        return None
    data = _Points(points)
    return Plateau(throughput=data.height(data.rates), interval95=data.interval(data.height))


def knees(points: Sequence[CurvePoint]) -> tuple[Knee, ...]:
    """All three rules; a size of None says in its note why none was seen."""
    return (littles_law(points), plateau95(points), usl_peak(points))


def littles_law(points: Sequence[CurvePoint]) -> Knee:
    """X_max * S(1), in connections."""
    if not has_plateau(points):
        return _no_knee("littles_law", _widen(points))
    if points[0].pool_size > 1:
        # The time of a call that is alone is half of the rule, and guessed it would move the knee.
        note = f"measure 1 connection: the smallest size measured is {points[0].pool_size}"
        return _no_knee("littles_law", note)
    data = _Points(points)

    def knee(rates: Floats) -> float:
        curve = data.curve(rates)
        return data.height(rates, curve) * curve.cycles[0]

    size = knee(data.rates)
    note = "where n / S(1) meets the plateau"
    curve = data.curve(data.rates)
    share = curve.throughput(min(size, curve.measured)) / data.height(data.rates, curve)
    if share < SOFT:
        note += f"; the curve is soft: throughput there is {share:.0%} of the plateau"
    return Knee(rule="littles_law", size=size, interval95=data.interval(knee), note=note)


def plateau95(points: Sequence[CurvePoint]) -> Knee:
    """The smallest size, whole or not, within 5 % of the plateau."""
    if not has_plateau(points):
        return _no_knee("plateau95", _widen(points))
    data = _Points(points)
    size, interval = data.reaches(data.rates), data.interval(data.reaches)
    note = "smallest size within 5 % of the plateau"
    return Knee(rule="plateau95", size=size, interval95=interval, note=note)


def usl_peak(points: Sequence[CurvePoint]) -> Knee:
    """The peak of the fitted law; none where the curve was not seen to fall.

    The law bends too slowly for a row of workers and then invents a coherency cost, so a peak
    counts only when its interval of beta excludes 0, it lies among the sizes measured, and
    throughput at the largest size is below the highest by more than noise.
    """
    if len(points) < 4:
        return _no_knee("usl_peak", "four sizes or more are needed")
    data = _Points(points)
    law = ScalabilityLaw.fit(data.sizes, data.rates, data.errors)
    drawn = [ScalabilityLaw.fit(data.sizes, rates, data.errors) for rates in data.drawn()]
    lowest_cost = float(np.quantile([one.beta for one in drawn], 0.025))
    if law.peak is None or lowest_cost <= 1e-9:
        return _no_knee("usl_peak", "none seen: the coherency cost's interval includes 0")
    top = int(np.argmax(data.rates))
    fall = math.log(data.rates[top] / data.rates[-1])
    noise = math.hypot(data.errors[top], data.errors[-1])
    if law.peak > data.sizes[-1] or fall < max(SAME_HEIGHT, 3.0 * noise):
        note = "none seen: throughput does not fall within the sizes measured"
        return _no_knee("usl_peak", note)
    interval = _interval_of_peaks([one.peak for one in drawn])
    note = "beyond it a larger pool lowers the throughput"
    return Knee(rule="usl_peak", size=law.peak, interval95=interval, note=note)


class ScalabilityLaw(NamedTuple):
    """The figures of the Universal Scalability Law; all 0 or more."""

    gamma: float
    alpha: float
    beta: float

    @classmethod
    def fit(cls, sizes: Floats, rates: Floats, errors: Floats) -> ScalabilityLaw:
        """Weighted least squares with all figures 0 or more; give it three sizes or more.

        n / X(n) = (1 + alpha * (n - 1) + beta * n * (n - 1)) / gamma is linear in 1 / gamma,
        alpha / gamma and beta / gamma, so no search is needed. `errors` are relative standard
        errors.
        """
        cycles = sizes / rates
        weights = 1.0 / (cycles * errors)
        terms = np.column_stack((np.ones_like(sizes), sizes - 1.0, sizes * (sizes - 1.0)))
        (base, alpha, beta), _ = scipy.optimize.nnls(terms * weights[:, None], cycles * weights)
        base = max(float(base), 1e-12)
        return cls(1.0 / base, float(alpha) / base, float(beta) / base)

    @property
    def peak(self) -> float | None:
        """n = sqrt((1 - alpha) / beta); None where throughput only rises, 1 where it only falls."""
        if self.beta <= 0:
            return None
        return math.sqrt((1.0 - self.alpha) / self.beta) if self.alpha < 1 else 1.0


def _interval_of_peaks(peaks: Sequence[float | None]) -> Interval:
    """The middle 95 % of drawn peaks; a draw that only rises has its peak beyond all others.

    2.5 % of them at most are without one, or no peak is given at all, so the upper end is a number.
    """
    found = np.array([math.inf if peak is None else peak for peak in peaks])
    low, high = np.quantile(found, (0.025, 0.975), method="lower")
    return (float(low), float(high))


def _widen(points: Sequence[CurvePoint]) -> str:
    if len(points) < 2:
        return "no knee seen: one size is not a curve, measure more sizes"
    last = points[-1].pool_size
    return f"no knee seen, widen the range: throughput still rises at {last} connections"


def _no_knee(rule: KneeRule, why: str) -> Knee:
    return Knee(rule=rule, size=None, interval95=None, note=why)
