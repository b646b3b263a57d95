"""A size from averages: rate, hold time and mean in use of a pool over short windows.

Most libraries export no more of their pools than that. Offered load is rate times hold time
(Little 1961). A size needs two assumptions on top, and both are named wherever one is told:

* A call takes as long however many others are in service: X(n) = n / S, so that the queue of
  `queueing` is Erlang C. Windows of different load put it to the test: where the mean hold rises
  with the mean in use it fails, and no size is told. Nor is any above the highest rate seen.
* Calls come at random (Poisson), and hold times vary as the exponential does. The mean wait that
  the pool counted is held against what the queue says of today's size: an M/G/c queue's is
  (1 + Cs^2) / 2 times Erlang's (see `queueing`), and Cs^2 between 0 and 4 passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.curve import Z95, Curve, SharedCurve
from poolkit.analysis.model import Fitted
from poolkit.analysis.production import BEYOND, GROUPS, open_loop
from poolkit.analysis.queueing import waits
from poolkit.analysis.response import HoldTimes
from poolkit.analysis.what_if import Answer, Planner, Question, answer
from poolkit.records import (
    BUCKETS,
    Averaged,
    Distribution,
    Scenario,
    Sizing,
    TodaysWaits,
    Trial,
    Verdict,
)
from poolkit.targets.objective import Objective

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GROWS, SURE = 0.05, 3.0  # share by which hold times rise over the loads seen, and standard errors
APART = 1.5  # times as many in use in the busiest windows as in the quietest, for a test
SEEN = 0.25  # share by which they might rise without being seen, at most, for a test
LEAST_FACTOR, MOST_FACTOR = 0.5, 2.5  # of Erlang's mean wait: Cs^2 of 0 and 4
HANDING_OVER = 0.001  # s, that a wait counted may hold beside the queue
SLOWER = 1.25  # times as long a call takes, of an upstream that may be asked about
MONITOR = "counters by number in use would let it say: poolkit.monitor in the service"
ASSUMES = (
    "a call takes as long with many connections in use as with few",
    "calls come at random (Poisson), and hold times vary as the exponential does (Erlang C)",
)


@dataclass(frozen=True, slots=True)
class Averages:
    """What the pools of one service counted in short windows, all processes added up.

    One figure a window, in order of time; nan: not told.
    """

    seconds: float  # length of a window
    ends: Floats  # Unix time (s)
    pools: Floats  # that told of themselves
    in_use: Floats  # mean connections in use
    calls: Floats
    held: Floats  # s that connections were held
    waited: Floats  # calls that had to wait
    wait: Floats  # s that calls waited
    waiting: Floats  # mean calls that wait
    timeouts: Floats  # calls that gave up waiting
    least_size: float | None = None  # of one pool; None: not told, or without a limit
    most_size: float | None = None
    missing: tuple[str, ...] = field(default=())  # quantities that should be there, with why

    def rows(self, chosen: Flags) -> Averages:
        """Those of the windows chosen."""
        arrays = {
            one.name: getattr(self, one.name)[chosen]
            for one in fields(self)
            if isinstance(getattr(self, one.name), np.ndarray)
        }
        return replace(self, **arrays)

    def whole(self) -> Averages:
        """Those that have all figures that any window has of calls and connections in use."""
        figures = [row for row in (self.in_use, self.calls, self.held) if told(row)]
        return self.rows(np.all([np.isfinite(row) for row in (self.pools, *figures)], axis=0))

    @property
    def busy(self) -> Floats:
        """Mean connections in use of the whole service: by the time held, or by the gauge."""
        return self.held / self.seconds if told(self.held) else self.in_use

    @property
    def peak_rate(self) -> float:
        """The highest rate of a window (calls/s); 0: calls are not counted."""
        return float(self.calls.max()) / self.seconds if told(self.calls) else 0.0

    @property
    def fleet(self) -> int:
        """Pools that shared the load, as a rule of the windows."""
        return max(1, round(float(np.median(self.pools)))) if self.pools.size else 1

    @property
    def size(self) -> int | None:
        """Of each pool; None: not told, several, or no limit."""
        same = self.least_size is not None and self.least_size == self.most_size
        return int(self.least_size or 0) or None if same else None

    @property
    def hold(self) -> tuple[float, float] | None:
        """Mean hold time (s) and its standard error; None: calls are not counted."""
        return _mean(self.busy * self.seconds, self.calls) if told(self.calls) else None


def told(row: Floats) -> bool:
    """Whether any window has the figure."""
    return bool(np.isfinite(row).any())


def _mean(times: Floats, calls: Floats) -> tuple[float, float] | None:
    """The mean time of a call (s), and its standard error by the spread over windows."""
    count = float(calls.sum())
    if not count > 0 or not float(times.sum()) > 0:
        return None
    mean = float(times.sum()) / count
    left = times - mean * calls
    return mean, float(math.sqrt(left.size) * left.std(ddof=1)) / count if left.size > 1 else mean


@dataclass(frozen=True, slots=True)
class Told:
    """What averages answer: figures, a size or why there is none, and what it is worth."""

    averaged: Averaged
    sizing: Sizing
    today: TodaysWaits
    scenarios: tuple[Scenario, ...]


def tell(averages: Averages, objective: Objective, target: str, preset: str) -> Told:
    """All that averages answer.

    Args:
        averages: whole windows, two at least.
    """
    found, rate = averages.hold, objective.rate
    growth = None if found is None else _growth(averages)
    cannot = _cannot(averages, objective, growth)
    plain = None if cannot or found is None else _answer(*found, objective)
    because, size = cannot, None
    if plain is not None and found is not None:
        size, because = plain.size, f"{plain.because}{_interval(plain, found, objective)}"
        because += f"; if {ASSUMES[0]} and {ASSUMES[1]}" if size is not None else ""
    verdict = Verdict(
        name="not_pushed",
        evidence=f"from averages of {preset} up to {units.number(averages.busy.max())} connections "
        "in use; nobody pushed it beyond, so what bounds the server was not seen",
    )
    sizing = Sizing(
        target=target,
        verdict=verdict,
        points=(),
        knees=(),
        plateau=None,
        size=size,
        because=because,
        limited_by="unknown" if plain is None else plain.limited_by,
        headroom=0 if plain is None else plain.headroom,
        out_of_reach=False if plain is None else plain.out_of_reach,
        rate_per_pool=objective.rate_per_pool if plain is None else plain.rate_per_pool,
    )
    today, predicted = _todays_waits(averages, found, growth)
    scenarios = []
    if found is not None and not cannot:
        asked = (
            ("today's busiest window", averages.peak_rate, 1.0),
            (f"the target, calls {units.number(SLOWER)} times as long", rate, SLOWER),
        )
        for name, per_second, factor in asked:
            one = _answer(
                factor * found[0], found[1], objective.but(target_rate=per_second, growth=1.0)
            )
            scenarios.append(
                Scenario(name=name, rate=per_second, size=one.size, because=one.because)
            )
    return Told(_averaged(averages, predicted, preset, because), sizing, today, tuple(scenarios))


def _cannot(averages: Averages, objective: Objective, growth: _Growth | None) -> str:
    """Why no size can be told, with what would let it; empty: one can."""
    if averages.hold is None:
        return (
            "cannot say: calls are not counted, so neither their rate nor how long they hold a "
            "connection is known; a counter of all calls beside the connections in use (`acquired` "
            "in a preset of your own) would let it say"
        )
    if objective.wait_p99 is None or objective.response_p99 is not None:
        return (
            "cannot say of response times: an average of the hold time tells no p99 of it; ask for "
            f"wait_p99 alone; {MONITOR}"
        )
    if growth is not None and growth.is_growing:
        return f"cannot say: {growth.seen}, and Erlang's formula takes it not to grow; {MONITOR}"
    if objective.rate > BEYOND * averages.peak_rate:
        return (
            f"cannot say at {units.rate(objective.rate)}: {units.rate(averages.peak_rate)} is the "
            "highest rate seen, and how long calls take beyond is not known; send it more for five "
            "minutes, or let poolkit review do so"
        )
    return ""


def _answer(hold: float, error: float, objective: Objective) -> Answer:
    """What one pool needs of an upstream on which each call takes `hold` (s) whatever the load."""
    most = max(2, objective.cap)
    curve = Curve((1, most), (hold, hold), hold, is_convex=False, error=min(1.0, error / hold))
    holds = HoldTimes((), np.zeros((0, BUCKETS)))
    upstream = Fitted((), curve, 1.0, 1.0, holds, "flat")
    verdict = Verdict(name="not_pushed", evidence="")
    return answer(Planner(objective, verdict, (), upstream), Question())


def _interval(plain: Answer, hold: tuple[float, float], objective: Objective) -> str:
    """The sizes for the ends of the hold time's interval, where they differ."""
    ends = [
        _answer(max(hold[0] + sign * Z95 * hold[1], 0.1 * hold[0]), 0.0, objective).size
        for sign in (-1.0, 1.0)
    ]
    low, high = (end if end is not None else plain.size for end in ends)
    if plain.size is None or low is None or high is None:
        return ""
    low, high = min(low, plain.size), max(high, plain.size)
    return f"; {low} to {high} by the spread of the hold time over windows" if low < high else ""


