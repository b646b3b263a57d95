"""The parts of the response time add up in every trial, whatever becomes of its calls."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.analysis.summary import summarise
from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.errors import CallFailed
from poolkit.load.arrivals import poisson
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import Timer
from poolkit.records import Trial
from tests.virtual_clock import run_virtual

ENDURING = Brakes(max_failed_share=1.0, max_held_p99=1e9, max_silence=1e9)


class Staged:
    """A pool whose calls pass through every stage: wait, dial, service, release, each drawn.

    A share of the calls fails, while it waits or after it was served.
    """

    def __init__(self, size: int, seed: int, failing: float, dialling: float) -> None:
        self.pool_size = size
        self._slots = asyncio.Semaphore(size)
        self._random = random.Random(seed)
        self._failing = failing
        self._dialling = dialling

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self.pool_size, 0, 0, 0, 0, 0)

    async def call(self, stamps: Stamps) -> None:
        draw = self._random
        if draw.random() < self._failing / 2:
            await asyncio.sleep(draw.expovariate(100.0))
            raise CallFailed("early")
        async with self._slots:
            stamps.acquired()
            if draw.random() < self._dialling:
                await asyncio.sleep(draw.expovariate(500.0))
                stamps.dialled()
            await asyncio.sleep(draw.expovariate(200.0))
            stamps.served()
            await asyncio.sleep(draw.expovariate(2000.0))
            if draw.random() < self._failing / 2:
                raise CallFailed("late")


def trial(pool: Staged, plan: Plan) -> Trial:
    async def go() -> Trial:
        generator = Generator(pool, plan, Timer(asyncio.get_running_loop()), brakes=ENDURING)
        return summarise(
            await generator.run(), target="t", driver="memory", fingerprint="f", purpose="verify"
        )

    return run_virtual(go())


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    failing=st.sampled_from([0.0, 0.1, 0.6]),
    dialling=st.sampled_from([0.0, 0.3, 1.0]),
    load=st.one_of(st.integers(1, 12), st.floats(5.0, 600.0)),
)
def test_the_means_add_up(
    size: int, seed: int, failing: float, dialling: float, load: float
) -> None:
    """lag + wait + dial + service + release = response time; wait and hold likewise."""
    is_closed = isinstance(load, int)
    plan = Plan(
        seconds=3.0,
        warm_up=0.3,
        seed=seed,
        callers=load if is_closed else None,
        arrivals=None if is_closed else poisson(load, 3.0, seed),
        grace=100.0,
    )
    seen = trial(Staged(size, seed, failing, dialling), plan)
    if seen.outcomes.get("ok", 0) == 0:
        assert seen.budget is None
        return
    assert seen.budget is not None
    parts = {name: getattr(seen.budget, name) for name in type(seen.budget).model_fields}
    assert seen.response_time.mean == pytest.approx(sum(part.mean for part in parts.values()))
    held = ("dial", "service", "release")
    assert seen.hold_time.mean == pytest.approx(sum(parts[name].mean for name in held))
    # The longest percentile of a part is at most that of the whole, up to a bucket's width.
    assert all(0 <= part.p50 <= part.p99 for part in parts.values())
    assert parts["service"].p99 <= 1.02 * (seen.response_time.longest or 0.0)


def test_a_failed_call_is_no_part_of_the_budget() -> None:
    """wait_time also tells how long calls waited that failed; the budget is of the others."""
    plan = Plan(seconds=3.0, warm_up=0.0, seed=3, callers=8, grace=100.0)
    seen = trial(Staged(2, 3, 0.5, 0.0), plan)
    assert seen.budget is not None
    assert seen.wait_time.count > seen.response_time.count == seen.outcomes["ok"]


def test_inferred_waits_are_labelled() -> None:
    """A pool that cannot see its waits says so, and the trial's record does."""
    pool = Staged(1, 1, 0.0, 0.0)
    plan = Plan(seconds=1.0, warm_up=0.0, seed=1, callers=1)
    assert trial(pool, plan).wait_is_exact
    pool = Staged(1, 1, 0.0, 0.0)
    pool.wait_is_exact = False  # type: ignore[attr-defined]
    assert not trial(pool, plan).wait_is_exact
