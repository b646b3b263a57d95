"""Where the throughput curve bends, by named rules, each with a bootstrap interval.

littles_law   X_max * S(1): where the asymptotes n / S(1) and X_max meet (Kleinrock 1976, "Queueing
              Systems" vol. 2, the saturation point), S(1) the cycle time of a call that is alone.
plateau95     the smallest size whose throughput is within 5 % of the plateau.
usl_peak      the peak of the Universal Scalability Law, where the curve was seen to fall.

The bootstrap is parametric: every point of the smoothed curve is drawn again from its own standard
error, which holds the spread within its trials and between its repeats, and the rule is applied to
the drawn curve. It is seeded. The errors are drawn `WIDENING` times as large: they are estimates
from a second or two, and between the sizes measured the curve is read, not seen. With it the
intervals hold the truth in 90 % of the cases or more (tests/bench/coverage.py counts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis import usl
from poolkit.analysis.curve import Curve, relative_error
from poolkit.records import CurvePoint, Interval, Knee, Plateau

Floats = NDArray[np.float64]

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
        self.sizes = np.array([point.pool_size for point in points], dtype=float)
        self.rates = np.array([point.throughput for point in points])
        self.errors = np.array([relative_error(point) for point in points])

    def drawn(self) -> Floats:
        """Throughputs drawn again around the smoothed curve, one row a draw."""
        rng = np.random.default_rng(SEED)
        noise = rng.normal(size=(DRAWS, self.sizes.size)) * self.errors * WIDENING
        return np.asarray(self.smooth * np.exp(noise), dtype=np.float64)

    @property
    def smooth(self) -> Floats:
        """The smoothed curve's throughputs at the sizes measured."""
        return np.asarray(self.sizes / np.array(self.curve(self.rates).cycles), dtype=np.float64)

    def interval(self, rule: Callable[[Floats], float]) -> Interval:
        """The basic bootstrap interval of a rule's figure, its bias taken out (Hall 1988).

        The draws tell how far the rule strays from the figure of the curve that they were drawn
        from, and to which side; the measured figure is taken to have strayed likewise.
        """
        found, centre = rule(self.rates), rule(self.smooth)
        low, high = np.quantile([rule(rates) for rates in self.drawn()], (0.025, 0.975))
        below, above = float(found - (high - centre)), float(found - (low - centre))
        return (max(0.0, min(below, found)), max(above, found))

    def curve(self, rates: Floats) -> Curve:
        """The smoothed curve through these throughputs."""
        return Curve.through(self.sizes, rates, self.errors)

    def height(self, rates: Floats) -> float:
        """X_max of these throughputs (calls/s)."""
        return _height(self.curve(rates), self, rates)


def end_slope(points: Sequence[CurvePoint]) -> float | None:
    """Elasticity d ln X / d ln n at the upper end of the sizes measured; None: one size only.

    1: throughput rises with every connection; 0: it does not rise; below 0: it falls.
    """
    if len(points) < 2:
        return None
    # The smoothed curve at sizes that were measured: a corner between two of them was not seen.
    curve = Curve.fit(points)
    last, before = points[-1].pool_size, _before(points).pool_size
    rise = math.log(curve.throughput(last) / curve.throughput(before))
    return rise / math.log(last / before)


def has_plateau(points: Sequence[CurvePoint]) -> bool:
    """Whether throughput had stopped rising before the sizes ended, noise allowed for."""
    slope = end_slope(points)
    if slope is None:
        return False
    return slope <= FLAT + min(_slope_noise(points), MOST_NOISE)


def is_falling(points: Sequence[CurvePoint]) -> bool:
    """Whether throughput falls at the end of the sizes measured by more than noise."""
    slope = end_slope(points)
    return slope is not None and slope < -FALLING - _slope_noise(points)


def _slope_noise(points: Sequence[CurvePoint]) -> float:
    """Standard error of the slope at the end."""
    last, before = points[-1], _before(points)
    noise = math.hypot(relative_error(last), relative_error(before))
    return noise / math.log(last.pool_size / before.pool_size)


