"""How long callers take in all: wait for a connection and hold time, as a distribution."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from poolkit.analysis.curve import Curve, is_clean
from poolkit.analysis.queueing import P99, WaitPrediction
from poolkit.histogram import GROWTH, LOWEST
from poolkit.records import BUCKETS, Trial

Floats = NDArray[np.float64]

SAME_RESPONSE = 0.02  # share by which two response times may differ and be the same to a caller
NOBODY = 1e-4  # share of calls that wait, below which waits show in no mean and no p99
APART = 0.03  # share by which the sizes of hold times are apart at most
STEPS = 26  # of the bisection for a p99, over nine decades of time: to 1 in 3 million

# An exponential wait as a few waits, in mean waits, with their shares: finer towards the longest,
# which make up a p99 where the wait is longer than the hold.
_BEYOND = np.concatenate((np.linspace(1.0, 0.1, 16)[:-1], np.geomspace(0.1, 1e-4, 24), [0.0]))
_SHARES = _BEYOND[:-1] - _BEYOND[1:]
_WAITS = -np.log((_BEYOND[:-1] + _BEYOND[1:]) / 2.0)
# What the share beyond each bucket adds to a mean (s): from its middle to that of the next.
_WIDTHS = np.diff(LOWEST * GROWTH ** (np.arange(BUCKETS + 1) - 0.5))


@dataclass(frozen=True, slots=True, eq=False)
class HoldTimes:
    """The distributions of hold times by calls on the upstream, from closed-loop trials.

    More calls on an upstream never make a call shorter, so at every time the share beyond it rises
    with the calls: isotonic regression, weighted by the calls seen, takes out where a few long
    calls among few say otherwise. With it more calls/s never mean fewer late responses.

    Attributes:
        sizes: calls on the upstream, ascending, closer than `APART` from the smallest measured on.
        above: one row a size: share of the holds beyond each bucket of `poolkit.histogram`.
    """

    sizes: tuple[int, ...]
    above: Floats

    @classmethod
    def of(cls, trials: Iterable[Trial], curve: Curve) -> HoldTimes:
        """Those of the usable closed-loop trials, with the mean hold times of their curve.

        Between two sizes measured, the shape of the distribution is interpolated over the logarithm
        of the size, and its mean is the curve's: a mix of the two as they were seen would have two
        humps, and a p99 that jumps from size to size.

        Without closed loops, those of open ones, each at the connections that it had in use on
        average.
        """
        counts: dict[int, Floats] = defaultdict(lambda: np.zeros(BUCKETS))
        held = [trial for trial in trials if trial.hold_time.buckets]
        for trial in list(filter(is_clean, held)) or held:
            in_use = trial.connections
            if not trial.is_of_curve:
                in_use = max(1, round(trial.throughput * trial.mean_hold))
            buckets = trial.hold_time.buckets
            counts[in_use][list(buckets)] += list(buckets.values())
        if not counts:
            return cls((), np.zeros((0, BUCKETS)))
        seen = sorted(counts)
        totals = np.array([counts[size].sum() for size in seen])
        rows = [1.0 - np.cumsum(counts[size]) / counts[size].sum() for size in seen]
        measured = _rising(np.maximum(np.array(rows), 0.0), totals)
        means = measured @ _WIDTHS
        sizes = _sizes(min(curve.smallest, seen[0]), max(curve.largest, seen[-1]))
        overhead = curve.cycles[0] - curve.hold
        holds = curve.cycle_time(np.minimum(sizes, curve.largest)) - overhead
        weights = _weights(np.log(seen), np.log(sizes))
        above = np.zeros((len(sizes), BUCKETS))
        for row, hold, shares in zip(above, holds, weights, strict=True):
            for at in np.flatnonzero(shares):
                longer = hold / means[at] if means[at] > 0 and hold > 0 else 1.0
                row += shares[at] * _slowed(measured[at], longer)
        return cls(tuple(sizes.tolist()), np.maximum.accumulate(above, axis=0))

    def slowed(self, factor: float) -> HoldTimes:
        """The same with every hold `factor` times as long (more than 0)."""
        return HoldTimes(self.sizes, np.array([_slowed(row, factor) for row in self.above]))

    def shares_above(self, times: Floats) -> Floats:
        """P(hold > time (s)): one row for each of `sizes`, one column a time."""
        bucket, inside = _place(times)
        lower, upper = self.above[:, bucket], self.above[:, bucket + 1]
        return np.asarray(lower + inside * (upper - lower))

    def shares_at(self, times: Floats, weights: Floats) -> Floats:
        """The same with one row of times, and one row of weights of `sizes`, a pool size."""
        bucket, inside = _place(times)
        late = np.zeros_like(times)
        for row, shares in enumerate(weights):
            for at in np.flatnonzero(shares):
                lower, upper = self.above[at, bucket[row]], self.above[at, bucket[row] + 1]
                late[row] += shares[at] * (lower + inside[row] * (upper - lower))
        return late

    def weights(self, calls: NDArray[np.int64]) -> Floats:
        """What each of `sizes` counts with so many calls on the upstream, one row a number."""
        return _weights(np.log(self.sizes), np.log(calls))


def _sizes(smallest: int, largest: int) -> NDArray[np.int64]:
    """Every size up to where they are closer than `APART`, and as close beyond."""
    sizes = [smallest]
    while sizes[-1] < largest:
        sizes.append(min(largest, math.ceil(sizes[-1] * (1.0 + APART))))
    return np.array(sizes)


def _weights(known: Floats, asked: Floats) -> Floats:
    """The weights of linear interpolation, one row a value asked; the nearest counts beyond."""
    place = np.interp(asked, known, np.arange(known.size))
    rows, below = np.arange(asked.size), np.minimum(place.astype(int), max(0, known.size - 2))
    made = np.zeros((asked.size, known.size))
    made[rows, below] = 1.0 - (place - below)
    made[rows, np.minimum(below + 1, known.size - 1)] += place - below
    return made


def _rising(above: Floats, weights: Floats) -> Floats:
    """Each column made to rise from row to row."""
    if len(above) > 1:
        for column in np.flatnonzero((np.diff(above, axis=0) < 0.0).any(axis=0)):
            above[:, column] = scipy.optimize.isotonic_regression(
                above[:, column], weights=weights
            ).x
    return above


def _slowed(row: Floats, factor: float) -> Floats:
    """Shares beyond each bucket with every time `factor` times as long."""
    buckets = np.arange(BUCKETS)
    moved = buckets - math.log(factor) / math.log(GROWTH)
    return np.asarray(np.interp(moved, buckets, row, left=1.0))


def _place(times: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The bucket whose upper edge is at or below each time, and how far it is to the next."""
    at = np.log(np.maximum(times, LOWEST) / LOWEST) / math.log(GROWTH)
    bucket = np.minimum(at.astype(int), BUCKETS - 2)
    return bucket, np.minimum(at - bucket, 1.0)


