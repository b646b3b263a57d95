"""The generator against exact recursions on a virtual clock: equal, not close."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from poolkit.drivers.base import Pool, Stamps
from poolkit.errors import CallFailed, Cancelled
from poolkit.load.arrivals import constant, poisson, ramp, replay, steps
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement
from poolkit.load.recorder import Columns, Ledger, Recorder
from poolkit.load.timer import Timer
from poolkit.load.watch import Sampler
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual


def run(pool: Pool, plan: Plan, **options: object) -> tuple[Measurement, list[Columns], float]:
    chunks: list[Columns] = []

    async def go() -> tuple[Measurement, float]:
        loop = asyncio.get_running_loop()
        generator = Generator(pool, plan, Timer(loop), on_chunk=chunks.append, **options)  # type: ignore[arg-type]
        return await generator.run(), loop.time()

    measurement, ended = run_virtual(go())
    return measurement, chunks, ended


def column(chunks: list[Columns], name: str) -> np.ndarray:
    return np.concatenate([getattr(chunk, name) for chunk in chunks])


def fifo_waits(arrivals: list[float], holds: list[float], servers: int) -> np.ndarray:
    """The exact waits of a first-come-first-served queue: Kiefer and Wolfowitz's recursion."""
    free = [0.0] * servers
    waits = []
    for due, hold in zip(arrivals, holds, strict=True):
        begin = max(due, heapq.heappop(free))
        waits.append(begin - due)
        heapq.heappush(free, begin + hold)
    return np.array(waits)


@pytest.mark.parametrize("servers", [1, 2, 10])
def test_open_loop_waits_equal_the_recursion(servers: int) -> None:
    """With the same draws, generator and in-memory pool wait exactly as the recursion says."""
    rng = np.random.default_rng(servers)
    arrivals = list(poisson(0.8 * servers / 0.02, 20.0, seed=7))
    holds = rng.exponential(0.02, len(arrivals)).tolist()
    _, chunks, _ = run(
        MemoryPool(servers, holds),
        Plan(seconds=20.0, warm_up=0.0, seed=7, arrivals=arrivals, grace=60.0),
    )
    order = np.argsort(column(chunks, "due"), kind="stable")
    measured = (column(chunks, "acquired") - column(chunks, "started"))[order]
    assert measured.size == len(arrivals)
    np.testing.assert_allclose(measured, fifo_waits(arrivals, holds, servers), atol=1e-9)


def test_times_of_a_call_add_up() -> None:
    """response_time = lag + wait_time + hold_time for every call, by definition of its stamps."""
    arrivals = list(poisson(300, 5.0, seed=3))
    _, chunks, _ = run(
        MemoryPool(3, iter(lambda: 0.009, None)),
        Plan(seconds=5.0, warm_up=0.0, seed=3, arrivals=arrivals),
    )
    due, started = column(chunks, "due"), column(chunks, "started")
    acquired, released = column(chunks, "acquired"), column(chunks, "released")
    assert (due <= started).all()
    assert (started <= acquired).all()
    assert (acquired <= released).all()
    parts = (started - due) + (acquired - started) + (released - acquired)
    np.testing.assert_allclose(parts, released - due, atol=1e-12)
    served = column(chunks, "served")
    assert ((acquired <= served) & (served <= released)).all()
    assert np.isnan(column(chunks, "dialled")).all()


def test_closed_loop_keeps_every_caller_busy() -> None:
    """8 callers on 8 connections of 10 ms do 800 calls/s, one record each."""
    measurement, chunks, _ = run(
        MemoryPool(8, iter(lambda: 0.01, None)), Plan(seconds=2.0, warm_up=0.5, seed=1, callers=8)
    )
    # The callers begin one after the other, within the warm-up.
    begun = round(0.1 / measurement.bin_seconds)
    assert measurement.completions[begun:].sum() == pytest.approx(1520, abs=8)
    assert column(chunks, "released").size >= measurement.completions.sum()


def test_unfinished_calls_are_counted_not_lost() -> None:
    """Calls that outlast the grace have a record with the outcome unfinished."""
    arrivals = [0.1, 0.2, 0.3]
    measurement, chunks, ended = run(
        MemoryPool(1, [0.05, 1e6, 1.0]),
        Plan(seconds=1.0, warm_up=0.0, seed=1, arrivals=arrivals, grace=2.0),
    )
    assert column(chunks, "due").size == 3
    total = sum(
        (segment.outcomes for segment in measurement.segments),
        start=type(measurement.segments[0].outcomes)(),
    )
    assert total == {"ok": 1, "unfinished": 2}
    assert ended < 10.0


class _Failing:
    """A pool whose calls fail from call number `good` on."""

    pool_size = 1

    def __init__(self, good: int, error: Callable[[], Exception]) -> None:
        self._inner = MemoryPool(1, iter(lambda: 0.01, None))
        self._left = good
        self._error = error

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> object:
        return self._inner.statistics()

    async def call(self, stamps: Stamps) -> None:
        if self._left <= 0:
            raise self._error()
        self._left -= 1
        await self._inner.call(stamps)


def test_error_share_brake_stops_the_trial_and_keeps_what_was_measured() -> None:
    """More than 5 % of failed calls end the trial early, named, with the good calls recorded."""
    pool = _Failing(30, lambda: CallFailed("http_500"))
    measurement, chunks, ended = run(pool, Plan(seconds=60.0, warm_up=0.0, seed=1, callers=1))  # type: ignore[arg-type]
    assert measurement.stopped == "error_share"
    assert ended < 5.0
    assert (column(chunks, "outcome") == 0).sum() == 30


