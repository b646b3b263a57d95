"""How long callers take in all: wait for a connection and hold time, as a distribution."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.curve import is_clean
from poolkit.analysis.queueing import P99, WaitPrediction
from poolkit.histogram import BUCKETS, GROWTH, LOWEST
from poolkit.records import Trial

Floats = NDArray[np.float64]

# Middles of equal shares of an exponential wait, in mean waits: enough for a p99 to 2 %.
_STEPS = 16
_WAITS = -np.log1p(-(np.arange(_STEPS) + 0.5) / _STEPS)


@dataclass(frozen=True, slots=True, eq=False)
class HoldTimes:
    """The distributions of hold times that closed-loop trials saw, by calls on the upstream.

    Attributes:
        sizes: calls on the upstream, ascending.
        above: one row a size: share of the holds beyond each bucket of `poolkit.histogram`.
    """

    sizes: tuple[int, ...]
    above: Floats

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> HoldTimes:
        """Those of the usable closed-loop trials, repeats added up."""
        counts: dict[int, Floats] = defaultdict(lambda: np.zeros(BUCKETS))
        for trial in trials:
            if is_clean(trial) and trial.hold_time.buckets:
                buckets = trial.hold_time.buckets
                counts[trial.pool_size * trial.pools][list(buckets)] += list(buckets.values())
        sizes = tuple(sorted(counts))
        rows = [1.0 - np.cumsum(counts[size]) / counts[size].sum() for size in sizes]
        return cls(sizes, np.maximum(np.array(rows), 0.0))

    def shares_above(self, times: Floats, most: int) -> Floats:
        """P(hold > time): one row for each of 1 .. most calls on the upstream, a column a time.

        Between the sizes measured, shares are interpolated over the logarithm of the size, and
        within a bucket over the logarithm of the time.
        """
        at = np.log(np.maximum(times, LOWEST) / LOWEST) / math.log(GROWTH)
        buckets = np.arange(BUCKETS)
        rows = np.array([np.interp(at, buckets, row) for row in self.above])
        wanted, known = np.log(np.arange(1, most + 1)), np.log(np.array(self.sizes))
        columns = [np.interp(wanted, known, rows[:, column]) for column in range(times.size)]
        return np.asarray(np.stack(columns, axis=1))


def exceedance(prediction: WaitPrediction, holds: HoldTimes, limit: float, pools: int = 1) -> float:
    """P(response > limit), 0 to 1, of a call that meets the pool as `prediction` has it.

    With k calls in the system before it, a call's hold is drawn from the closed-loop trial with k
    + 1 (those of `pools` equal pools taken together); with every connection busy it waits first,
    for an exponential time of rate `decay`. 1 where the pool does not carry the rate.
    """
    if not prediction.is_stable or not holds.sizes:
        return 1.0
    waits = _WAITS / prediction.decay
    # Times that are left for the hold: all of the limit, or what a wait leaves of it.
    left = np.concatenate(([limit], np.maximum(limit - waits, 0.0)))
    size = prediction.pool_size
    shares = holds.shares_above(left, size * pools)[pools - 1 :: pools]
    levels = np.array(prediction.levels)
    at_level = levels[:-1] - levels[1:]
    at_once = float(at_level @ shares[:, 0])
    late = np.where(waits >= limit, 1.0, shares[-1, 1:])
    return min(1.0, max(0.0, at_once + prediction.waiting * float(late.mean())))


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