class Responses:
    """P(response > time) at several pool sizes at once, of calls that meet them as predicted.

    With k calls in the system before it, a call's hold is drawn from the closed-loop trial with k
    + 1 (those of `pools` equal pools taken together); with every connection busy it waits first,
    for an exponential time of rate `decay`.

    Args:
        predictions: of one pool each; all of them carry the rate.
    """

    def __init__(
        self, predictions: Sequence[WaitPrediction], holds: HoldTimes, pools: int = 1
    ) -> None:
        sizes = np.array([one.pool_size for one in predictions])
        of_calls = holds.weights(pools * np.arange(1, sizes.max() + 1))
        found = np.zeros((sizes.size, sizes.max()))  # P(k calls before it), k below the size
        for row, one in zip(found, predictions, strict=True):
            row[: one.pool_size] = -np.diff(one.levels)
        self._holds = holds
        self._at_once = found @ of_calls
        self._full = of_calls[sizes - 1]
        self._waiting = np.array([one.waiting for one in predictions])
        self._waits = _WAITS / np.array([[one.decay] for one in predictions])

    def above(self, times: Floats) -> Floats:
        """P(response > time), 0 to 1, one time (s) a size."""
        at_once = np.einsum("sm,ms->s", self._at_once, self._holds.shares_above(times))
        # What a wait leaves of the time is left for the hold.
        left = np.maximum(times[:, None] - self._waits, 0.0)
        late = np.where(self._waits >= times[:, None], 1.0, self._holds.shares_at(left, self._full))
        return np.asarray(np.clip(at_once + self._waiting * (late @ _SHARES), 0.0, 1.0))

    def p99s(self) -> Floats:
        """The response time (s) that 1 % of the calls exceed, at each size."""
        low, high = np.full(self._waiting.size, 1e-6), np.full(self._waiting.size, 1e3)
        for _ in range(STEPS):
            middle = np.sqrt(low * high)
            is_short = self.above(middle) > P99
            low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
        return high


