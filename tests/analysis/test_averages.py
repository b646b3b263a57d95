"""Sizes from averages alone, against exact simulations whose states are thrown away."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from poolkit.analysis.averages import Averages
from poolkit.analysis.averages_size import tell
from poolkit.analysis.windows import Windows
from poolkit.targets.objective import Objective
from tests.analysis.day import SIX, Service, day
from tests.analysis.simulate import Workers

PARALLEL = Service("never contended", Workers(400, 0.025, 1.0), 400.0)  # 10 in use at the peak


def averages(windows: Windows) -> Averages:
    """What a library that counts no states would have exported of the same day."""
    none = np.full(windows.ends.size, np.nan)
    return Averages(
        seconds=windows.seconds,
        ends=windows.ends,
        pools=windows.pools,
        in_use=windows.in_use,
        calls=windows.asks,
        held=windows.holds.total,
        waited=none,
        wait=windows.waits.total,
        waiting=none,
        timeouts=none,
        least_size=windows.least_size,
        most_size=windows.most_size,
    )


def objective(rate: float = 390.0, **more: Any) -> Objective:
    return Objective(target_rate=rate, wait_p99=0.010, **more)


def erlang(load: float, rate: float, limit: float = 0.010) -> int:
    """The smallest c with P(W > limit) of 1 % or less, by Erlang C (recursion of Erlang B)."""
    blocked, c = 1.0, 0
    while True:
        c += 1
        blocked = load * blocked / (c + load * blocked)
        if c > load:
            waiting = blocked / (1.0 - load / c * (1.0 - blocked))
            if waiting * math.exp(-(c - load) / load * rate * limit) <= 0.01:
                return c


def test_where_hold_times_do_not_grow_the_size_is_erlangs() -> None:
    """Trusted, within a connection or two of the formula, and its assumptions are named."""
    told = tell(averages(day(PARALLEL, 16)), objective(), "orders-db", "hikaricp")
    assert told.averaged.hold_time == pytest.approx(0.025, rel=0.02)
    assert told.averaged.offered_load == pytest.approx(0.625 * 400 * 0.025, rel=0.05)
    assert told.averaged.utilisation == pytest.approx(told.averaged.offered_load / 16)
    needed = erlang(390.0 * 0.025, 390.0)
    assert told.sizing.size is not None
    assert needed <= told.sizing.size <= needed + 2
    assert "Erlang C" in told.sizing.because
    assert told.today.is_trusted, told.today.because


@pytest.mark.parametrize("service", [SIX[2], SIX[3], SIX[4]], ids=lambda one: one.name)
def test_where_they_grow_it_cannot_say(service: Service) -> None:
    """The assumption fails in what was seen: no size, with what would let it say."""
    told = tell(averages(day(service, 40)), objective(0.9 * service.peak), "a", "b")
    assert told.sizing.size is None
    assert "takes it not to grow; counters by number in use" in told.sizing.because
    assert not told.today.is_trusted
    assert told.averaged.hold_time is not None  # what averages do tell is told


def test_beyond_the_rate_seen_and_of_response_times_it_cannot_say() -> None:
    """Averages tell neither."""
    seen = averages(day(PARALLEL, 16))
    beyond = tell(seen, objective(800.0), "a", "b")
    assert "highest rate seen" in beyond.sizing.because
    slow = tell(seen, objective(response_p99=0.1), "a", "b")
    assert "no p99 of it" in slow.sizing.because


def test_a_load_that_hardly_varied_is_not_trusted() -> None:
    """Nothing was put to the test: a size, in doubt."""
    seen = averages(day(PARALLEL, 16))
    told = tell(seen.rows(seen.calls > np.quantile(seen.calls, 0.85)), objective(), "a", "b")
    assert told.sizing.size is not None
    assert not told.today.is_trusted
    assert "put to no test" in told.today.because


def test_waits_of_another_cause_are_not_trusted() -> None:
    """Calls that wait 20 ms more than the queue says."""
    seen = averages(day(PARALLEL, 16))
    longer = replace(seen, wait=seen.wait + 0.02 * seen.calls)
    assert "wait longer" in tell(longer, objective(), "a", "b").today.because


def test_a_fleet_has_the_size_of_one_of_its_pools() -> None:
    """Two pools, added up: as one of them with half the rate, and more where one may be lost."""
    one, other = (averages(day(PARALLEL, 16, seed=seed)) for seed in (1, 2))
    both = replace(
        one,
        pools=one.pools + other.pools,
        in_use=one.in_use + other.in_use,
        calls=one.calls + other.calls,
        held=one.held + other.held,
        wait=one.wait + other.wait,
    )
    alone = tell(one, objective(), "a", "b").sizing.size
    assert tell(both, objective(780.0, replicas=2, lost_replicas=0), "a", "b").sizing.size == alone
    losing = tell(both, objective(780.0, replicas=2), "a", "b").sizing.size
    assert losing == pytest.approx(erlang(780 * 0.025, 780.0), abs=2)


def test_waits_by_littles_law() -> None:
    """Where no time is counted but those that wait are, and with neither it cannot be trusted."""
    seen = averages(day(PARALLEL, 12))
    unknown = replace(seen, wait=seen.waited)
    assert not tell(unknown, objective(), "a", "b").today.is_trusted
    told = tell(replace(unknown, waiting=seen.wait / seen.seconds), objective(), "a", "b")
    assert told.averaged.wait == pytest.approx(seen.wait.sum() / seen.calls.sum())
    assert told.today.is_trusted


def test_a_pool_that_is_too_small_is_not_trusted() -> None:
    """A pool of 12 where about 22 are needed: all in use at noon, and a size of the right order."""
    told = tell(averages(day(SIX[0], 12)), objective(0.9 * SIX[0].peak), "a", "b")
    assert told.sizing.size in (21, 22, 23, 24)
    assert not told.today.is_trusted
    assert "queued from one window to the next" in told.today.because
