"""What measuring costs: the instrumented closed loop against a bare loop on the same aiohttp pool.

Both run in turn in one process against the lab's HTTP server with next to no service time. Calls
per second of this process's CPU are compared, so that neither the server nor other programs decide.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import OK, Columns
from poolkit.load.timer import best_timer
from poolkit.pools.aiohttp import AiohttpPool
from poolkit.workload import HttpWork

SECONDS = 3.0  # starting and ending a trial weighs little against it
REPEATS = 9
CONNECTIONS = 16


async def bare(url: str) -> float:
    """Calls per CPU second of a loop that measures nothing."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=CONNECTIONS)
    calls = 0
    async with aiohttp.ClientSession(connector=connector) as session:
        end = time.perf_counter() + SECONDS

        async def caller() -> None:
            nonlocal calls
            while time.perf_counter() < end:
                async with session.get(url, allow_redirects=False) as response:
                    await response.read()
                calls += 1

        cpu = time.process_time()
        await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
        return calls / (time.process_time() - cpu)


async def instrumented(url: str) -> float:
    """Calls per CPU second of the generator, sampling and folding included."""
    pool = AiohttpPool(HttpWork("GET", url), CONNECTIONS)
    await pool.open()
    timer = best_timer(asyncio.get_running_loop())
    plan = Plan(seconds=SECONDS, warm_up=0.1, seed=1, callers=CONNECTIONS)
    calls = 0

    def count(chunk: Columns) -> None:
        # All of them: those that end after the trial's last moment cost CPU time too.
        nonlocal calls
        calls += int((chunk.outcome == OK).sum())

    cpu = time.process_time()
    await Generator(pool, plan, timer, on_chunk=count).run()
    spent = time.process_time() - cpu
    timer.close()
    await pool.close()
    return calls / spent


async def compare(url: str) -> None:
    """Interleave the two and print the median ratio; the figure to reach is 0.95."""
    # As before a trial: what lives already need not be looked at again, in either loop.
    gc.collect()
    gc.freeze()
    await bare(url)
    await instrumented(url)
    ratios, rates = [], []
    for _ in range(REPEATS):
        # The machine's speed drifts: the bare loop is taken on both sides.
        before = await bare(url)
        measured = await instrumented(url)
        after = await bare(url)
        rates.append((before + after) / 2)
        ratios.append(measured / rates[-1])
    print(
        f"instrumented / bare aiohttp loop, calls per CPU second: median "
        f"{statistics.median(ratios):.3f} of {REPEATS} "
        f"(from {min(ratios):.3f} to {max(ratios):.3f}; "
        f"bare {statistics.median(rates):.0f} calls per CPU second; >= 0.95)"
    )


def main() -> None:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    with HttpUpstream(Workers(workers=1000, service_time=1e-6)) as upstream:
        uvloop.run(compare(upstream.url))


if __name__ == "__main__":
    main()
