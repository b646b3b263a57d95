"""However a trial ends, every call that was due by then has exactly one record."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.errors import CallFailed, Cancelled
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import Timer
from poolkit.records import OUTCOMES
from tests.virtual_clock import run_virtual


class Stubborn:
    """A pool whose calls last for ever and take `deaf` cancellations before they give way."""

    pool_size = 1

    def __init__(self, deaf: int) -> None:
        self._deaf = deaf

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(1, 0, 0, 0, 0, 0)

    async def call(self, stamps: Stamps) -> None:
        stamps.acquired()
        for left in range(self._deaf, -1, -1):
            try:
                await asyncio.sleep(1000.0)
            except asyncio.CancelledError:
                if left == 0:
                    raise


def outcomes(
    pool: Stubborn, plan: Plan, brakes: Brakes | None = None
) -> tuple[Counter[str], float, str | None]:
    """Outcomes, when the run was over (s of virtual time), and the brake."""
    chunks: list[Columns] = []

    async def go() -> tuple[float, str | None]:
        loop = asyncio.get_running_loop()
        generator = Generator(pool, plan, Timer(loop), brakes=brakes, on_chunk=chunks.append)
        measurement = await generator.run()
        ended = loop.time()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        while left:  # deaf ones, so that the loop can be closed
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.1)
        return ended, measurement.stopped

    ended, stopped = run_virtual(go())
    return Counter(OUTCOMES[code] for chunk in chunks for code in chunk.outcome), ended, stopped


@pytest.mark.parametrize("deaf", [0, 1, 2, 5])
@pytest.mark.parametrize("loop", ["open", "closed"])
def test_a_call_that_resists_cancellation_is_recorded(loop: str, deaf: int) -> None:
    """Libraries shield a release from the first cancellation; nothing waits for the deaf ones."""
    load = {"arrivals": [0.1, 0.2, 0.3]} if loop == "open" else {"callers": 3}
    plan = Plan(seconds=1.0, warm_up=0.0, seed=1, grace=0.5, **load)
    seen, ended, stopped = outcomes(Stubborn(deaf), plan)
    assert seen == {"unfinished": 3}
    assert ended < 1.0 + 0.5 + 1.0
    assert stopped == "silence"


def test_calls_due_before_the_end_that_were_never_started_are_recorded() -> None:
    """A generator that lags behind its schedule loses no call; what is due later is no call."""

    class Slow(Timer):
        """Hands out the third moment far too late."""

        async def wait_until(self, at: float) -> None:
            await asyncio.sleep(10.0 if at > 0.25 else at - self.now())

    chunks: list[Columns] = []

    async def go() -> str | None:
        timer = Slow(asyncio.get_running_loop())
        plan = Plan(seconds=60.0, warm_up=0.0, seed=1, arrivals=[0.1, 0.2, 0.3, 0.4, 50.0])
        brakes = Brakes(max_silence=1.0)
        generator = Generator(Stubborn(0), plan, timer, brakes=brakes, on_chunk=chunks.append)
        return (await generator.run()).stopped

    assert run_virtual(go()) == "silence"
    assert [float(due) for chunk in chunks for due in sorted(chunk.due)] == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("at", [0.5, 50.0], ids=["under load", "in the grace"])
def test_cancel_waits_for_no_call(at: float) -> None:
    """Cancelled under load or while the last calls are waited for, it is over at once."""

    async def go() -> float:
        loop = asyncio.get_running_loop()
        plan = Plan(seconds=1.0, warm_up=0.0, seed=1, grace=100.0, callers=2)
        generator = Generator(Stubborn(0), plan, Timer(loop))
        loop.call_later(at, generator.cancel)
        with pytest.raises(Cancelled):
            await generator.run()
        return loop.time() - at

    assert run_virtual(go()) < 0.1


class Deaf:
    """A pool whose calls take 0.1 s until 2.5 s, and then one of each caller ignores its end."""

    pool_size = 2

    def __init__(self, ending: BaseException | None) -> None:
        self._ending = ending

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(2, 0, 0, 0, 0, 0)

    async def call(self, stamps: Stamps) -> None:
        stamps.acquired()
        loop = asyncio.get_running_loop()
        if loop.time() < 2.5:
            await asyncio.sleep(0.1)
            return
        while loop.time() < 100.0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(100.0 - loop.time())
        if self._ending is not None:
            raise self._ending


@pytest.mark.parametrize(
    "ending",
    [None, CallFailed("late"), asyncio.CancelledError()],
    ids=["served", "failed", "cancelled"],
)
@pytest.mark.parametrize("loop", ["open", "closed"])
def test_a_deaf_call_is_recorded_where_it_began_and_once(
    loop: str, ending: BaseException | None
) -> None:
    """Not at the trial's beginning, and what becomes of it after the trial is nobody's matter."""
    load = {"arrivals": [0.1, 2.6, 2.7]} if loop == "open" else {"callers": 2}
    chunks: list[Columns] = []

    async def go() -> tuple[int, int, float]:
        plan = Plan(seconds=3.0, warm_up=1.0, seed=1, grace=0.5, **load)
        timer = Timer(asyncio.get_running_loop())
        generator = Generator(Deaf(ending), plan, timer, on_chunk=chunks.append)
        measurement = await generator.run()
        calls = generator.calls
        await asyncio.gather(
            *(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True
        )
        kinds = sum(sum(segment.error_kinds.values()) for segment in measurement.segments)
        return calls, generator.calls, kinds

    at_the_end, later, kinds = run_virtual(go())
    due = [float(at) for c in chunks for at, code in zip(c.due, c.outcome, strict=True) if code]
    assert at_the_end == later
    assert kinds == len(due) == 2
    assert all(2.4 < at < 2.8 for at in due)
