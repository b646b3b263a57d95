"""How long callers take in all: wait for a connection and hold time, as a distribution."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from poolkit.analysis.curve import is_clean
from poolkit.analysis.queueing import P99, WaitPrediction
from poolkit.histogram import BUCKETS, GROWTH, LOWEST
from poolkit.records import Trial

Floats = NDArray[np.float64]

# An exponential wait as a few waits, in mean waits, with their shares: finer towards the longest,
# which make up a p99 where the wait is longer than the hold.
_BEYOND = np.concatenate((np.linspace(1.0, 0.1, 16)[:-1], np.geomspace(0.1, 1e-4, 24), [0.0]))
_SHARES = _BEYOND[:-1] - _BEYOND[1:]
_WAITS = -np.log((_BEYOND[:-1] + _BEYOND[1:]) / 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class HoldTimes:
    """The distributions of hold times that closed-loop trials saw, by calls on the upstream.

    More calls on an upstream never make a call shorter, so at every time the share beyond it rises
    with the calls: isotonic regression, weighted by the calls seen, takes out where a few long
    calls among few say otherwise. With it more calls/s never mean fewer late responses.

    Attributes:
        sizes: calls on the upstream, ascending.
        above: one row a size: share of the holds beyond each bucket of `poolkit.histogram`.
    """

    sizes: tuple[int, ...]
    above: Floats

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> HoldTimes:
        """Those of the usable closed-loop trials, repeats added up and made to rise with size.

        Without any, those of open loops, each at the connections that it had in use on average.
        """
        counts: dict[int, Floats] = defaultdict(lambda: np.zeros(BUCKETS))
        held = [trial for trial in trials if trial.hold_time.buckets]
        for trial in list(filter(is_clean, held)) or held:
            in_use = trial.connections
            if not trial.is_of_curve:
                in_use = max(1, round(trial.throughput * trial.mean_hold))
            buckets = trial.hold_time.buckets
            counts[in_use][list(buckets)] += list(buckets.values())
        sizes = tuple(sorted(counts))
        totals = np.array([counts[size].sum() for size in sizes])
        rows = [1.0 - np.cumsum(counts[size]) / counts[size].sum() for size in sizes]
        above = np.maximum(np.array(rows), 0.0)
        if len(sizes) > 1:
            for column in np.flatnonzero((np.diff(above, axis=0) < 0.0).any(axis=0)):
                above[:, column] = isotonic_regression(above[:, column], weights=totals).x
        return cls(sizes, above)

    def slowed(self, factor: float) -> HoldTimes:
        """The same with every hold `factor` times as long (more than 0)."""
        buckets = np.arange(BUCKETS)
        moved = buckets - math.log(factor) / math.log(GROWTH)
        rows = [np.interp(moved, buckets, row, left=1.0) for row in self.above]
        return HoldTimes(self.sizes, np.array(rows))

    def shares_above(self, time: float, most: int) -> Floats:
        """P(hold > time (s)) for each of 1 .. most calls on the upstream.

        Between the sizes measured, shares are interpolated over the logarithm of the size, and
        within a bucket over the logarithm of the time.
        """
        shares = self._measured(np.array([time]))[:, 0]
        calls = np.arange(1, most + 1)
        return np.asarray(np.interp(np.log(calls), np.log(np.array(self.sizes)), shares))

    def shares_at(self, times: Floats, calls: int) -> Floats:
        """P(hold > time) at several times with so many calls on the upstream."""
        rows, known = self._measured(times), np.log(np.array(self.sizes))
        place = float(np.interp(math.log(calls), known, np.arange(known.size)))
        below = min(int(place), max(0, known.size - 2))
        above = min(below + 1, known.size - 1)
        return np.asarray(rows[below] + (place - below) * (rows[above] - rows[below]))

    def _measured(self, times: Floats) -> Floats:
        """P(hold > time) at the sizes measured, one row a size."""
        at = np.log(np.maximum(times, LOWEST) / LOWEST) / math.log(GROWTH)
        bucket = np.minimum(at.astype(int), BUCKETS - 2)
        inside = np.minimum(at - bucket, 1.0)
        lower, upper = self.above[:, bucket], self.above[:, bucket + 1]
        return np.asarray(lower + inside * (upper - lower))


def exceedance(prediction: WaitPrediction, holds: HoldTimes, limit: float, pools: int = 1) -> float:
    """P(response > limit), 0 to 1, of a call that meets the pool as `prediction` has it.

    With k calls in the system before it, a call's hold is drawn from the closed-loop trial with k
    + 1 (those of `pools` equal pools taken together); with every connection busy it waits first,
    for an exponential time of rate `decay`. 1 where the pool does not carry the rate.
    """
    if not prediction.is_stable or not holds.sizes:
        return 1.0
    waits = _WAITS / prediction.decay
    calls = prediction.pool_size * pools
    at_limit = holds.shares_above(limit, calls)[pools - 1 :: pools]
    levels = np.array(prediction.levels)
    at_once = float((levels[:-1] - levels[1:]) @ at_limit)
    # What a wait leaves of the limit is left for the hold.
    left = np.maximum(limit - waits, 0.0)
    late = np.where(waits >= limit, 1.0, holds.shares_at(left, calls))
    return min(1.0, max(0.0, at_once + prediction.waiting * float(_SHARES @ late)))


def p99(prediction: WaitPrediction, holds: HoldTimes, pools: int = 1) -> float | None:
    """The response time (s) that 1 % of the calls exceed; None where the rate is not carried."""
    if not prediction.is_stable or not holds.sizes:
        return None
    low, high = 1e-6, 1e3
    for _ in range(40):
        middle = math.sqrt(low * high)
        if exceedance(prediction, holds, middle, pools) > P99:
            low = middle
        else:
            high = middle
    return high
