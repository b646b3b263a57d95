"""The instrumented closed loop against a bare one, turn by turn in one process.

Both use pools of the same library, size and settings, all connections dialled beforehand. Calls per
second of this process's CPU are compared, so that neither the server nor other programs decide. The
turns are short and the bare loop is taken on both sides of each instrumented one, because a
machine's speed drifts; how far the two bare ones are apart is the noise of one turn.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.load.calls import STAGGER
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import OK, Columns
from poolkit.load.timer import best_timer

SECONDS = 1.2  # of a turn; starting and ending a trial weighs little against it
REPEATS = 15
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Overhead:
    """Instrumented over bare, calls per CPU second: one ratio a repeat, and what they were of."""

    name: str
    callers: int
    goal: float
    ratios: tuple[float, ...]
    bare: tuple[float, ...]
    noise: float  # mean relative distance of the two bare turns around each instrumented one

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        cost = 1e6 * (1.0 / self.ratio - 1.0) / statistics.median(self.bare)
        return (
            f"instrumented / bare {self.name}, {units.plural(self.callers, 'connection')}: "
            f"{self.ratio:.3f} in the median of {len(self.ratios)} (from {min(self.ratios):.3f} "
            f"to {max(self.ratios):.3f}; bare "
            f"{statistics.median(self.bare):.0f} calls per CPU second, its turns "
            f"{self.noise:.1%} apart; measuring costs {cost:.1f} us a call): "
            f"{reached(self.ratio >= self.goal)} (>= {self.goal:.2f})"
        )


def reached(holds: bool) -> str:
    """How a bench says whether its figure was met."""
    return "reached" if holds else "MISSED"


async def bare_loop(call: Call, callers: int, seconds: float = SECONDS) -> float:
    """Calls per CPU second of `callers` callers that measure nothing.

    They begin spread as the generator's do: callers in step share turns of the event loop, and a
    service's callers are not in step.
    """
    calls = 0
    end = time.perf_counter() + seconds

    async def caller(after: float) -> None:
        nonlocal calls
        await asyncio.sleep(after)
        while time.perf_counter() < end:
            await call()
            calls += 1

    cpu = time.process_time()
    await asyncio.gather(*(caller(STAGGER * index / callers) for index in range(callers)))
    return calls / (time.process_time() - cpu)


async def instrumented_loop(pool: Pool, seconds: float = SECONDS) -> tuple[float, float]:
    """Calls per CPU second and per second of the generator, sampling and folding included."""
    timer = best_timer(asyncio.get_running_loop())
    plan = Plan(seconds=seconds, warm_up=0.1, seed=1, callers=pool.pool_size)
    calls = 0

    def count(chunk: Columns) -> None:
        # All of them: those that end after the trial's last moment cost CPU time too.
        nonlocal calls
        calls += int((chunk.outcome == OK).sum())

    cpu, began = time.process_time(), time.perf_counter()
    await Generator(pool, plan, timer, on_chunk=count).run()
    spent, took = time.process_time() - cpu, time.perf_counter() - began
    timer.close()
    return calls / spent, calls / took


async def compare(
    name: str, pool: Pool, call: Call, *, goal: float, repeats: int = REPEATS
) -> Overhead:
    """Let the two take turns; `pool` is open, `call` does the same work on a pool of its own."""
    # As before a trial: what lives already need not be looked at again, in either loop.
    gc.collect()
    gc.freeze()
    callers = pool.pool_size
    await bare_loop(call, callers)
    await instrumented_loop(pool)
    ratios, rates, apart = [], [], []
    before = await bare_loop(call, callers)
    for _ in range(repeats):
        measured, _rate = await instrumented_loop(pool)
        after = await bare_loop(call, callers)
        rates.append((before + after) / 2)
        ratios.append(measured / rates[-1])
        apart.append(abs(after - before) / rates[-1])
        before = after
    return Overhead(name, callers, goal, tuple(ratios), tuple(rates), statistics.fmean(apart))
