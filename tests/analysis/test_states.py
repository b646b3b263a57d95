"""Throughput by connections in use: exact sums, and the truth of upstreams that are known."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from poolkit.analysis.states import state_points, together
from poolkit.analysis.summary import summarise
from poolkit.load.arrivals import poisson
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement, part
from poolkit.load.timer import Timer
from poolkit.records import StatePoint, Trial
from tests.analysis.simulate import Workers
from tests.analysis.synthetic import drawn_trial, simulated_trial
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual

HOLD = 0.01  # s
State = tuple[float, int, int]


def measured(size: int, rate: float, seconds: float, seed: int, warm_up: float) -> Measurement:
    """An open loop of Poisson arrivals on `size` connections with exponential holds."""
    # Not from the seed of the arrivals: they would be the same draws.
    rng = np.random.default_rng([seed, size])
    holds = rng.exponential(HOLD, round(2 * rate * seconds)).tolist()
    plan = Plan(
        seconds=seconds,
        warm_up=warm_up,
        seed=seed,
        arrivals=poisson(rate, seconds, seed),
        arrival_rate=rate,
        grace=60.0,
    )

    async def go() -> Measurement:
        return await Generator(
            MemoryPool(size, holds), plan, Timer(asyncio.get_running_loop())
        ).run()

    return run_virtual(go())


def recorded(measurement: Measurement) -> Trial:
    return summarise(measurement, target="t", driver="memory", fingerprint="f", purpose="approach")


def batched(*batches: dict[int, State]) -> Trial:
    return drawn_trial(8, 100.0, in_use=batches)


def test_a_trial_keeps_ten_batches_of_its_window() -> None:
    """The warm-up is cut, seconds add up to the window and releases to the calls that ended in it.

    The record survives its file.
    """
    trial = recorded(measured(6, 400.0, 20.0, 1, warm_up=2.0))
    assert len(trial.in_use) == 10
    assert sum(seconds for seconds, _, _ in together([trial]).values()) == pytest.approx(
        trial.window, abs=1e-6
    )
    released = sum(releases for _, releases, _ in together([trial]).values())
    assert released == pytest.approx(trial.throughput * trial.window, abs=1)
    # 54 segments in 10 batches of 6 or 5 each.
    each = [sum(seconds for seconds, _, _ in batch.values()) for batch in trial.in_use]
    assert each == pytest.approx([trial.window / 10] * 10, rel=0.12)
    assert max(together([trial])) == 6
    assert all(any(state) for batch in trial.in_use for state in batch.values())
    assert Trial.model_validate_json(trial.model_dump_json()) == trial
    assert len(trial.model_dump_json(include={"in_use"})) < 5000


def test_two_halves_are_the_whole() -> None:
    """Phases of one trial add up to it, and to the sum over its segments."""
    measurement = measured(5, 300.0, 10.0, 2, warm_up=0.0)
    halves = [recorded(part(measurement, begin, begin + 5.0, 300.0)) for begin in (0.0, 5.0)]
    whole, summed = together([recorded(measurement)]), together(halves)
    assert list(whole) == list(summed) == sorted(whole)
    for n, (seconds, releases, rejected) in whole.items():
        assert summed[n] == (pytest.approx(seconds, abs=1e-7), releases, rejected)


@pytest.mark.parametrize("utilisation", [0.5, 0.8])
def test_the_throughput_of_a_state_is_that_of_its_connections(utilisation: float) -> None:
    """M/M/c: X(n) = n / S at each n up to c, and nothing is seen beyond."""
    servers = 8
    trial = recorded(measured(servers, utilisation * servers / HOLD, 60.0, 3, warm_up=1.0))
    points = {point.in_use: point for point in state_points([trial])}
    assert list(points) == list(range(1, servers + 1))
    for n, point in points.items():
        # The releases out of a state are Poisson where holds are exponential.
        error = 4.0 * n / HOLD / np.sqrt(point.releases)
        assert point.throughput == pytest.approx(n / HOLD, abs=error)
    covered = [low <= n / HOLD <= high for n, (low, high) in intervals(points)]
    assert sum(covered) >= servers - 1


def intervals(points: dict[int, StatePoint]) -> list[tuple[int, tuple[float, float]]]:
    return [(n, point.interval95) for n, point in points.items() if point.interval95]


def test_open_and_closed_trials_tell_the_same() -> None:
    """A saturated closed loop is one state, whose throughput is the trial's."""
    closed = [simulated_trial(Workers(8, HOLD, cv=1.0), n, seconds=4.0) for n in (4, 8, 12)]
    for trial in closed:
        (point,) = state_points([trial])
        assert point.in_use == trial.connections
        assert point.throughput == pytest.approx(trial.throughput, rel=1e-3)
    both = state_points([*closed, recorded(measured(8, 500.0, 10.0, 4, warm_up=0.5))])
    assert [point.in_use for point in both] == [*range(1, 9), 12]
    assert both[3].seconds > closed[0].window


def test_rejected_calls_are_releases_but_no_throughput() -> None:
    """A server that turns the third call away serves as many with three as with two."""
    (two, three) = state_points([batched({2: (2.0, 200, 0), 3: (1.0, 150, 50)})])
    assert (two.throughput, three.throughput, three.releases) == (100.0, 100.0, 150)


def test_a_state_that_few_batches_know_has_a_poisson_interval() -> None:
    """Garwood's limits for 10 events are 4.795 and 18.39, for none 0 and 3.689."""
    batches = [{1: (1.0, 50 + index, 0)} for index in range(9)]
    trial = batched(*batches, {1: (1.0, 50, 0), 2: (0.5, 10, 0), 3: (0.1, 0, 0)})
    one, two, three = state_points([trial])
    assert two.interval95 == pytest.approx((4.795 / 0.5, 18.39 / 0.5), rel=1e-3)
    assert three.interval95 == pytest.approx((0.0, 36.89), rel=1e-3)
    assert one.interval95 is not None
    assert 50 < one.interval95[0] < one.throughput < one.interval95[1] < 58


def test_an_interval_covers_what_it_says() -> None:
    """Over 200 sets of ten batches whose rates vary by 5 %, about 95 % hold the true rate."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        rates = rng.normal(100.0, 5.0, 30)
        trials = [
            batched(*({4: (2.0, round(2 * rate), 0)} for rate in rates[i : i + 10]))
            for i in (0, 10, 20)
        ]
        (point,) = state_points(trials)
        assert point.interval95 is not None
        hits += point.interval95[0] <= 100.0 <= point.interval95[1]
    assert 178 <= hits <= 199


def test_the_same_trials_give_the_same_points() -> None:
    """Resampling has a fixed seed."""
    trial = recorded(measured(4, 200.0, 5.0, 5, warm_up=0.0))
    assert state_points([trial]) == state_points([trial])


def test_nothing_seen_is_nothing_said() -> None:
    """Trials without the record, an idle one, and a state that no time passed in."""
    assert state_points([]) == ()
    assert state_points([drawn_trial(4, 100.0)]) == ()
    assert state_points([batched({0: (3.0, 0, 0), 1: (0.0, 1, 0)})]) == ()
    assert together([]) == {}
