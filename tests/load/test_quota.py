"""Hard caps are kept while calls are started, not found out afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable

import pytest

from poolkit.errors import BrakeStop
from poolkit.load.arrivals import constant, ramp, replay
from poolkit.load.brakes import Brakes, Quota
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import Timer
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_no_more_permits_than_calls(most: int) -> None:
    """Exactly `max_calls`, and then the reason is there."""
    quota = Quota(Clock(), Brakes(max_calls=most))
    assert sum(1 for _ in quota.permits()) == most
    assert quota.spent is not None
    assert quota.spent.brake == "calls"
    assert quota.spent.remedy


@pytest.mark.parametrize(
    ("rate", "burst", "seconds", "allowed"),
    [
        (100.0, 1, 0.0, 5),  # 0.05 s of calls may come at once
        (100.0, 8, 0.0, 8),  # or one for each caller
        (100.0, 1, 2.0, 205),
        (1.0, 1, 0.5, 2),
        (0.1, 1, 0.0, 1),
    ],
)
def test_no_more_permits_than_the_rate(
    rate: float, burst: int, seconds: float, allowed: int
) -> None:
    """Asked for as many as there are after some seconds, it gives the rate's and the burst's."""
    clock = Clock()
    quota = Quota(clock, Brakes(max_rate=rate), callers=burst)
    permits = quota.permits()
    given = sum(1 for _ in itertools.islice(permits, 1))
    clock.at = seconds
    given += sum(1 for _ in permits)
    assert given == allowed
    assert quota.spent is not None
    assert quota.spent.brake == "rate"
    assert f"max_rate = {rate:g}" in quota.spent.seen


def drive(plan: Plan, brakes: Brakes) -> tuple[str | None, int, int, float]:
    """(brake, records, ok, seconds of virtual time) of a pool of four, 10 ms a call."""
    chunks: list[Columns] = []

    async def go() -> tuple[str | None, float]:
        loop = asyncio.get_running_loop()
        pool = MemoryPool(4, iter(lambda: 0.01, None))
        generator = Generator(pool, plan, Timer(loop), brakes=brakes, on_chunk=chunks.append)
        return (await generator.run()).stopped, loop.time()

    stopped, seconds = run_virtual(go())
    outcomes = [int(code) for chunk in chunks for code in chunk.outcome]
    return stopped, len(outcomes), outcomes.count(0), seconds


@pytest.mark.parametrize("load", ["closed", "open"])
@pytest.mark.parametrize("most", [3, 4, 5, 50])
def test_a_trial_sends_no_call_too_many(load: str, most: int) -> None:
    """Not one; those that were sent end as they would have, and the brake is named."""
    kind = {"callers": 4} if load == "closed" else {"arrivals": constant(300, 9.0)}
    plan = Plan(seconds=9.0, warm_up=0.0, seed=1, **kind)  # type: ignore[arg-type]
    stopped, records, ok, seconds = drive(plan, Brakes(max_calls=most))
    assert (stopped, records, ok) == ("calls", most, most)
    assert seconds < 1.0


@pytest.mark.parametrize(("rate", "stops"), [(100.0, True), (399.0, True), (401.0, False)])
def test_a_closed_loop_keeps_to_the_rate(rate: float, stops: bool) -> None:
    """Four callers of 10 ms make 400 calls/s: at less it stops before one call too many."""
    plan = Plan(seconds=20.0, warm_up=0.0, seed=1, callers=4)
    stopped, records, ok, seconds = drive(plan, Brakes(max_rate=rate))
    assert (stopped == "rate") is stops
    assert records == ok <= max(4, 0.05 * rate) + rate * seconds + 1


def test_an_open_loop_is_looked_at_beforehand() -> None:
    """Its rate is planned, so a plan above the cap is never begun."""
    plan = Plan(seconds=1.0, warm_up=0.0, seed=1, arrivals=constant(101.0, 1.0), arrival_rate=101.0)
    with pytest.raises(BrakeStop, match="max_rate is 100"):
        drive(plan, Brakes(max_rate=100.0))


@pytest.mark.parametrize(
    ("arrivals", "stops"),
    [
        (lambda: constant(99.0, 5.0), False),
        (lambda: constant(150.0, 5.0), True),
        (lambda: ramp(0.0, 190.0, 5.0, seed=1), False),  # 475 calls in 5 s: never 100 in advance
        (lambda: replay([0.0] * 100), False),  # those of 1 s may come at once
        (lambda: replay([0.0] * 101), True),
    ],
    ids=["below", "above", "ramp", "a burst", "one more"],
)
def test_a_schedule_without_a_stated_rate_is_held_to_the_cap(
    arrivals: Callable[[], Iterable[float]], stops: bool
) -> None:
    """Not one call is sent above it, and the brake says that the schedule asked for too much."""
    plan = Plan(seconds=5.0, warm_up=0.0, seed=1, arrivals=arrivals())
    stopped, records, ok, seconds = drive(plan, Brakes(max_rate=100.0))
    assert (stopped == "rate") is stops
    assert records == ok <= 100 + 100 * seconds