def test_failed_calls_do_not_hammer_the_server() -> None:
    """A closed-loop caller rests after a failure instead of retrying at full speed."""
    pool = _Failing(0, lambda: CallFailed("connection_refused"))
    _, chunks, ended = run(  # type: ignore[misc]
        pool,  # type: ignore[arg-type]
        Plan(seconds=10.0, warm_up=0.0, seed=1, callers=1),
        brakes=Brakes(max_failed_share=1.0, max_no_connection=1000),
    )
    assert column(chunks, "due").size <= 10.0 / 0.05 + 1
    assert ended == pytest.approx(10.0, abs=0.2)


def test_a_fault_of_an_adapter_ends_the_run_with_that_fault() -> None:
    """An exception that is not an outcome of a call is not swallowed and hangs nothing."""
    pool = _Failing(3, lambda: ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        run(pool, Plan(seconds=60.0, warm_up=0.0, seed=1, callers=1))  # type: ignore[arg-type]


def test_backlog_brake_ends_an_overload() -> None:
    """An open loop far above the pool's throughput stops before its queue eats the memory."""
    measurement, _, ended = run(
        MemoryPool(1, iter(lambda: 1.0, None)),
        Plan(seconds=60.0, warm_up=0.0, seed=1, arrivals=constant(1000, 60.0), grace=1.0),
        brakes=Brakes(max_in_system=500),
    )
    assert measurement.stopped == "backlog"
    assert ended < 5.0


def test_cancel_ends_within_a_moment_even_between_rare_arrivals() -> None:
    """Cancelling does not wait for the next due time."""

    async def go() -> float:
        loop = asyncio.get_running_loop()
        generator = Generator(
            MemoryPool(1, iter(lambda: 0.01, None)),
            Plan(seconds=1000.0, warm_up=0.0, seed=1, arrivals=[0.0, 900.0]),
            Timer(loop),
        )
        loop.call_later(5.0, generator.cancel)
        with pytest.raises(Cancelled):
            await generator.run()
        return loop.time()

    assert run_virtual(go()) < 6.0


def test_trial_ends_as_soon_as_it_knows_enough() -> None:
    """`is_enough` shortens the trial, and only whole segments are measured."""

    def is_enough(recorder: Recorder, at: float) -> bool:
        return int(recorder.completions.sum()) >= 300

    measurement, _, ended = run(
        MemoryPool(4, iter(lambda: 0.01, None)),
        Plan(seconds=30.0, warm_up=0.2, seed=1, callers=4),
        is_enough=is_enough,
    )
    assert 0.75 <= ended < 2.0
    assert measurement.seconds <= ended
    assert measurement.seconds == pytest.approx(
        len(measurement.segments) * measurement.segment_seconds
    )


def test_integral_of_calls_in_the_system_is_exact() -> None:
    """The sampled integral equals the sum of the calls' times when all have ended."""
    arrivals = [0.0, 0.1, 0.15]
    measurement, chunks, _ = run(
        MemoryPool(1, [0.2, 0.2, 0.2]), Plan(seconds=2.0, warm_up=0.0, seed=1, arrivals=arrivals)
    )
    times = column(chunks, "released") - column(chunks, "started")
    assert measurement.samples.area[-1] == pytest.approx(float(times.sum()), abs=1e-9)


def recorded_arrivals() -> list[float]:
    """Production's clock, with two calls at one moment and a lull."""
    return [1_700_000_000.0 + at for at in (0.0, 0.5, 0.5, 0.9, 4.0, 4.1)]


@pytest.mark.parametrize(
    ("arrivals", "seconds"),
    [
        (lambda: ramp(0.0, 200.0, 10.0, seed=5), 10.0),
        (lambda: ramp(200.0, 20.0, 10.0, seed=5), 10.0),
        (lambda: steps([(50.0, 4.0), (0.0, 2.0), (150.0, 4.0)], seed=5), 10.0),
        (lambda: replay(recorded_arrivals(), speed=2.0), 3.0),
    ],
    ids=["ramp up", "ramp down", "steps", "replay"],
)
def test_every_schedule_is_sent_as_it_stands(
    arrivals: Callable[[], Iterable[float]], seconds: float
) -> None:
    """Each call is due when the schedule says and waits as the recursion says; none is left out."""
    due = list(arrivals())
    holds = np.random.default_rng(2).exponential(0.02, len(due)).tolist()
    plan = Plan(seconds=seconds, warm_up=0.0, seed=5, arrivals=arrivals(), grace=60.0)
    measurement, chunks, _ = run(MemoryPool(2, holds), plan)
    assert measurement.arrival_rate is None
    order = np.argsort(column(chunks, "due"), kind="stable")
    assert column(chunks, "due")[order].tolist() == due
    waits = column(chunks, "acquired") - column(chunks, "due")
    assert sorted(waits) == pytest.approx(sorted(fifo_waits(due, holds, 2)), abs=1e-9)
    assert not column(chunks, "outcome").any()


def test_a_sampler_that_a_timer_woke_early_was_not_late() -> None:
    """Timers are early by their grain now and then, and a record holds no negative lag."""
    ledger = Ledger(lambda: 0.0, Recorder(1.0, 0.1, 0.005), lambda _kind: None)
    sampler = Sampler(MemoryPool(1, [0.01]), ledger)
    sampler.take(0.02, -0.0002)
    sampler.take(0.04, 0.003)
    assert sampler.samples().loop_lag.tolist() == [0.0, 0.003]
