"""Connections in use at once, as folded while calls end, against a count of the raw records."""

from __future__ import annotations

import asyncio
import bisect
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.drivers.base import Pool, PoolStatistics, Stamps
from poolkit.drivers.fleet import FleetPool
from poolkit.errors import CallFailed, CallRejected
from poolkit.load import recorder as recorder_module
from poolkit.load.arrivals import poisson
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.in_use import InUse, InUseFold
from poolkit.load.measurement import Measurement, part
from poolkit.load.recorder import REJECTED, Columns
from poolkit.load.timer import Timer
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual

ENDURING = Brakes(max_failed_share=1.0, max_held_p99=1e9, max_silence=1e9)


class Rough:
    """A pool whose calls fail while they wait, are turned away soon or late, or break."""

    def __init__(self, size: int, seed: int, failing: float, mean: float = 0.01) -> None:
        self.pool_size = size
        self._slots = asyncio.Semaphore(size)
        self._random = random.Random(seed)
        self._failing = failing
        self._mean = mean

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self.pool_size, 0, 0, 0, 0, 0)

    async def call(self, stamps: Stamps) -> None:
        chance = self._random.random() / self._failing if self._failing else 1.0
        if chance < 0.2:
            await asyncio.sleep(self._random.expovariate(100.0))
            raise CallFailed("early")
        async with self._slots:
            stamps.acquired()
            if 0.2 <= chance < 0.4:
                await asyncio.sleep(self._random.expovariate(1e5))
                raise CallRejected("http_503")
            await asyncio.sleep(self._random.expovariate(1 / self._mean))
            stamps.served()
            if 0.4 <= chance < 0.7:
                raise CallRejected("http_429")
            if 0.7 <= chance < 1.0:
                raise CallFailed("http_500")


class Slow(MemoryPool):
    """Its calls note their connection 1 ms after they got it."""

    async def call(self, stamps: Stamps) -> None:
        await self._acquire()
        try:
            await asyncio.sleep(0.001)
            stamps.acquired()
            await asyncio.sleep(next(self._holds))
        finally:
            self._release()


def run(pool: Callable[[], Pool], plan: Plan, **options: object) -> tuple[Measurement, Columns]:
    """A trial and all its records."""
    chunks: list[Columns] = []

    async def go() -> Measurement:
        timer = Timer(asyncio.get_running_loop())
        generator = Generator(
            pool(),
            plan,
            timer,
            brakes=ENDURING,
            on_chunk=chunks.append,
            **options,  # type: ignore[arg-type]
        )
        return await generator.run()

    measurement = run_virtual(go())
    times = np.hstack([chunk.times for chunk in chunks])
    return measurement, Columns(times, np.hstack([chunk.outcome for chunk in chunks]))


def counted(calls: Columns, edges: list[float], connections: int) -> list[np.ndarray]:
    """Rows of seconds, releases and rejected by n between edges, one event after the other."""
    nothing = (False, False)
    events = [(at, 9, nothing) for at in edges]
    for started, acquired, released, code in zip(
        calls.started.tolist(),
        calls.acquired.tolist(),
        calls.released.tolist(),
        calls.outcome.tolist(),
        strict=True,
    ):
        if math.isnan(started):
            continue
        events.append((started, 1, nothing))
        if not math.isnan(released):
            had = not math.isnan(acquired)
            # At one moment ends come before begins, and calls of no length last.
            kind = 2 if released == started else 0
            events.append((released, kind, (had, had and code == REJECTED)))
    events.sort(key=lambda event: event[:2])
    slices = [np.zeros((3, connections + 1)) for _ in range(len(edges) + 1)]
    under_way, before = 0, 0.0
    for at, kind, (is_release, is_rejected) in events:
        # (begin, end]: an event on an edge belongs to the slice that ends there.
        table = slices[bisect.bisect_left(edges, at)]
        table[:, min(under_way, connections)] += (at - before, is_release, is_rejected)
        before = at
        under_way += {0: -1, 1: 1, 2: -1, 9: 0}[kind]
    return slices[1:-1]


