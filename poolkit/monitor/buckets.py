"""A histogram of seconds with fixed buckets, as Prometheus counts them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

# Upper bounds in s; from half a millisecond, since a wait beyond that is worth a look. Waits that
# end at the usual limits of 1 s and 5 s lie just above those, and must not read as 2.5 s or 10 s.
BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 1.1, 2.5, 5.0, 5.5, 10.0),
)


class Buckets:
    """Counts of values in each bucket of `BOUNDS`, the last one beyond them, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one value, 0 or more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """Values in all."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(upper bound as Prometheus writes it, values up to it), `+Inf` last."""
        so_far = 0
        for bound, count in zip((*map(repr, BOUNDS), "+Inf"), tuple(self.counts), strict=True):
            so_far += count
            yield bound, so_far


def quantile(cumulative: Sequence[tuple[float, float]], share: float) -> float | None:
    """The value below which `share` of all lies, as Prometheus's histogram_quantile estimates it.

    Linear within a bucket; the largest finite bound where it lies beyond it; None without values.

    Args:
        cumulative: (upper bound, values up to it), by bound, the last bound infinite.
        share: 0 to 1.
    """
    if not cumulative or cumulative[-1][1] <= 0:
        return None
    rank = share * cumulative[-1][1]
    below, low = 0.0, 0.0
    for bound, so_far in cumulative:
        if so_far >= rank and so_far > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (so_far - below)
        below, low = so_far, bound if bound != float("inf") else low
    return low
