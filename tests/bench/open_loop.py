"""Does the open loop keep its schedule at half of what the client can do at most?"""

from __future__ import annotations

import asyncio

import numpy as np

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.arrivals import poisson
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import best_timer
from poolkit.pools.aiohttp import AiohttpPool
from poolkit.workload import HttpWork
from tests.bench.generator import CONNECTIONS, SECONDS, bare

LENGTH = 10.0  # s


async def measure(url: str) -> None:
    """Print lag and offered rate; the figures to reach are 1 ms and 0.5 %."""
    calls, cpu = 0.0, 0.0
    for _ in range(3):
        rate_per_cpu = await bare(url)
        calls += rate_per_cpu * SECONDS
        cpu += SECONDS
    half = calls / cpu / 2
    chunks: list[Columns] = []
    pool = AiohttpPool(HttpWork("GET", url), CONNECTIONS)
    await pool.open()
    timer = best_timer(asyncio.get_running_loop())
    schedule = list(poisson(half, LENGTH, 1))
    plan = Plan(seconds=LENGTH, warm_up=1.0, seed=1, arrivals=schedule, arrival_rate=half)
    await Generator(pool, plan, timer, on_chunk=chunks.append).run()
    timer.close()
    await pool.close()
    due = np.concatenate([chunk.due for chunk in chunks])
    started = np.concatenate([chunk.started for chunk in chunks])
    steady = due >= plan.warm_up
    lag = (started - due)[steady]
    planned = sum(1.0 for at in schedule if at >= plan.warm_up)
    print(
        f"open loop at {half:.0f} calls/s: lag p50 {np.quantile(lag, 0.5) * 1e6:.0f} us, "
        f"p99 {np.quantile(lag, 0.99) * 1e3:.2f} ms (< 1), offered "
        f"{steady.sum() / planned - 1:+.2%} of the schedule (within 0.5 %)"
    )


def main() -> None:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    with HttpUpstream(Workers(workers=1000, service_time=1e-6)) as upstream:
        uvloop.run(measure(upstream.url))


if __name__ == "__main__":
    main()
