"""A Trial says of a measurement what was really there: in-memory pools of known holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from poolkit.analysis.summary import summarise
from poolkit.drivers.base import DialTimes, PoolStatistics, Stamps
from poolkit.errors import CallFailed
from poolkit.load.arrivals import poisson
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import Timer
from poolkit.records import DialParts, Trial
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual


def trial(pool: MemoryPool, plan: Plan) -> Trial:
    async def go() -> Trial:
        loop = asyncio.get_running_loop()
        measurement = await Generator(pool, plan, Timer(loop)).run()
        return summarise(measurement, target="t", driver="memory", fingerprint="f", purpose="ramp")

    return run_virtual(go())


def exponential(mean: float, count: int = 200_000) -> list[float]:
    return np.random.default_rng(5).exponential(mean, count).tolist()


class Failing(MemoryPool):
    """Every fourth call fails."""

    async def call(self, stamps: Stamps) -> None:
        await super().call(stamps)
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls % 4 == 0:
            raise CallFailed("http_500")


def failed(made: Trial) -> set[str]:
    """The checks that failed; time is virtual here, so how busy this machine is says nothing."""
    return {check.name for check in made.failed_checks} - {"machine_quiet", "client_bound"}


def test_closed_loop_throughput_is_connections_over_hold_time() -> None:
    """8 callers over 8 connections of 10 ms on average: 800 calls/s, busy all the time, no wait."""
    made = trial(
        MemoryPool(8, exponential(0.01)), Plan(seconds=10.0, warm_up=0.5, seed=1, callers=8)
    )
    assert made.throughput == pytest.approx(800, rel=0.05)
    assert made.throughput_interval95 is not None
    assert made.throughput_interval95[0] < 800 < made.throughput_interval95[1]
    assert made.hold_time.mean == pytest.approx(0.01, rel=0.05)
    assert made.wait_time.longest == 0.0
    assert made.concurrency == pytest.approx(8.0, rel=1e-6)
    assert made.utilisation == pytest.approx(1.0, rel=0.02)
    assert failed(made) == set()


def test_departures_of_exponential_holds_are_as_random_as_poisson() -> None:
    """The index of dispersion is 1 for exponential holds and about 0 for constant ones."""
    random = trial(
        MemoryPool(8, exponential(0.01)), Plan(seconds=30.0, warm_up=0.5, seed=1, callers=8)
    )
    steady = trial(
        MemoryPool(8, iter(lambda: 0.01, None)), Plan(seconds=30.0, warm_up=0.5, seed=1, callers=8)
    )
    assert random.dispersion == pytest.approx(1.0, abs=0.2)
    assert steady.dispersion == pytest.approx(0.0, abs=0.05)


def test_open_loop_wait_agrees_with_the_pollaczek_khinchine_formula() -> None:
    """M/M/1 at 70 %: mean wait = rho / (mu - lambda), and Little's Law holds in the trial."""
    rate, mean = 70.0, 0.01
    made = trial(
        MemoryPool(1, exponential(mean)),
        Plan(
            seconds=300.0,
            warm_up=5.0,
            seed=1,
            arrivals=poisson(rate, 300.0, 11),
            arrival_rate=rate,
        ),
    )
    expected = 0.7 / (1 / mean - rate)
    assert made.wait_time.mean == pytest.approx(expected, rel=0.15)
    assert "littles_law" not in failed(made)
    assert made.throughput == pytest.approx(rate, rel=0.03)
    assert made.utilisation == pytest.approx(0.7, rel=0.05)


def test_a_queue_that_grows_is_not_steady() -> None:
    """A queue that grows for the whole trial is named, not averaged away."""
    made = trial(
        MemoryPool(1, iter(lambda: 0.01, None)),
        Plan(
            seconds=20.0,
            warm_up=0.5,
            seed=1,
            arrivals=poisson(150.0, 20.0, 3),
            arrival_rate=150.0,
            grace=60.0,
        ),
    )
    assert failed(made) == {"steady"}


def test_a_trial_without_a_success_has_no_hold_time_and_fails_its_checks() -> None:
    """Nothing measured is None, and the trial is not usable."""
    made = trial(MemoryPool(1, [1e6]), Plan(seconds=1.0, warm_up=0.0, seed=1, callers=1, grace=0.1))
    assert made.hold_time.mean is None
    assert made.throughput == 0.0
    assert not made.is_usable


def test_a_trial_that_a_brake_stopped_keeps_what_the_brake_saw() -> None:
    """Calls that fail before the warm-up ends would be cut off with it, and so would the reason."""

    async def go() -> Trial:
        loop = asyncio.get_running_loop()
        pool = Failing(8, iter(lambda: 0.01, None))
        plan = Plan(seconds=10.0, warm_up=1.0, seed=1, callers=8)
        generator = Generator(pool, plan, Timer(loop), brakes=Brakes(max_failed_share=0.05))
        measurement = await generator.run()
        return summarise(measurement, target="t", driver="memory", fingerprint="f", purpose="ramp")

    made = run_virtual(go())
    assert made.stopped is not None
    assert made.warm_up == 0.0
    assert made.outcomes["error"] >= 2


def test_trial_survives_json() -> None:
    """A line of NAME.trials.jsonl reads back as the same record."""
    made = trial(
        MemoryPool(2, exponential(0.01)), Plan(seconds=2.0, warm_up=0.2, seed=1, callers=2)
    )
    assert Trial.model_validate_json(made.model_dump_json()) == made


def test_the_parts_of_a_dial_are_means() -> None:
    """Over all dials of the trial; None where nobody dialled or the library shows none."""

    class Dialling(MemoryPool):
        times: DialTimes | None = None

        def statistics(self) -> PoolStatistics:
            return replace(super().statistics(), dial_times=self.times)

    def parts(times: DialTimes | None) -> DialParts | None:
        pool = Dialling(1, iter(lambda: 0.01, None))
        pool.times = times
        return trial(pool, Plan(seconds=1.0, warm_up=0.0, seed=1, callers=1)).dial_parts

    assert parts(None) is None
    assert parts(DialTimes(0, 0.0, 0.0, 0.0)) is None
    assert parts(DialTimes(4, 0.4, 0.2, 0.8)) == DialParts(dials=4, dns=0.1, tcp=0.05, tls=0.2)