def _before(points: Sequence[CurvePoint]) -> CurvePoint:
    """The point that the slope at the end is measured against."""
    limit = UPPER_END * points[-1].pool_size
    return next((one for one in reversed(points[:-1]) if one.pool_size <= limit), points[0])


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
        return Knee(rule="littles_law", size=None, interval95=None, note=_widen(points))
    if points[0].pool_size > 1:
        # The time of a call that is alone is half of the rule, and guessed it would move the knee.
        note = f"measure 1 connection: the smallest size measured is {points[0].pool_size}"
        return Knee(rule="littles_law", size=None, interval95=None, note=note)
    data = _Points(points)

    def knee(rates: Floats) -> float:
        curve = data.curve(rates)
        return _height(curve, data, rates) * curve.cycles[0]

    size = knee(data.rates)
    note = "where n / S(1) meets the plateau"
    curve = data.curve(data.rates)
    share = curve.throughput(min(size, curve.measured)) / data.height(data.rates)
    if share < SOFT:
        note += f"; the curve is soft: throughput there is {share:.0%} of the plateau"
    return Knee(rule="littles_law", size=size, interval95=data.interval(knee), note=note)


def plateau95(points: Sequence[CurvePoint]) -> Knee:
    """The smallest size, whole or not, within 5 % of the plateau."""
    if not has_plateau(points):
        return Knee(rule="plateau95", size=None, interval95=None, note=_widen(points))
    data = _Points(points)
    return Knee(
        rule="plateau95",
        size=_reaches(data, data.rates),
        interval95=data.interval(lambda rates: _reaches(data, rates)),
        note="smallest size within 5 % of the plateau",
    )


def usl_peak(points: Sequence[CurvePoint]) -> Knee:
    """The peak of the fitted law; none where the curve was not seen to fall.

    The law bends too slowly for a row of workers and then invents a coherency cost, so a peak
    counts only when its interval of beta excludes 0, it lies among the sizes measured, and
    throughput at the largest size is below the highest by more than noise.
    """
    if len(points) < 4:
        return _no_peak("four sizes or more are needed")
    data = _Points(points)
    law = usl.fit(data.sizes, data.rates, data.errors)
    drawn = [usl.fit(data.sizes, rates, data.errors) for rates in data.drawn()]
    lowest_cost = float(np.quantile([one.beta for one in drawn], 0.025))
    if law.peak is None or lowest_cost <= 1e-9:
        return _no_peak("none seen: the coherency cost's interval includes 0")
    top = int(np.argmax(data.rates))
    fall = math.log(data.rates[top] / data.rates[-1])
    noise = math.hypot(data.errors[top], data.errors[-1])
    if law.peak > data.sizes[-1] or fall < max(SAME_HEIGHT, 3.0 * noise):
        return _no_peak("none seen: throughput does not fall within the sizes measured")
    return Knee(
        rule="usl_peak",
        size=law.peak,
        interval95=_interval_of_peaks([one.peak for one in drawn]),
        note="beyond it a larger pool lowers the throughput",
    )


def _interval_of_peaks(peaks: Sequence[float | None]) -> Interval:
    """The middle 95 % of drawn peaks; a draw that only rises has its peak beyond all others.

    2.5 % of them at most are without one, or no peak is told at all, so the upper end is a number.
    """
    found = np.array([math.inf if peak is None else peak for peak in peaks])
    low = np.quantile(found, 0.025, method="lower")
    high = np.quantile(found, 0.975, method="lower")
    return (float(low), float(high))


def _height(curve: Curve, data: _Points, rates: Floats) -> float:
    """X_max (calls/s): the mean over the sizes where the smoothed curve is as high as anywhere.

    The highest of several noisy points lies above the truth, their mean does not.
    """
    smooth = data.sizes / np.array(curve.cycles)
    top = smooth >= TOP * smooth.max()
    weights = 1.0 / (rates[top] * data.errors[top]) ** 2
    return float(weights @ rates[top] / weights.sum())


def _reaches(data: _Points, rates: Floats) -> float:
    """The smallest size, whole or not, at which the curve is within 5 % of its height."""
    curve = data.curve(rates)
    grid = np.linspace(curve.smallest, curve.measured, 513)
    throughputs = curve.throughputs(grid)
    need = NEAR_PLATEAU * min(_height(curve, data, rates), float(throughputs.max()))
    return float(grid[np.flatnonzero(throughputs >= need)[0]])


def _widen(points: Sequence[CurvePoint]) -> str:
    if len(points) < 2:
        return "no knee seen: one size is not a curve, measure more sizes"
    last = points[-1].pool_size
    return f"no knee seen, widen the range: throughput still rises at {last} connections"


def _no_peak(why: str) -> Knee:
    return Knee(rule="usl_peak", size=None, interval95=None, note=why)
