"""What the pools of one service counted in short windows, all processes added up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.state_curve import FEWEST_RELEASES
from poolkit.histogram import GROWTH, LOWEST, quantile
from poolkit.records import BUCKETS, MOST_CONNECTIONS, Distribution

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_] | NDArray[np.int64]  # rows, by a flag each or by their places

# Of the pool-seconds of a window: below it too many scrapes are missing to count it, above it there
# were other pools than at its end.
WHOLE, OTHERS = 0.5, 2.0
MOST = 1e12  # calls or seconds of a window, beyond which a figure is none
NEAR = (0.85, 1.1)  # of a rate, between which a window tells what a pool sees at that rate
FEWEST_CALLS = 2000  # of the windows near a rate; below it the busiest windows count
FEWEST_WINDOWS = 5
GROUPS = 12  # of windows by rate
LEAST_ROOM, ROOM = 64, 4  # connections, and times the most that were in use
LEAST_BUCKET = 0.5  # of the lowest bound: from there on the times of the lowest bucket are spread


@dataclass(frozen=True, slots=True)
class Times:
    """Histograms of one kind of time, a row a window: values up to each bound (s), and their sum.

    The last bound is infinite; without bounds there is no such histogram.
    """

    bounds: tuple[float, ...] = ()
    counts: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    total: Floats = field(default_factory=lambda: np.zeros(0))

    def rows(self, chosen: Chosen) -> Times:
        """Those of the windows chosen."""
        return (
            self if not self.bounds else Times(self.bounds, self.counts[chosen], self.total[chosen])
        )

    def distribution(self) -> Distribution:
        """All windows together, in the buckets of `poolkit.histogram`.

        Within a bucket times count as spread evenly over the logarithm; those of the lowest from
        half of its bound on, those beyond the last finite bound up to twice that.
        """
        if not self.bounds or self.counts.sum() <= 0:
            return Distribution(count=0)
        below = np.maximum.accumulate(self.counts.sum(axis=0))
        finite = [bound for bound in self.bounds if math.isfinite(bound)] or [1.0]
        edges = [LEAST_BUCKET * finite[0], *finite, 2.0 * finite[-1]]
        upto = [0.0, *below[: len(finite)], below[-1]]
        places = np.log(LOWEST * GROWTH ** np.arange(BUCKETS))
        rounded = np.round(np.interp(places, np.log(edges), upto)).astype(int)
        rounded[-1] = round(below[-1])
        found = np.diff(rounded, prepend=0)
        buckets = {int(at): int(found[at]) for at in np.flatnonzero(found)}
        count = sum(buckets.values())
        if not count:
            return Distribution(count=0)
        p50, p95, p99 = (quantile(buckets, share) for share in (0.5, 0.95, 0.99))
        mean = float(self.total.sum() / below[-1])
        return Distribution(count=count, mean=mean, p50=p50, p95=p95, p99=p99, buckets=buckets)


@dataclass(frozen=True, slots=True)
class Windows:
    """What the pools of one service counted in short windows, all processes added up.

    Rows are windows in order of time; columns of `held` and `releases` are `levels`.

    Attributes:
        seconds: length of a window.
        ends: Unix time (s) of the end of each.
        levels: connections in use of one pool, ascending, 0 among them where it was told.
        held: pool-seconds with so many in use.
        releases: calls released out of that state.
        asks: calls that asked for a connection.
        pools: processes that told of themselves.
        least_size, most_size: of one pool; None: not told, infinite: without a limit.
        peak: most connections of one pool in use at once; None: not told.
    """

    seconds: float
    ends: Floats
    levels: tuple[int, ...]
    held: Floats
    releases: Floats
    asks: Floats
    pools: Floats
    waits: Times = field(default_factory=Times)
    holds: Times = field(default_factory=Times)
    least_size: float | None = None
    most_size: float | None = None
    peak: int | None = None

    def rows(self, chosen: Chosen) -> Windows:
        """Those of the windows chosen."""
        return replace(
            self,
            ends=self.ends[chosen],
            held=self.held[chosen],
            releases=self.releases[chosen],
            asks=self.asks[chosen],
            pools=self.pools[chosen],
            waits=self.waits.rows(chosen),
            holds=self.holds.rows(chosen),
        )

    def whole(self) -> Windows:
        """Those in which time passed, most scrapes are there, and all figures are numbers."""
        covered = self.held.sum(axis=1)
        figures = (covered, self.releases.sum(axis=1), self.asks, self.pools)
        is_number = np.all([np.abs(figure) <= MOST for figure in figures], axis=0)
        there = self.pools * self.seconds
        return self.rows(
            is_number & (covered > WHOLE * there) & (covered < OTHERS * there) & (self.pools > 0)
        )

    @property
    def rates(self) -> Floats:
        """Calls/s of the whole service in each window, missing scrapes made up for."""
        return np.asarray(self.asks * self.pools / self.held.sum(axis=1))

    @property
    def in_use(self) -> Floats:
        """Mean connections in use of the whole service in each window."""
        held = self.held.sum(axis=1)
        return np.asarray(self.held @ np.array(self.levels, dtype=float) * self.pools / held)

    @property
    def peak_rate(self) -> float:
        """The highest rate of a window (calls/s)."""
        return float(self.rates.max(initial=0.0))

    @property
    def fleet(self) -> int:
        """Processes that shared the load, as a rule of the windows."""
        return max(1, round(float(np.median(self.pools)))) if self.pools.size else 1

    @property
    def limit(self) -> float | None:
        """Most connections that a pool may hold; None: not told, infinite: without a limit."""
        most = self.most_size
        return math.inf if most is not None and most > MOST_CONNECTIONS else most

    @property
    def roomy(self) -> int:
        """Connections of a pool beyond which more of them change no wait, by what was in use."""
        return max(LEAST_ROOM, ROOM * self.most_in_use)

    @property
    def most_in_use(self) -> int:
        """Most connections of one pool in use at once that enough releases tell of."""
        counts = self.releases.sum(axis=0)
        known = [
            n for n, calls in zip(self.levels, counts, strict=True) if calls >= FEWEST_RELEASES
        ]
        return max(known, default=0)


def near(windows: Windows, rate: float) -> Windows:
    """The windows that tell what a pool sees while the service carries `rate` (calls/s)."""
    rates = windows.rates
    if windows.fleet == 1:
        return windows
    chosen = (rates >= NEAR[0] * rate) & (rates <= NEAR[1] * rate)
    if chosen.sum() < FEWEST_WINDOWS or windows.asks[chosen].sum() < FEWEST_CALLS:
        # The nearest windows, as many as it takes.
        order = np.argsort(np.abs(rates - rate), kind="stable")
        enough = int(np.searchsorted(np.cumsum(windows.asks[order]), FEWEST_CALLS)) + 1
        chosen = np.zeros(rates.size, dtype=np.bool_)
        chosen[order[: max(FEWEST_WINDOWS, enough)]] = True
    return windows.rows(chosen)


def by_rate(windows: Windows) -> list[tuple[NDArray[np.int64], float]]:
    """The windows in groups of like rates, each with its mean rate of one pool (calls/s)."""
    rates = windows.rates / windows.pools
    order = np.argsort(rates, kind="stable")
    groups = np.array_split(order, min(GROUPS, order.size))
    return [(group, float(rates[group].mean())) for group in groups if rates[group].mean() > 0]
