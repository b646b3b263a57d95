"""Sizes from what pools counted in production, on services that are simulated exactly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from poolkit.analysis.production import evidence, sized, slowdown
from poolkit.analysis.todays_waits import todays_waits
from poolkit.analysis.windows import Times, Windows
from poolkit.records import Sizing
from poolkit.targets.objective import Objective
from tests.analysis.day import SIX, Service, arrivals, counted, day, fleet, steps
from tests.analysis.simulate import Contended

OF = ("orders", "asyncpg", "2026-11-28T00:00:00Z")


def answer(windows: Windows, rate: float, **asked: int) -> Sizing:
    objective = Objective(target_rate=rate, wait_p99=0.010, **{"max_size": 4096, **asked})
    return sized(windows.whole(), objective, *OF)[0]


# The needed sizes are brute force's: open loops at the peak, two seeds of 300 s each.
@pytest.mark.parametrize(
    ("service", "needed"), [(SIX[2], 16), (SIX[3], 12)], ids=lambda one: str(one)[:30]
)
def test_a_day_of_one_pool(service: Service, needed: int) -> None:
    """Never more than one below the need, at most 20 % above, from half the length of the bench."""
    found = answer(day(service, 2 * needed, seconds=300.0), service.peak)
    assert found.size is not None
    assert needed - 1 <= found.size <= 1.2 * needed + 1


def test_bursts_of_which_a_day_holds_too_few() -> None:
    """Holds of cv 1.5: drawn again, the same minutes ask for 30 to 45 connections; 34 are right."""
    found = answer(day(SIX[1], 64, seconds=150.0), SIX[1].peak)
    assert (found.size, found.limited_by) == (None, "unknown")
    assert "cannot say closer than" in found.because


def test_above_what_was_seen() -> None:
    """A pool of 9 has never had 10 in use: no size, and the one that would show more.

    Nor is it known that the 11 that are allowed are too few; that 8 are was seen.
    """
    seen = day(SIX[3], 9, seconds=120.0)
    for allowed in (4096, 11):
        found = answer(seen, SIX[3].peak, max_size=allowed)
        assert (found.size, found.limited_by, found.out_of_reach) == (None, "unknown", False)
        assert found.because.startswith("cannot say")
        assert f"a pool of 9 cannot show that: raise the size to {min(allowed, 12)} for" in (
            found.because
        )
    found = answer(seen, SIX[3].peak, max_size=8)
    assert (found.size, found.limited_by) == (None, "cap")


def test_one_pool_above_the_rate_seen() -> None:
    """Far from the plateau a size holds above the peak; near it how calls queue decides.

    Brute force: 14 and 57 connections. As at the peak, throughput would have asked for 14 and 22.
    """
    far, close = SIX[4], SIX[2]
    found = answer(day(far, 24, seconds=150.0), 1.1 * far.peak)
    assert found.size in range(14, 17)
    assert "calls may queue longer" in found.verdict.evidence
    found = answer(day(close, 40, seconds=150.0), 1.2 * close.peak)
    assert (found.size, found.limited_by, found.out_of_reach) == (None, "unknown", False)
    assert "is the highest rate seen" in found.because


@pytest.fixture(scope="module")
def six_pools() -> Windows:
    """Six pools of 16 on one upstream whose calls slow each other down."""
    rng = np.random.default_rng(3)
    arrived = arrivals(1500.0, 150.0, rng)
    pools = fleet(Contended(0.009, 0.02, 0.0, 0.5), arrived, 6, 16, rng)
    return counted(pools, 150.0, 5.0, 16).whole()


# Brute force: 6 connections each are needed with all replicas up, 7 with one lost.
@pytest.mark.parametrize(("lost", "needed"), [(0, 6), (1, 7)])
def test_a_fleet_on_one_upstream(six_pools: Windows, lost: int, needed: int) -> None:
    """The size is that of one pool, the load of its sisters included."""
    found = answer(six_pools, 1500.0, replicas=6, lost_replicas=lost)
    assert found.size in (needed, needed + 1)


def test_a_fleet_above_the_rate_seen(six_pools: Windows) -> None:
    """How long calls take beyond today's peak is not known."""
    found = answer(six_pools, 1.3 * six_pools.peak_rate, replicas=6, lost_replicas=0)
    assert found.size is None
    assert "is the highest rate" in found.because


def test_what_would_show_more(six_pools: Windows) -> None:
    """Of six pools with room a drill of one; one pool gets no other's calls; a full one is raised.

    The size that is needed is what a pool that is too small is raised to.
    """
    asked = {"replicas": 6, "lost_replicas": 4}
    assert "give one replica twice its share" in answer(six_pools, 1500.0, **asked).because
    full = replace(six_pools, least_size=six_pools.most_in_use, most_size=six_pools.most_in_use)
    assert "raise the size to" in answer(full, 1500.0, **asked).because
    alone = answer(day(SIX[3], 24, seconds=120.0), 2.0 * SIX[3].peak).because
    assert "no other pool has calls to give to this one: observe a busier time, or" in alone