def exceedance(prediction: WaitPrediction, holds: HoldTimes, limit: float, pools: int = 1) -> float:
    """P(response > limit (s)), 0 to 1; 1 where the pool does not carry the rate."""
    if not prediction.is_stable or not holds.sizes:
        return 1.0
    return float(Responses([prediction], holds, pools).above(np.array([limit]))[0])


def p99(prediction: WaitPrediction, holds: HoldTimes, pools: int = 1) -> float | None:
    """The response time (s) that 1 % of the calls exceed; None where the rate is not carried."""
    return p99s([prediction], holds, pools)[0]


def p99s(
    predictions: Sequence[WaitPrediction], holds: HoldTimes, pools: int = 1
) -> list[float | None]:
    """The same of several sizes."""
    carried = [one for one in predictions if one.is_stable and holds.sizes]
    found = iter(Responses(carried, holds, pools).p99s().tolist() if carried else ())
    return [next(found) if one.is_stable and holds.sizes else None for one in predictions]


def gains_by_more(prediction: WaitPrediction, holds: HoldTimes, pools: int = 1) -> bool:
    """Whether callers would be served sooner, by more than `SAME_RESPONSE`, if none had to wait.

    So much is the most that a larger pool can do for them.
    """
    if not prediction.is_stable or not holds.sizes:
        return True
    at_once = replace(prediction, decay=math.inf)
    seen, best = Responses([prediction, at_once], holds, pools).p99s().tolist()
    mean_seen, mean_best = prediction.response_time or 0.0, prediction.hold_time
    return seen > (1.0 + SAME_RESPONSE) * best or mean_seen > (1.0 + SAME_RESPONSE) * mean_best


def as_soon(
    predictions: Sequence[WaitPrediction], holds: HoldTimes, pools: int = 1
) -> frozenset[int]:
    """The pool sizes with which callers are served as soon as with the best of these.

    The best have the shortest mean response, within `SAME_RESPONSE`; of these, those are left whose
    p99 response is the shortest, within the same. Past saturation the queue moves from the pool
    into the server as the pool grows, so small sizes and large ones may be alike.
    """
    means = {one: one.response_time for one in predictions if one.response_time is not None}
    if not means or not holds.sizes:
        return frozenset()
    limit = (1.0 + SAME_RESPONSE) * min(means.values())
    close = [one for one, mean in means.items() if mean <= limit]
    # Where nobody waits a larger pool is the same to every caller.
    busy = [one for one in close if one.waiting > NOBODY]
    asked = [*busy, *[one for one in close if one.waiting <= NOBODY][:1]]
    times = Responses(asked, holds, pools).p99s()
    short = times <= (1.0 + SAME_RESPONSE) * times.min()
    sizes = {one.pool_size for one, is_short in zip(asked, short, strict=True) if is_short}
    if asked[-1].pool_size in sizes and asked[-1].waiting <= NOBODY:
        sizes |= {one.pool_size for one in close if one.waiting <= NOBODY}
    return frozenset(sizes)
