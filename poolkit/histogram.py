"""A mergeable histogram of times with a fixed relative precision.

Bucket 0 holds times up to 1 microsecond; bucket i > 0 holds (LOWEST * GROWTH**(i-1),
LOWEST * GROWTH**i], so a quantile is off by at most 0.5 % of its value. Sums, counts and the
longest time are exact. Merging adds counts, so memory does not grow with the number of calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from poolkit.records import BUCKETS, Distribution

LOWEST = 1e-6  # s
GROWTH = 1.01
# The last of the BUCKETS holds times up to 1e-6 * 1.01**1999 s = 436 s, and all that are longer.
_LOG_GROWTH = math.log(GROWTH)
_LOG_LOWEST = math.log(LOWEST)
_PER_LOG = 1.0 / _LOG_GROWTH

Times = NDArray[np.float64]


def bucket_of(times: Times) -> NDArray[np.int64]:
    """The bucket index of each time (s, 0 or more)."""
    index = np.maximum(times, LOWEST)
    # In place: this is most of what recording costs a call.
    np.log(index, out=index)
    index -= _LOG_LOWEST
    index *= _PER_LOG
    index -= 1e-9  # the slack keeps an exact upper edge in its own bucket
    np.ceil(index, out=index)
    np.minimum(index, BUCKETS - 1, out=index)
    return index.astype(np.int64)


def value_of(bucket: int) -> float:
    """The time (s) that stands for a bucket: its geometric middle, 0 for the lowest."""
    return 0.0 if bucket == 0 else LOWEST * GROWTH ** (bucket - 0.5)


class Histogram:
    """Counts of times by bucket, with their exact sum and maximum; mutable while recording."""

    __slots__ = ("counts", "longest", "total")

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, dtype=np.int64)
        self.total = 0.0
        self.longest = 0.0

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, longest={self.longest:.6f})"

    @property
    def count(self) -> int:
        """How many times were added."""
        return int(self.counts.sum())

    def add(self, times: Times) -> None:
        """Add times (s); negative ones count as 0."""
        if times.size:
            add_rows([self], np.array([times]))

    def merge(self, other: Histogram) -> None:
        """Add everything that the other histogram holds."""
        self.counts += other.counts
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    def without(self, other: Histogram) -> Histogram:
        """What is left when the times of `other`, all of them in here, are taken out.

        Its longest time is only known as that of the whole.
        """
        rest = Histogram()
        rest.counts = self.counts - other.counts
        rest.total = max(0.0, self.total - other.total)
        rest.longest = self.longest
        return rest

    def distribution(self) -> Distribution:
        """Freeze into a record."""
        count = self.count
        if count == 0:
            return Distribution(count=0)
        buckets = {int(i): int(self.counts[i]) for i in np.flatnonzero(self.counts)}
        return Distribution(
            count=count,
            mean=self.total / count,
            p50=min(quantile(buckets, 0.50), self.longest),
            p95=min(quantile(buckets, 0.95), self.longest),
            p99=min(quantile(buckets, 0.99), self.longest),
            longest=self.longest,
            buckets=buckets,
        )


def together(parts: Iterable[Distribution]) -> Distribution:
    """The times of several distributions as one, as if they had been recorded in one histogram."""
    whole = Histogram()
    for part in parts:
        for index, count in part.buckets.items():
            whole.counts[index] += count
        whole.total += (part.mean or 0.0) * part.count
        whole.longest = max(whole.longest, part.longest or 0.0)
    return whole.distribution()


def add_rows(histograms: Sequence[Histogram], times: Times) -> None:
    """Add each row of times (s) to its histogram, at a fraction of the cost of one by one.

    Args:
        times: one row a histogram, of 1 or more times; negative ones count as 0 and become it.
    """
    np.maximum(times, 0.0, out=times)
    totals, most = times.sum(axis=1).tolist(), times.max(axis=1).tolist()
    for one, buckets, total, longest in zip(
        histograms, bucket_of(times), totals, most, strict=True
    ):
        if longest <= 0.0:  # kept connections dial for no time, closed loops have no lag
            one.counts[0] += buckets.size
            continue
        one.counts += np.bincount(buckets, minlength=BUCKETS)
        one.total += total
        one.longest = max(one.longest, longest)


def quantile(buckets: Mapping[int, int], q: float) -> float:
    """The time (s) that a share `q` (0 to 1) of the times does not exceed; nan when empty."""
    total = sum(buckets.values())
    if total == 0:
        return math.nan
    need = max(1, math.ceil(q * total - 1e-9))
    seen = 0
    for index in sorted(buckets):
        seen += buckets[index]
        if seen >= need:
            return value_of(index)
    return value_of(max(buckets))


def share_above(buckets: Mapping[int, int], threshold: float) -> float:
    """The share (0 to 1) of the counted times that exceed `threshold` (s); nan when empty.

    Within the threshold's own bucket times are taken as spread evenly on a log scale.
    """
    total = sum(buckets.values())
    if total == 0:
        return math.nan
    if threshold <= LOWEST:
        return sum(n for i, n in buckets.items() if i > 0) / total
    position = math.log(threshold / LOWEST) / _LOG_GROWTH
    edge = math.ceil(position - 1e-9)
    above = sum(n for i, n in buckets.items() if i > edge)
    inside = buckets.get(edge, 0) * (edge - position)
    return min(1.0, max(0.0, (above + inside) / total))