@dataclass(frozen=True, slots=True)
class _Growth:
    """How hold times change with the load, over windows of like rates."""

    is_growing: bool
    is_tested: bool
    seen: str


def _growth(averages: Averages) -> _Growth:
    """Mean hold over mean in use, of windows in groups of like rates.

    In single windows both hang on the same chance: long calls keep more connections in use.
    """
    times, calls = averages.busy * averages.seconds, averages.calls
    order = np.argsort(calls / averages.pools, kind="stable")
    groups = [
        group
        for group in np.array_split(order, min(GROUPS, order.size // 2 or 1))
        if calls[group].sum() > 0 and times[group].sum() > 0
    ]
    busy = [float(averages.busy[group].mean()) for group in groups]
    holds = [float(times[group].sum() / calls[group].sum()) for group in groups]
    # The variance of a window's times grows with its calls: one figure for all groups.
    left = [(times[g] - h * calls[g]) / np.sqrt(np.maximum(calls[g], 1.0))
            for g, h in zip(groups, holds, strict=True)]  # fmt: skip
    freedom = max(1, sum(one.size - 1 for one in left))
    scale = math.sqrt(sum(float(one @ one) for one in left) / freedom)
    errors = [
        max(scale / math.sqrt(float(calls[group].sum())), 1e-3 * hold)
        for group, hold in zip(groups, holds, strict=True)
    ]
    if len(busy) < 3:
        return _Growth(False, False, "there are too few windows to see whether hold times grow")
    n, h, weight = np.array(busy), np.array(holds), 1.0 / np.array(errors) ** 2
    middle, mean = float(weight @ n / weight.sum()), float(weight @ h / weight.sum())
    spread = float(weight @ (n - middle) ** 2)
    low, high = float(n.min()), float(n.max())
    if high < APART * low or spread <= 0:
        seen = (
            f"the load hardly varied ({units.number(low)} to {units.number(high)} in use), so "
            "whether hold times grow with it is put to no test"
        )
        return _Growth(False, False, seen)
    slope, error = float(weight @ ((n - middle) * (h - mean))) / spread, 1.0 / math.sqrt(spread)
    first, last = (max(mean + slope * (at - middle), 1e-9) for at in (low, high))
    is_growing = slope > SURE * error and last > (1.0 + GROWS) * first
    seen = (
        f"a call takes {units.milliseconds(last)} with {units.number(high)} connections in use on "
        f"average and {units.milliseconds(first)} with {units.number(low)}"
    )
    return _Growth(is_growing, SURE * error * (high - low) < SEEN * mean, seen)


def _todays_waits(
    averages: Averages, hold: tuple[float, float] | None, growth: _Growth | None
) -> tuple[TodaysWaits, float | None]:
    """Whether the assumptions tell today's mean wait, and that wait as predicted (s)."""

    def doubt(because: str, predicted: float | None = None) -> tuple[TodaysWaits, float | None]:
        return TodaysWaits(is_trusted=False, because=because), predicted

    if hold is None or growth is None:
        return doubt("calls are not counted, so their waits cannot be told")
    if growth.is_growing:
        return doubt(f"{growth.seen}: the assumption that hold times do not grow fails")
    size, counted = averages.size, _wait(averages)
    if size is None:
        return doubt("the size of the pool is not told, or there are several")
    predicted = _predicted(averages, hold[0], size)
    if not math.isfinite(predicted):
        return doubt(
            f"in the busiest windows all of the {units.plural(size, 'connection')} in production "
            "were in use, and calls queued from one window to the next"
        )
    if counted is None:
        return doubt("the time that calls wait is not told, so nothing can be compared", predicted)
    seen = (
        f"mean wait {units.milliseconds(counted)} counted, {units.milliseconds(predicted)} by "
        f"Erlang's formula for the {units.plural(size, 'connection')} in production"
    )
    if counted > MOST_FACTOR * predicted + HANDING_OVER:
        return doubt(f"{seen}: calls wait longer than calls at random would", predicted)
    if counted < LEAST_FACTOR * predicted - HANDING_OVER:
        return doubt(f"{seen}: calls wait shorter than calls at random would", predicted)
    if not growth.is_tested:
        return doubt(f"{seen}; but {growth.seen}", predicted)
    calls = round(float(averages.calls.sum()))
    because = f"{seen}; {growth.seen}"
    return TodaysWaits(is_trusted=True, because=because, pool_size=size, calls=calls), predicted


def _predicted(averages: Averages, hold: float, size: int) -> float:
    """The mean wait (s) of all calls, of Erlang C with the rate of each window."""
    curve = SharedCurve(Curve((1, max(2, size)), (hold, hold), hold, False, 0.0), 1)
    total = 0.0
    for rate, calls in zip(
        averages.calls / averages.pools / averages.seconds, averages.calls, strict=True
    ):
        if rate > 0:
            one = waits(curve, float(rate), (size,))[0].wait
            total += math.inf if one is None else float(calls) * one
    return total / float(averages.calls.sum())


def _wait(averages: Averages) -> float | None:
    """The mean wait of a call (s); None: not told."""
    # By Little's law, where the time is not counted but those that wait are.
    times = averages.wait if told(averages.wait) else averages.waiting * averages.seconds
    known = np.isfinite(times) & np.isfinite(averages.calls)
    calls = float(averages.calls[known].sum())
    return float(times[known].sum()) / calls if calls > 0 else None


def _averaged(averages: Averages, predicted: float | None, preset: str, because: str) -> Averaged:
    hold, busy = averages.hold, float(averages.busy.mean())
    size, refuses = averages.size, list(averages.missing)
    if hold is None:
        refuses.append("rate and hold time: calls are not counted")
    if size is None:
        refuses.append("utilisation: the size is not told, there are several, or there is no limit")
    if _wait(averages) is None:
        refuses.append("the mean wait of a call: the time that calls wait, or calls, are not told")
    refuses.append("p99 waits and sizes where hold times grow with the load: " + MONITOR)
    if because.startswith("cannot say"):
        refuses.insert(0, f"size: {because}")
    has_waited = told(averages.waited) and told(averages.wait) and np.nansum(averages.waited) > 0
    timeouts = averages.timeouts
    return Averaged(
        preset=preset,
        rate=None if hold is None else float(averages.calls.mean()) / averages.seconds,
        hold_time=None if hold is None else hold[0],
        hold_time_interval95=None
        if hold is None
        else (max(0.0, hold[0] - Z95 * hold[1]), hold[0] + Z95 * hold[1]),
        offered_load=busy,
        highest_load=float(averages.busy.max()),
        utilisation=None if size is None else busy / (size * averages.fleet),
        wait=_wait(averages),
        wait_predicted=predicted if predicted is not None and math.isfinite(predicted) else None,
        wait_of_waiting=float(np.nansum(averages.wait) / np.nansum(averages.waited))
        if has_waited
        else None,
        timeouts=round(float(np.nansum(timeouts))) if told(timeouts) else None,
        assumes=() if hold is None else ASSUMES,
        refuses=tuple(refuses),
    )


def as_trial(averages: Averages, target: str, driver: str, started: str) -> Trial:
    """The windows as one open loop without states: for the record, no curve is made of it."""
    seconds = averages.seconds * averages.ends.size
    calls = round(float(averages.calls.sum())) if told(averages.calls) else 0
    hold = averages.hold
    return open_loop(
        target,
        driver,
        started,
        pool_size=averages.size or max(1, math.ceil(averages.busy.max())),
        pools=averages.fleet,
        rate=calls / seconds,
        window=seconds,
        calls=calls,
        busy=float(averages.busy.mean()),
        hold_time=Distribution(count=0)
        if hold is None
        else Distribution(count=calls, mean=hold[0]),
    )
