"""What a watch and gauges cost on each driver's own pool: a closed loop with and without them.

Two kinds of call. At work: the server needs 1 ms for each, so what counts is whether callers are
served as fast as before; the exit code is 1 where the whole 95 % interval of the median ratio is
below `GOAL`. Bare: the fastest call that there is, by this process's CPU, which tells what one call
pays; a service pays it once for each connection that it takes. Both are scraped once a second by
another thread, as a service's /metrics is.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import httpx
from prometheus_client import CollectorRegistry, generate_latest
from psycopg_pool import AsyncConnectionPool
from scipy.stats import quantile_test
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from poolkit.drivers.hooks import Hook
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.monitor import instrument, watch
from poolkit.monitor.calls import Sites
from poolkit.monitor.tap import Tap

SIZE = 8  # connections, and callers
SECONDS = 0.5  # of one loop: short, so that a machine that drifts slows both sides alike
REPEATS = 24
SCRAPE = 1.0  # s between two scrapes
SERVICE = 0.001  # s of a call at work
BATCH = 10_000  # calls of the books alone
GOAL = 0.97  # of the throughput without, at work
SLEEP = f"select pg_sleep({SERVICE})"
READ = "select abalance from pgbench_accounts where aid = 17"

Call = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Overhead:
    """One driver: throughput at work, with over without, each repeat; CPU (s) of a bare call."""

    driver: str
    at_work: tuple[float, ...]
    bare: float
    listened: float

    @property
    def ratio(self) -> float:
        """Throughput at work, with over without: median of the repeats."""
        return statistics.median(self.at_work)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the median, by order statistics."""
        found = quantile_test(self.at_work, p=0.5).confidence_interval(0.95)
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        cost = (self.listened - self.bare) * 1e6
        return (
            f"{self.driver:>10}: at work {self.ratio:.3f} of the throughput "
            f"({low:.3f} to {high:.3f}; >= {GOAL}); bare "
            f"{self.bare * 1e6:.1f} us of CPU a call, with both {cost:+.1f} us "
            f"({self.bare / self.listened:.3f})"
        )


async def of_the_books() -> float:
    """us of CPU that a call's ask, connection and return cost in the books alone, no driver."""
    books, frame = Tap(Hook(None), Sites(())), sys._getframe()

    def batch() -> float:
        began = time.process_time()
        for _ in range(BATCH):
            books.got(books.ask(frame), 1)
            books.back(1)
        return (time.process_time() - began) / BATCH * 1e6

    return min(batch() for _ in range(REPEATS))


async def loop(call: Call, seconds: float) -> tuple[float, float]:
    """Calls per second, and s of CPU a call, of `SIZE` callers in a closed loop."""
    calls = 0
    began, cpu = time.perf_counter(), time.process_time()

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() - began < seconds:
            await call()
            calls += 1

    await asyncio.gather(*(caller() for _ in range(SIZE)))
    return calls / (time.perf_counter() - began), (time.process_time() - cpu) / calls


@contextmanager
def scraped(registry: CollectorRegistry) -> Iterator[None]:
    """Somebody reads the gauges once a second, at once the first time."""
    end = threading.Event()

    def scrape() -> None:
        while True:
            generate_latest(registry)
            if end.wait(SCRAPE):
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


async def compare(driver: str, pool: Any, at_work: Call, bare: Call) -> Overhead:
    """Both kinds of call, with and without in turn; the first round of each does not count."""
    ratios, costs = [], []
    for repeat in range(REPEATS + 1):
        # The machine's speed drifts: the loop without is taken on both sides.
        before = [await loop(call, SECONDS) for call in (at_work, bare)]
        with ExitStack() as stack:
            stack.enter_context(watch(pool))
            registry = CollectorRegistry()
            stack.enter_context(instrument(pool, name=driver, registry=registry))
            stack.enter_context(scraped(registry))
            during = [await loop(call, SECONDS) for call in (at_work, bare)]
        after = [await loop(call, SECONDS) for call in (at_work, bare)]
        if repeat:
            ratios.append(during[0][0] / ((before[0][0] + after[0][0]) / 2))
            costs.append(((before[1][1] + after[1][1]) / 2, during[1][1]))
    plain, listened = (statistics.median(column) for column in zip(*costs, strict=True))
    return Overhead(driver, tuple(ratios), plain, listened)


@asynccontextmanager
async def pool_of(driver: str, dsn: str, urls: tuple[str, str]) -> AsyncIterator[tuple[Any, ...]]:
    """A pool of the driver, a call of 1 ms and a bare one."""
    make = {"asyncpg": _asyncpg, "sqlalchemy": _sqlalchemy, "psycopg": _psycopg}
    if driver in make:
        pool, call = await make[driver](dsn)
        calls = tuple(lambda statement=s: call(statement) for s in (SLEEP, READ))
    else:
        pool, call = await {"aiohttp": _aiohttp, "httpx": _httpx}[driver]()
        calls = tuple(lambda url=u: call(url) for u in urls)
    try:
        yield (pool, *calls)
    finally:
        end = next(
            getattr(pool, name) for name in ("aclose", "dispose", "close") if hasattr(pool, name)
        )
        await end()


async def _asyncpg(dsn: str) -> tuple[Any, Any]:
    pool = await asyncpg.create_pool(dsn, min_size=SIZE, max_size=SIZE)

    async def call(statement: str) -> None:
        async with pool.acquire() as connection:
            await connection.fetchrow(statement)

    return pool, call


async def _sqlalchemy(dsn: str) -> tuple[Any, Any]:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=SIZE, max_overflow=0)

    async def call(statement: str) -> None:
        async with engine.connect() as connection:
            await connection.execute(text(statement))

    return engine, call


async def _psycopg(dsn: str) -> tuple[Any, Any]:
    pool = AsyncConnectionPool(dsn, min_size=SIZE, max_size=SIZE, open=False)
    await pool.open(wait=True)

    async def call(statement: str) -> None:
        async with pool.connection() as connection:
            await (await connection.execute(statement)).fetchone()

    return pool, call


async def _aiohttp() -> tuple[Any, Any]:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIZE))

    async def call(url: str) -> None:
        async with session.get(url) as response:
            await response.read()

    return session, call


async def _httpx() -> tuple[Any, Any]:
    limits = httpx.Limits(max_connections=SIZE, max_keepalive_connections=SIZE)
    client = httpx.AsyncClient(limits=limits)

    async def call(url: str) -> None:
        await client.get(url)

    return client, call


def main() -> int:
    """Print a line for each driver; 1 where one is below the goal. On uvloop, as fast services."""
    import uvloop

    async def one(driver: str, dsn: str, urls: tuple[str, str]) -> Overhead:
        async with pool_of(driver, dsn, urls) as (pool, at_work, bare):
            return await compare(driver, pool, at_work, bare)

    print(f"     books: {uvloop.run(of_the_books()):.1f} us of CPU a call", flush=True)
    failed = []
    with (
        PostgresServer(accounts=1000) as database,
        HttpUpstream(Workers(workers=1000, service_time=SERVICE)) as slow,
        HttpUpstream(Workers(workers=1000, service_time=1e-6)) as fast,
    ):
        for driver in ("asyncpg", "sqlalchemy", "psycopg", "aiohttp", "httpx"):
            found = uvloop.run(one(driver, database.dsn, (slow.url, fast.url)))
            print(found, flush=True)
            if found.interval[1] < GOAL:
                failed.append(driver)
    if failed:
        print(f"below {GOAL} of the throughput without: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
