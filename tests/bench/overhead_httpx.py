"""What measuring costs on httpx and httpx2: the instrumented closed loop against a bare one.

Two clients with the same settings take turns in one process. Calls per second of this process's CPU
are compared, so that neither the server nor other programs decide.

One connection: what a call of httpx 0.28 costs with several depends by a quarter and more on how
often its callers collide over an idle one, which differs between two clients that do the same. With
one the calls are cheapest, so it is also where measuring weighs most.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import statistics
import time
from dataclasses import dataclass
from typing import Any, Literal

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import best_timer
from poolkit.pools.httpx import HttpxPool
from poolkit.workload import HttpWork

Library = Literal["httpx", "httpx2"]
SECONDS = 1.5
REPEATS = 9
CONNECTIONS = 1
SERVICE = 1e-6  # s
KEPT = 600.0  # s that idle connections are kept: longer than the whole comparison
GOAL = 0.97


@dataclass(frozen=True, slots=True)
class Overhead:
    """Instrumented over bare, calls per CPU second: one ratio a repeat, and the bare rates."""

    library: str
    ratios: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        return (
            f"instrumented / bare {self.library} loop, calls per CPU second: median "
            f"{self.ratio:.3f} of {len(self.ratios)} (from {min(self.ratios):.3f} to "
            f"{max(self.ratios):.3f}; bare {statistics.median(self.bare):.0f} calls per CPU "
            f"second; >= {GOAL})"
        )


async def bare(client: Any, url: str, seconds: float) -> float:
    """Calls per CPU second of a loop that measures nothing."""
    calls = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            await client.get(url)
            calls += 1

    cpu = time.process_time()
    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return calls / (time.process_time() - cpu)


async def instrumented(pool: HttpxPool, seconds: float) -> float:
    """Calls per CPU second of the generator, sampling and folding included."""
    timer = best_timer(asyncio.get_running_loop())
    plan = Plan(seconds=seconds, warm_up=0.1, seed=1, callers=CONNECTIONS)
    cpu = time.process_time()
    measurement = await Generator(pool, plan, timer).run()
    spent = time.process_time() - cpu
    timer.close()
    return float(measurement.completions.sum()) / spent


async def compare(
    url: str, library: Library, *, repeats: int = REPEATS, seconds: float = SECONDS
) -> Overhead:
    """Interleave the two, `repeats` times, after one round of each that does not count."""
    httpx: Any = importlib.import_module(library)
    limits = httpx.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEPT
    )
    transport = httpx.AsyncHTTPTransport(limits=limits)
    timeout = httpx.Timeout(30.0, connect=5.0, pool=None)
    pool = HttpxPool(HttpWork("GET", url), CONNECTIONS, keepalive_expiry=KEPT, library=library)
    await pool.open()
    ratios, rates = [], []
    async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
        # As before a trial: what lives already need not be looked at again, in either loop.
        gc.collect()
        gc.freeze()
        await bare(client, url, seconds)
        await instrumented(pool, seconds)
        for _ in range(repeats):
            # The machine's speed drifts: the bare loop is taken on both sides.
            before = await bare(client, url, seconds)
            measured = await instrumented(pool, seconds)
            after = await bare(client, url, seconds)
            rates.append((before + after) / 2)
            ratios.append(measured / rates[-1])
    await pool.close()
    return Overhead(library, tuple(ratios), tuple(rates))


def main() -> None:
    """Print a line for each library; on uvloop, as the measuring child does."""
    import uvloop

    with HttpUpstream(Workers(workers=1000, service_time=SERVICE)) as upstream:
        for library in ("httpx", "httpx2"):
            print(uvloop.run(compare(upstream.url, library)), flush=True)


if __name__ == "__main__":
    main()
