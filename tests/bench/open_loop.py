"""Does the open loop keep its schedule at half of what the client can do at most?

The lag is from due to started on the clock that the due time was waited for.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.arrivals import poisson_exact
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import best_timer
from poolkit.targets.workload import HttpWork
from tests.bench.interleaved import SECONDS, bare_loop, reached
from tests.bench.overhead import HTTP_CONNECTIONS, aiohttp_loop

LENGTH = 6.0  # s
WARM_UP = 1.0  # s
REPEATS = 5
MOST_LAG = 1e-3  # s
MOST_OFF = 0.005  # share of the schedule


@dataclass(frozen=True, slots=True)
class Kept:
    """How one trial kept its schedule: lags in s, `offered` is started over planned less 1."""

    rate: float
    p50: float
    p99: float
    offered: float


async def bare_maximum(url: str) -> float:
    """Calls per second of the bare loop, three times in a row."""
    calls = 0.0
    began = time.perf_counter()
    async with aiohttp_loop(url) as (_, call):
        for _ in range(3):
            cpu = time.process_time()
            rate = await bare_loop(call, HTTP_CONNECTIONS, SECONDS)
            calls += rate * (time.process_time() - cpu)
    return calls / (time.perf_counter() - began)


async def keep(url: str, rate: float, seed: int) -> Kept:
    """One open-loop trial at `rate` calls/s."""
    chunks: list[Columns] = []
    pool = AiohttpPool(HttpWork("GET", url), HTTP_CONNECTIONS)
    await pool.open()
    timer = best_timer(asyncio.get_running_loop())
    schedule = list(poisson_exact(rate, LENGTH, seed))
    plan = Plan(seconds=LENGTH, warm_up=WARM_UP, seed=seed, arrivals=schedule, arrival_rate=rate)
    await Generator(pool, plan, timer, on_chunk=chunks.append).run()
    timer.close()
    await pool.close()
    due = np.concatenate([chunk.due for chunk in chunks])
    started = np.concatenate([chunk.started for chunk in chunks])
    # A call that the generator never began has a record, too, and no start.
    begun = (started >= WARM_UP) & (started < LENGTH)
    planned = sum(1 for at in schedule if at >= WARM_UP)
    p50, p99 = np.quantile((started - due)[begun], (0.5, 0.99))
    return Kept(rate, float(p50), float(p99), begun.sum() / planned - 1.0)


def main() -> int:
    """Print medians of the repeats; on uvloop, as the measuring child does."""
    import uvloop

    with HttpUpstream(Workers(workers=1000, service_time=1e-6)) as upstream:
        rows = []
        for seed in range(REPEATS):
            half = uvloop.run(bare_maximum(upstream.url)) / 2
            rows.append(uvloop.run(keep(upstream.url, half, seed)))
    rate, p50, p99, offered = (
        statistics.median(column)
        for column in zip(*((r.rate, r.p50, r.p99, r.offered) for r in rows), strict=True)
    )
    worst = max((row.offered for row in rows), key=abs)
    lag_kept, rate_kept = p99 < MOST_LAG, abs(offered) <= MOST_OFF
    print(
        f"open loop at half of the bare maximum ({rate:.0f} calls/s; medians of {REPEATS}): "
        f"lag p50 {p50 * 1e6:.0f} us, p99 {p99 * 1e3:.2f} ms: {reached(lag_kept)} (< 1 ms); "
        f"offered {offered:+.2%} of the schedule (worst {worst:+.2%}): "
        f"{reached(rate_kept)} (within 0.5 %)"
    )
    return int(not (lag_kept and rate_kept))


if __name__ == "__main__":
    sys.exit(main())