def assert_exact(folded: InUse, exact: np.ndarray) -> None:
    """The same seconds (to a nanosecond) and calls in every state."""
    whole = InUse()
    whole.add(np.zeros(exact.shape))
    whole.merge(folded)
    missing = whole.table.shape[1] - exact.shape[1]
    expected = np.pad(exact, ((0, 0), (0, missing)))
    np.testing.assert_allclose(whole.table[0], expected[0], atol=1e-9)
    np.testing.assert_array_equal(whole.table[1:], expected[1:])


def assert_every_segment(measurement: Measurement, calls: Columns, connections: int) -> None:
    edges = [index * measurement.segment_seconds for index in range(len(measurement.segments) + 1)]
    for segment, exact in zip(
        measurement.segments, counted(calls, edges, connections), strict=True
    ):
        assert_exact(segment.in_use, exact)


def load(rate_or_callers: float, seconds: float, seed: int, grace: float = 100.0) -> Plan:
    """A closed loop of so many callers, or (a float) an open loop of so many calls/s."""
    closed = isinstance(rate_or_callers, int)
    return Plan(
        seconds=seconds,
        warm_up=0.0,
        seed=seed,
        callers=int(rate_or_callers) if closed else None,
        arrivals=None if closed else poisson(rate_or_callers, seconds, seed),
        grace=grace,
    )


@pytest.mark.parametrize("of", [12, 900.0], ids=["closed", "open"])
def test_many_chunks_of_calls_equal_the_count(of: float) -> None:
    """Calls that are under way at a fold are counted once, when they began."""
    holds = np.random.default_rng(4).exponential(0.01, 20_000).tolist()
    measurement, calls = run(lambda: MemoryPool(12, holds), load(of, 10.0, 4))
    assert calls.due.size > 5 * recorder_module.CHUNK
    assert_every_segment(measurement, calls, 12)


@pytest.mark.parametrize("of", [9, 700.0], ids=["closed", "open"])
def test_failures_and_several_pools_equal_the_count(of: float) -> None:
    """A caller that rests after a failure holds nothing; the pools of a fleet are one state."""
    measurement, calls = run(
        lambda: FleetPool([Rough(3, seed, 0.3) for seed in range(3)], 5), load(of, 12.0, 5)
    )
    assert set(calls.outcome.tolist()) == {0, 1, 4}
    assert np.isnan(calls.acquired).any()
    assert_every_segment(measurement, calls, 9)
    table = sum((segment.in_use.table[:, :1] for segment in measurement.segments), np.zeros((3, 1)))
    assert table[1, 0] == 0  # nothing is released out of an empty pool


@pytest.mark.parametrize("of", [4, 40.0], ids=["closed", "open"])
def test_calls_that_are_cut_off_hold_to_the_end(of: float) -> None:
    """They were acquired, so they are in use, and what cancels them is no release."""
    holds = [0.05] * 40 + [1e6] * 100
    measurement, calls = run(lambda: MemoryPool(4, holds), load(of, 4.0, 6, grace=0.5))
    assert (np.isnan(calls.released) & ~np.isnan(calls.acquired)).sum() == 4
    assert_every_segment(measurement, calls, 4)
    (last,) = np.flatnonzero(measurement.segments[-1].in_use.table[0]).tolist()
    assert last == 4


def test_the_time_after_the_last_call_counts() -> None:
    """Seconds with nothing in use, up to the end of the trial."""
    plan = Plan(seconds=3.0, warm_up=0.0, seed=1, arrivals=[0.5], grace=1.0)
    measurement, _ = run(lambda: MemoryPool(2, [0.25]), plan)
    seconds = sum(
        (np.pad(one.in_use.table[0], (0, 2))[:2] for one in measurement.segments), np.zeros(2)
    )
    np.testing.assert_allclose(seconds, [2.75, 0.25])


def test_a_trial_that_ends_early_ends_its_states() -> None:
    """Calls that are released within the grace, after the end, are no part of it."""
    measurement, calls = run(
        lambda: MemoryPool(6, iter(lambda: 0.3, None)),
        load(60.0, 8.0, 2),
        is_enough=lambda _recorder, at: at > 2.0,
    )
    assert measurement.seconds < 2.5 < calls.released.max()
    assert_every_segment(measurement, calls, 6)


