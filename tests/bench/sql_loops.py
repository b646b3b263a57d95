"""The instrumented closed loop against a bare one: what the benches of the SQL drivers share.

Two pools of the same size and settings, all connections dialled beforehand, take turns in one
process. Calls per second of this process's CPU are compared, so that neither the server nor other
programs decide.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable

from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import OK, Columns
from poolkit.load.timer import best_timer
from poolkit.pools.base import Pool
from poolkit.targets import Uniform
from poolkit.workload import SqlWork

ACCOUNTS = 10_000
CONNECTIONS = 8
SECONDS = 3.0  # starting and ending a trial weighs little against it
REPEATS = 5
GOAL = 0.97


def lookup() -> SqlWork:
    """One row by its index, as `pgbench -S` reads it."""
    return SqlWork(
        ["select abalance from pgbench_accounts where aid = :aid"], {"aid": Uniform(1, ACCOUNTS)}
    )


async def bare_loop(call: Callable[[], Awaitable[object]], seconds: float = SECONDS) -> float:
    """Calls per CPU second of CONNECTIONS callers that measure nothing."""
    calls = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            await call()
            calls += 1

    cpu = time.process_time()
    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
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
    name: str, pool: Pool, call: Callable[[], Awaitable[object]], *, goal: float = GOAL
) -> float:
    """Interleave the two and print the median ratio; `pool` is open."""
    # As before a trial: what lives already need not be looked at again, in either loop.
    gc.collect()
    gc.freeze()
    await bare_loop(call)
    await instrumented_loop(pool)
    ratios, rates = [], []
    for _ in range(REPEATS):
        # The machine's speed drifts: the bare loop is taken on both sides.
        before = await bare_loop(call)
        measured, _rate = await instrumented_loop(pool)
        after = await bare_loop(call)
        rates.append((before + after) / 2)
        ratios.append(measured / rates[-1])
    ratio = statistics.median(ratios)
    print(
        f"instrumented / bare {name} loop, calls per CPU second: median {ratio:.3f} of {REPEATS} "
        f"(from {min(ratios):.3f} to {max(ratios):.3f}; bare {statistics.median(rates):.0f} calls "
        f"per CPU second; >= {goal:.2f})"
    )
    return ratio
