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
from dataclasses import dataclass

import numpy as np

from poolkit import units
from poolkit.analysis.averages import Averages, told
from poolkit.analysis.curve import Z95, Curve, SharedCurve
from poolkit.analysis.hold_growth import Growth, growth
from poolkit.analysis.model import Fitted
from poolkit.analysis.queueing import waits
from poolkit.analysis.response import HoldTimes
from poolkit.analysis.unseen import BEYOND, BUSIER
from poolkit.analysis.what_if import Answer, Planner, Question, answer
from poolkit.analysis.windows import LEAST_ROOM, ROOM
from poolkit.records import (
    BUCKETS,
    Averaged,
    Scenario,
    Sizing,
    TodaysWaits,
    Verdict,
)
from poolkit.targets.objective import Objective

LEAST_FACTOR, MOST_FACTOR = 0.5, 2.5  # of Erlang's mean wait: Cs^2 of 0 and 4
HANDING_OVER = 0.001  # s, that a wait counted may hold beside the queue
SLOWER = 1.25  # times as long a call takes, of an upstream that may be asked about
MONITOR = "counters by number in use would let it say: poolkit.monitor in the service"
ASSUMES = (
    "a call takes as long with many connections in use as with few",
    "calls come at random (Poisson), and hold times vary as the exponential does (Erlang C)",
)


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
    growing = None if found is None else growth(averages)
    cannot = _cannot(averages, objective, growing)
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
        hold_at_one=None if plain is None or found is None else found[0],
    )
    today, predicted = _todays_waits(averages, found, growing)
    scenarios = []
    if found is not None and not cannot:
        asked = (
            ("today's busiest window", averages.peak_rate, 1.0),
            (f"calls take {units.number(SLOWER)} times as long", rate, SLOWER),
        )
        for name, per_second, factor in asked:
            one = _answer(
                factor * found[0], found[1], objective.but(target_rate=per_second, growth=1.0)
            )
            scenarios.append(
                Scenario(name=name, rate=per_second, size=one.size, because=one.because)
            )
    return Told(_averaged(averages, predicted, preset, because), sizing, today, tuple(scenarios))


def _cannot(averages: Averages, objective: Objective, growing: Growth | None) -> str:
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
    if growing is not None and growing.is_growing:
        return f"cannot say: {growing.seen}, and Erlang's formula takes it not to grow; {MONITOR}"
    if objective.rate > BEYOND * averages.peak_rate:
        return (
            f"cannot say at {units.rate(objective.rate)}: {units.rate(averages.peak_rate)} is the "
            f"highest rate seen, and how long calls take beyond is not known; {BUSIER}"
        )
    return ""


def _answer(hold: float, error: float, objective: Objective) -> Answer:
    """What one pool needs of an upstream on which each call takes `hold` (s) whatever the load."""
    # More connections than these change no wait; those of a pool count when others are lost.
    rate = objective.rate_per_pool * (1.0 + objective.headroom)
    roomy = objective.pools * max(LEAST_ROOM, math.ceil(ROOM * hold * rate))
    most = max(2, min(objective.cap, roomy))
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


def _todays_waits(
    averages: Averages, hold: tuple[float, float] | None, growing: Growth | None
) -> tuple[TodaysWaits, float | None]:
    """Whether the assumptions tell today's mean wait, and that wait as predicted (s)."""

    def doubt(because: str, predicted: float | None = None) -> tuple[TodaysWaits, float | None]:
        return TodaysWaits(is_trusted=False, because=because), predicted

    if hold is None or growing is None:
        return doubt("calls are not counted, so their waits cannot be told")
    if growing.is_growing:
        return doubt(f"{growing.seen}: the assumption that hold times do not grow fails")
    size, counted = averages.size, averages.wait_time
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
    if not growing.is_tested:
        return doubt(f"{seen}; but {growing.seen}", predicted)
    calls = round(float(averages.calls.sum()))
    because = f"{seen}; {growing.seen}"
    return TodaysWaits(is_trusted=True, because=because, pool_size=size, calls=calls), predicted


def _predicted(averages: Averages, hold: float, size: int) -> float:
    """The mean wait (s) of all calls, of Erlang C with the rate of each window."""
    rates = averages.calls / averages.pools / averages.seconds
    # More connections than these change no wait.
    size = min(size, max(LEAST_ROOM, math.ceil(ROOM * hold * float(rates.max()))))
    curve = SharedCurve(Curve((1, max(2, size)), (hold, hold), hold, False, 0.0), 1)
    total = 0.0
    for rate, calls in zip(rates, averages.calls, strict=True):
        if rate > 0:
            one = waits(curve, float(rate), (size,))[0].wait
            total += math.inf if one is None else float(calls) * one
    return total / float(averages.calls.sum())


def _averaged(averages: Averages, predicted: float | None, preset: str, because: str) -> Averaged:
    hold, busy = averages.hold, float(averages.busy.mean())
    size, refuses = averages.size, list(averages.missing)
    if hold is None:
        refuses.append("rate and hold time: calls are not counted")
    if size is None:
        refuses.append("utilisation: the size is not told, there are several, or there is no limit")
    if averages.wait_time is None:
        refuses.append("the mean wait of a call: the time that calls wait, or calls, are not told")
    refuses.append("p99 waits and sizes where hold times grow with the load: " + MONITOR)
    if because.startswith("cannot say"):
        why, _, _ = because.removeprefix("cannot say: ").partition("; ")
        refuses.insert(0, f"size: {why}")
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
        wait=averages.wait_time,
        wait_predicted=predicted if predicted is not None and math.isfinite(predicted) else None,
        wait_of_waiting=float(np.nansum(averages.wait) / np.nansum(averages.waited))
        if has_waited
        else None,
        timeouts=round(float(np.nansum(timeouts))) if told(timeouts) else None,
        assumes=() if hold is None else ASSUMES,
        refuses=tuple(refuses),
    )
