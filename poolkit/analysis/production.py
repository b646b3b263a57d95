"""From what a service's pools counted in production to the curve that a size is read off.

A pool counts T(n), seconds with n connections in use, and C(n), releases out of that state. One
pool in front of its upstream: X(n) = C(n) / T(n) is the upstream's curve (see `states`), whatever
the rate was meanwhile, so every hour counts.

Pools that share an upstream: n of one of them is not n of all. Counts of all processes are summed
in short windows, and two things are read off them.

1. What one pool sees while the whole service carries a rate: its own C(n) / T(n) over the windows
   near that rate. Poisson calls and the balance over each level, lambda * p(n) = X(n + 1) *
   p(n + 1), make that the chain of one pool exactly, the load of its sisters included.
2. How much longer a call takes at another rate: the mean hold sum n T(n) / sum C(n) of a window
   over the rate of the window, made to rise. Beyond the highest rate seen nothing is known.

With R pools as busy as one, R * n connections are in use and R * C(n) / T(n) calls/s leave. In
these coordinates the rule for fleets, X(R * k) / R (see `curve.SharedCurve`), gives back what the
pool saw, and what is left of an upstream when a replica is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.curve import SharedCurve
from poolkit.analysis.queueing import waits
from poolkit.analysis.saturation import dispersion_of_holds
from poolkit.analysis.sizing import size
from poolkit.analysis.state_curve import FEWEST_RELEASES, fit
from poolkit.analysis.states import BATCHES, States, state_points
from poolkit.histogram import GROWTH, LOWEST, quantile
from poolkit.records import BUCKETS, Distribution, Sizing, Sweep, Trial
from poolkit.targets.objective import Objective

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FINGERPRINT = "production"  # of what is no trial; a measurement does not go on from it
WHOLE = 0.5  # of the pool-seconds of a window, below which too many scrapes are missing to count it
NEAR = (0.85, 1.1)  # of a rate, between which a window tells what a pool sees at that rate
FEWEST_CALLS = 2000  # of the windows near a rate; below it the busiest windows count
FEWEST_WINDOWS = 5
GROUPS = 12  # of windows by rate, whose mean hold times make the slowdown
BEYOND = 1.05  # times the highest rate seen of a fleet: so far its hold time is taken to stay
LEAST_BUCKET = 0.5  # of the lowest bound: from there on the times of the lowest bucket are spread
TAIL = (0.003, 0.1)  # shares of time with so many in use or more that tell the dispersion
ALIKE = 0.01  # a mean squared miss that is so much larger is as good; the largest of these counts
DISPERSIONS: tuple[float, ...] = tuple(np.geomspace(0.1, 4.0, 16).tolist())
DRILL = (
    "a drill shows it: for five minutes give one replica twice its share of the calls, where its "
    "pool has room for them, and observe again"
)


@dataclass(frozen=True, slots=True)
class Times:
    """Histograms of one kind of time, a row a window: values up to each bound (s), and their sum.

    The last bound is infinite; without bounds there is no such histogram.
    """

    bounds: tuple[float, ...] = ()
    counts: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    total: Floats = field(default_factory=lambda: np.zeros(0))

    def rows(self, chosen: Flags) -> Times:
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

    def rows(self, chosen: Flags) -> Windows:
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
        is_number = np.all([np.isfinite(figure) for figure in figures], axis=0)
        with np.errstate(invalid="ignore"):
            return self.rows(
                is_number & (covered > WHOLE * self.pools * self.seconds) & (self.pools > 0)
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


def slowdown(windows: Windows, near_by: Windows, rate: float) -> float:
    """How many times as long a call takes at `rate` as in the windows near it, 1 or more.

    1 for one pool: its own curve holds that.
    """
    if windows.fleet == 1:
        return 1.0
    order = np.argsort(windows.rates, kind="stable")
    groups = [group for group in np.array_split(order, min(GROUPS, order.size)) if group.size]
    levels = np.array(windows.levels, dtype=float)
    rates, holds, weights = [], [], []
    for group in groups:
        calls = windows.releases[group].sum()
        if calls > 0:
            rates.append(float(np.mean(windows.rates[group])))
            holds.append(float(windows.held[group].sum(axis=0) @ levels / calls))
            weights.append(float(calls))
    if not rates:
        return 1.0
    rising = scipy.optimize.isotonic_regression(holds, weights=weights).x
    now = float(near_by.asks @ near_by.rates / near_by.asks.sum())
    then, before = np.interp([rate, now], rates, rising)
    return max(1.0, float(then / before))


def by_rate(windows: Windows) -> list[tuple[NDArray[np.int64], float]]:
    """The windows in groups of like rates, each with its mean rate of one pool (calls/s)."""
    rates = windows.rates / windows.pools
    order = np.argsort(rates, kind="stable")
    groups = np.array_split(order, min(GROUPS, order.size))
    return [(group, float(rates[group].mean())) for group in groups if rates[group].mean() > 0]


def dispersion_seen(windows: Windows, trial: Trial) -> float:
    """Cd2 with which the queue tells how often many connections were in use, as they were.

    No saturated departures were seen, but how far the number in use spreads at each rate was: of
    some values the one whose P(n or more in use) is nearest, by the logarithm, to the shares of
    time counted, where those are between 0.3 % and 10 %.
    """
    levels = np.array(windows.levels)
    size = trial.pool_size if windows.most_size and math.isfinite(windows.most_size) else 0
    size = max(size, int(levels[-1]), 1)
    tail = np.cumsum(windows.held.sum(axis=0)[::-1])[::-1] / windows.held.sum()
    chosen = (tail >= TAIL[0]) & (tail <= TAIL[1]) & (levels >= 1) & (levels <= size)
    prior = dispersion_of_holds([trial])
    if not chosen.any():
        return prior
    points, groups = state_points([trial]), by_rate(windows)
    weights = np.array([windows.held[rows].sum() for rows, _ in groups])

    def misses(dispersion: float) -> float:
        curve = fit(points, dispersion, 0.0)
        curve = curve.held_flat(max(curve.largest, size * trial.pools))
        shared = SharedCurve(curve, trial.pools)
        found = [waits(shared, rate, (size,), dispersion)[0] for _, rate in groups]
        full = np.ones(size + 1)
        shares = np.array([one.levels if one.is_stable else full for one in found])
        predicted = weights @ shares / weights.sum()
        return float((np.log(predicted[levels[chosen]] / tail[chosen]) ** 2).sum())

    missed = [misses(one) for one in DISPERSIONS]
    alike = min(missed) + ALIKE * chosen.sum()
    # No less than the holds' own: how long those that wait do so hangs on it too.
    return max(prior, *(d for d, m in zip(DISPERSIONS, missed, strict=True) if m <= alike))


def open_loop(
    target: str,
    driver: str,
    started: str,
    *,
    pool_size: int,
    pools: int,
    rate: float,
    window: float,
    calls: int,
    busy: float,
    hold_time: Distribution,
    wait_time: Distribution | None = None,
    in_use: Iterable[States] = (),
) -> Trial:
    """What production told, written as the trial that it is in place of.

    Args:
        started: ISO 8601, UTC, of the first window.
        rate: calls/s over all pools.
        window: s.
        calls: that came back.
        busy: connections in use of all pools, on average.
        in_use: states by batch, where they are counted.
    """
    return Trial(
        target=target,
        driver=driver,
        fingerprint=FINGERPRINT,
        purpose="production",
        loop="open",
        pool_size=pool_size,
        pools=pools,
        arrival_rate=rate,
        seed=0,
        started=started,
        warm_up=0.0,
        window=window,
        outcomes={"ok": calls},
        throughput=calls / window,
        response_time=Distribution(count=0),
        wait_time=wait_time or Distribution(count=0),
        hold_time=hold_time,
        lag=Distribution(count=0),
        concurrency=None,
        utilisation=min(1.0, busy / (pool_size * pools)),
        connections_opened=0,
        disconnects=0,
        reuse_ratio=None,
        cpu_share=0.0,
        in_use=tuple(in_use),
    )


def as_trial(windows: Windows, factor: float, target: str, driver: str, started: str) -> Trial:
    """The windows as one open loop, in the coordinates of all pools (see the module).

    Args:
        factor: how many times as long each call takes (see `slowdown`).
        started: ISO 8601, UTC, of the first window.
    """
    limit = windows.most_size
    known = limit is not None and math.isfinite(limit) and limit >= 1
    return open_loop(
        target,
        driver,
        started,
        pool_size=int(limit or 1) if known else max(1, windows.peak or windows.most_in_use),
        pools=windows.fleet,
        rate=float(windows.rates.mean()),
        window=windows.seconds * windows.ends.size,
        calls=round(float(windows.releases.sum())),
        busy=float(windows.in_use.mean()),
        hold_time=windows.holds.distribution(),
        wait_time=windows.waits.distribution(),
        in_use=_batches(windows, windows.fleet, factor),
    )


def _batches(windows: Windows, fleet: int, factor: float) -> Iterable[States]:
    parts = np.array_split(np.arange(windows.ends.size), min(BATCHES, windows.ends.size))
    for part in parts:
        held = windows.held[part].sum(axis=0) * factor / fleet
        calls = np.round(windows.releases[part].sum(axis=0)).astype(int)
        yield {
            n * fleet: (float(passed), int(released), 0)
            for n, passed, released in zip(windows.levels, held, calls, strict=True)
            if passed > 0
        }


def evidence(
    windows: Windows, rate: float, target: str, driver: str, started: str
) -> tuple[Windows, Trial]:
    """The windows that tell of the service at `rate` (calls/s), also made one trial."""
    chosen = near(windows, rate)
    trial = as_trial(chosen, 1.0, target, driver, started)
    return chosen, trial.model_copy(update={"dispersion": dispersion_seen(chosen, trial)})


def sized(
    windows: Windows,
    objective: Objective,
    target: str,
    driver: str,
    started: str,
    slower: float = 1.0,
    dispersion: float | None = None,
) -> tuple[Sizing, Trial]:
    """The size that the objective asks for, and the evidence as one trial.

    Nothing is answered above the connections in use that were seen, nor for a fleet above the
    highest rate seen; the windows must be whole (see `Windows.whole`), one at least.

    Args:
        slower: how many times as long each call is taken to last.
        dispersion: as `dispersion_seen` has it, where that is known: for one pool all windows
            count whatever the rate is, so it is the same for each objective.
    """
    rate = objective.rate
    chosen = near(windows, rate)
    if dispersion is None or windows.fleet > 1:
        dispersion = dispersion_seen(chosen, as_trial(chosen, 1.0, target, driver, started))
    factor = slower * slowdown(windows, chosen, rate)
    slowed = as_trial(chosen, factor, target, driver, started)
    trial = slowed.model_copy(update={"dispersion": dispersion})
    sizing = size(Sweep(target=target, trials=(trial,)), objective)
    verdict = sizing.verdict.model_copy(
        update={
            "evidence": f"production had up to {units.plural(chosen.most_in_use, 'connection')} of "
            f"one pool in use, at up to {units.rate(windows.peak_rate)}; nobody pushed it beyond, "
            "so what bounds the server was not seen"
        }
    )
    sizing = sizing.model_copy(update={"verdict": verdict})
    return _within(sizing, windows, chosen, rate), trial


def _within(sizing: Sizing, windows: Windows, chosen: Windows, rate: float) -> Sizing:
    """The sizing where all of it was seen in production; else "cannot say", with what to do."""
    seen, peak = chosen.most_in_use, windows.peak_rate
    if windows.fleet > 1 and rate > BEYOND * peak:
        why = (
            f"cannot say at {units.rate(rate)}: {units.rate(peak)} is the highest rate at which "
            f"the upstream of these {windows.fleet} pools was seen, and how long calls take beyond "
            "is not known; send it more for five minutes, or let poolkit review do so"
        )
    elif sizing.size is not None and sizing.size > seen:
        why = (
            f"cannot say: {units.plural(sizing.size, 'connection')} would be needed if throughput "
            f"stayed as with {seen} in use, the most of one pool that were seen; {DRILL}"
        )
    elif sizing.size is None and sizing.limited_by != "cap":
        why = (
            f"cannot say: with {units.plural(seen, 'connection')} in use, the most of one pool "
            f"that were seen, {units.rate(rate)} is not carried in time; {DRILL}"
        )
    else:
        return sizing
    return sizing.model_copy(
        update={
            "size": None,
            "because": why,
            "limited_by": "unknown",
            "out_of_reach": False,
            "reachable_rate": None,
            "size_for_reachable": None,
            "raised_by": "",
            "is_extrapolated": False,
            "only_moves_queue": None,
            "smallest_as_fast": None,
            "headroom": 0,
        }
    )