def test_a_fleet_slows_down_with_its_rate(six_pools: Windows) -> None:
    """At the peak a call takes longer than at half of it, and never shorter than where it is."""
    chosen, _ = evidence(six_pools, 700.0, *OF)
    levels = np.array(six_pools.levels, dtype=float)
    held = chosen.held.sum(axis=0) @ levels / chosen.releases.sum()
    # 0.009 s (1 + 0.02 (n - 1)) with n in use of all pools.
    at_peak = 0.009 / (1 - 0.02 * 1500 * 0.009)
    assert slowdown(six_pools, chosen, 1500.0) == pytest.approx(at_peak / held, rel=0.05)
    assert slowdown(six_pools, chosen, 300.0) == 1.0


def test_todays_waits_are_told_or_not_trusted() -> None:
    """The model of a pool that is tight tells its waits; waits of another cause it does not."""
    windows = day(SIX[3], 11, seconds=300.0).whole()
    chosen, trial = evidence(windows, SIX[3].peak, *OF)
    told = todays_waits(chosen, trial, 0.010)
    assert told.is_trusted, told.because
    assert told.pool_size == 11
    seen = {row.longer_than: row for row in told.shares}
    assert seen[0.005].counted == pytest.approx(seen[0.005].predicted, rel=0.5)
    times = chosen.waits
    shifted = np.hstack((np.zeros((len(times.counts), 3)), times.counts[:, :-3]))
    shifted[:, -1] = times.counts[:, -1]
    strange = replace(chosen, waits=Times(times.bounds, shifted, times.total))
    doubted = todays_waits(strange, trial, 0.010)
    assert not doubted.is_trusted
    assert "longer than the model" in doubted.because


def test_todays_waits_of_which_too_little_is_seen() -> None:
    """Bursts of a minute leave the p99 open from 0 to 50 ms: a wrong model would pass, too."""
    windows, trial = evidence(
        day(SIX[1], 30, seconds=60.0, seed=3, shape=steps).whole(), 770.0, *OF
    )
    for asked in (0.010, None):
        told = todays_waits(windows, trial, asked)
        assert not told.is_trusted
        assert "p99 wait up to 50 ms counted, up to 5 ms predicted" in told.because
        assert "too little was seen to hold the model against; look at a longer" in told.because
    assert todays_waits(windows, trial, 0.050).is_trusted  # all of it is good enough


def test_todays_waits_in_few_buckets() -> None:
    """How wide the bucket of the p99 is makes nothing doubtful."""
    windows, trial = evidence(day(SIX[3], 11, seconds=300.0).whole(), SIX[3].peak, *OF)
    times = windows.waits
    few = [i for i, bound in enumerate(times.bounds) if bound in (0.0005, 0.1, math.inf)]
    coarse = Times(tuple(times.bounds[i] for i in few), times.counts[:, few], times.total)
    told = todays_waits(replace(windows, waits=coarse), trial, 0.010)
    assert told.is_trusted
    assert "p99 wait of 0.5 ms to 100 ms counted" in told.because


def test_windows_that_do_not_count() -> None:
    """Those with gaps in the scrapes, figures that are no numbers, or no process are left out."""
    held = np.array([[5.0, 5.0], [1.0, 1.0], [math.nan, 5.0], [5.0, 5.0], [5.0, 5.0]])
    windows = Windows(
        seconds=10.0,
        ends=np.arange(5.0),
        levels=(0, 1),
        held=held,
        releases=np.ones((5, 2)),
        asks=np.array([9.0, 9.0, 9.0, math.nan, 9.0]),
        pools=np.array([1.0, 1.0, 1.0, 1.0, 0.0]),
    )
    assert windows.whole().ends.tolist() == [0.0]


def test_rates_make_up_for_missing_scrapes() -> None:
    """Half of the pool-seconds with half of the calls is the same rate and the same in use."""
    windows = Windows(
        seconds=10.0,
        ends=np.arange(2.0),
        levels=(0, 2),
        held=np.array([[10.0, 10.0], [6.0, 6.0]]),
        releases=np.array([[0.0, 100.0], [0.0, 60.0]]),
        asks=np.array([100.0, 60.0]),
        pools=np.array([2.0, 2.0]),
    )
    assert windows.rates.tolist() == [10.0, 10.0]
    assert windows.in_use.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("bounds", "counts", "p50"),
    [
        ((0.01, 0.02, math.inf), [[0.0, 100.0, 100.0]], math.sqrt(0.01 * 0.02)),
        ((0.01, math.inf), [[100.0, 100.0]], math.sqrt(0.005 * 0.01)),
        ((0.01, 0.02), [[0.0, 100.0]], math.sqrt(0.01 * 0.02)),  # without +Inf
    ],
)
def test_a_histogram_in_finer_buckets(
    bounds: tuple[float, ...], counts: list[list[float]], p50: float
) -> None:
    """Counts stay, and times are spread evenly over the logarithm of their bucket."""
    found = Times(bounds, np.array(counts), np.array([1.5])).distribution()
    assert (found.count, found.mean) == (100, pytest.approx(0.015))
    assert found.p50 == pytest.approx(p50, rel=0.02)