def test_a_phase_of_a_trial_has_its_own_states() -> None:
    """`part` of two halves holds what the whole does."""
    measurement, calls = run(lambda: Rough(5, 3, 0.1), load(300.0, 10.0, 3))
    for begin, end in ((0.0, 4.0), (4.0, 10.0)):
        phase = InUse()
        for segment in part(measurement, begin, end, 300.0).segments:
            phase.merge(segment.in_use)
        assert_exact(phase, *counted(calls, [begin, end], 5))


@settings(max_examples=40, deadline=None)
@given(
    chunk=st.integers(1, 40),
    size=st.integers(1, 5),
    pools=st.integers(1, 3),
    seed=st.integers(0, 10_000),
    failing=st.sampled_from([0.0, 0.2, 1.0]),
    mean=st.sampled_from([0.0005, 0.01, 0.5]),
    of=st.one_of(st.integers(1, 20), st.floats(2.0, 600.0)),
    grace=st.sampled_from([0.0, 0.1, 50.0]),
)
def test_states_balance(
    chunk: int,
    size: int,
    pools: int,
    seed: int,
    failing: float,
    mean: float,
    of: float,
    grace: float,
) -> None:
    """Seconds add up to the window, releases to the calls that ended in it, all to the count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder_module, "_CHUNK_BYTES", chunk * recorder_module._ROW_BYTES)
        measurement, calls = run(
            lambda: FleetPool([Rough(size, seed + i, failing, mean) for i in range(pools)], seed),
            load(of, 2.0, seed, grace),
        )
    whole = InUse()
    for segment in measurement.segments:
        whole.merge(segment.in_use)
    assert whole.table[0].sum() == pytest.approx(measurement.seconds)
    end = measurement.seconds
    released = ~np.isnan(calls.acquired) & (calls.released <= end)
    assert whole.table[1].sum() == released.sum()
    assert whole.table.shape[1] <= size * pools + 1
    assert_every_segment(measurement, calls, size * pools)


def test_a_call_of_no_length_is_released_out_of_its_own_state() -> None:
    """Where the clock does not tell its release from its acquire."""
    slices = [InUse(), InUse()]
    fold = InUseFold(slices, 1.0, 8)
    at, had = np.array([0.5, 0.7]), np.array([True, True])
    fold.fold(at, at, had, np.array([False, True]), np.empty(0))
    fold.finish()
    assert slices[0].states() == {0: (1.0, 0, 0), 1: (0.0, 2, 1)}


def test_a_full_pool_stays_full_while_connections_change_hands() -> None:
    """Its waiters take note 1 ms after a release, when others have ended too."""
    plan = load(400.0, 5.0, 8)
    measurement, _ = run(lambda: Slow(3, np.random.default_rng(1).exponential(0.01, 2500)), plan)
    whole = InUse()
    for segment in measurement.segments[10:]:
        whole.merge(segment.in_use)
    assert np.flatnonzero(whole.table[0]).tolist() == [3]
    assert whole.table[1, 3] / whole.table[0, 3] == pytest.approx(3 / 0.011, rel=0.08)


def test_stamps_that_came_late_end_no_trial() -> None:
    """A release without its acquire is counted out of one in use, and the next fold is right."""
    slices = [InUse(), InUse(), InUse()]
    fold = InUseFold(slices, 1.0, 8)
    # One call is under way at 0.2; when the next fold comes it is gone without a record.
    had = np.array([True])
    fold.fold(np.array([0.1]), np.array([0.2]), had, None, np.array([0.15]))
    fold.fold(np.array([0.3]), np.array([0.5]), had, had, np.array([0.45]))
    fold.finish()
    assert slices[0].table[0].sum() == pytest.approx(1.0)
    assert slices[0].table[1:].sum(axis=1).tolist() == [2.0, 1.0]
    assert slices[1].states() == {1: (1.0, 0, 0)}


def test_memory_does_not_grow_with_calls() -> None:
    """Ten thousand folds of calls leave tables as wide as the most in use."""
    slices = [InUse() for _ in range(11)]
    fold = InUseFold(slices, 1.0, 8)
    for index in range(10_000):
        at = index * 1e-3
        began = np.full(12, at)
        fold.fold(began, began + 1e-3, np.ones(12, dtype=np.bool_), None, np.empty(0))
    assert max(one.table.shape[1] for one in slices) == 9
