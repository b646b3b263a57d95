"""What measuring costs on each client library: the instrumented closed loop against a bare one.

    python -m tests.bench.overhead [DRIVER ...]

The bare loop is the library's documented idiom on a pool with the settings of the adapter's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.base import Pool
from poolkit.drivers.httpx import HttpxPool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.targets.workload import HttpWork
from tests.bench.interleaved import Call, compare
from tests.bench.lookup import ACCOUNTS, CONNECTIONS, lookup

HTTP_CONNECTIONS = 16
TIMEOUT = 30.0  # s, the adapters' own
KEPT = 600.0  # s that idle connections are kept: longer than the whole comparison
Opened = AbstractAsyncContextManager[tuple[Pool, Call]]


@asynccontextmanager
async def aiohttp_loop(url: str) -> AsyncIterator[tuple[Pool, Call]]:
    import aiohttp
    from yarl import URL

    pool = AiohttpPool(HttpWork("GET", url), HTTP_CONNECTIONS)
    connector = aiohttp.TCPConnector(limit=HTTP_CONNECTIONS, limit_per_host=HTTP_CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=5.0)
    address = URL(url)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def call() -> None:
            async with session.get(address, allow_redirects=False) as response:
                await response.read()

        yield pool, call


def _httpx(library: str) -> Callable[[str], Opened]:
    # One connection: what a call of httpx 0.28 costs with several depends by a quarter and more on
    # how often its callers collide over an idle one, which differs between two clients that do the
    # same. With one the calls are cheapest, so it is also where measuring weighs most.
    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[tuple[Pool, Call]]:
        import importlib

        httpx: Any = importlib.import_module(library)
        chosen: Any = library
        pool = HttpxPool(HttpWork("GET", url), 1, keepalive_expiry=KEPT, library=chosen)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT)
        transport = httpx.AsyncHTTPTransport(limits=limits)
        timeout = httpx.Timeout(TIMEOUT, connect=5.0, pool=None)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            yield pool, lambda: client.get(url)

    return opened


@asynccontextmanager
async def _asyncpg(dsn: str) -> AsyncIterator[tuple[Pool, Call]]:
    import asyncpg

    work = lookup()
    (statement,) = work.statements
    text = statement.numbered
    async with asyncpg.create_pool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, command_timeout=TIMEOUT
    ) as pool:

        async def call() -> None:
            async with pool.acquire() as connection:
                await connection.fetch(text, *statement.arguments(work.draw()))

        yield AsyncpgPool(dsn, lookup(), CONNECTIONS), call


@asynccontextmanager
async def _sqlalchemy(dsn: str) -> AsyncIterator[tuple[Pool, Call]]:
    from sqlalchemy import make_url, text
    from sqlalchemy.ext.asyncio import create_async_engine

    work = lookup()
    statement = text(work.statements[0].colon)
    engine = create_async_engine(
        make_url(dsn).set(drivername="postgresql+asyncpg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"command_timeout": TIMEOUT},
    )

    async def call() -> None:
        async with engine.connect() as connection:
            result = await connection.execute(statement, work.draw())
            result.all()

    yield SqlalchemyPool(dsn, lookup(), CONNECTIONS), call
    await engine.dispose()


@asynccontextmanager
async def _psycopg(dsn: str) -> AsyncIterator[tuple[Pool, Call]]:
    from psycopg_pool import AsyncConnectionPool

    work = lookup()
    statement = work.statements[0].named
    async with AsyncConnectionPool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False
    ) as pool:
        await pool.wait()

        async def call() -> None:
            async with pool.connection() as connection:
                cursor = await connection.execute(statement, work.draw())
                await cursor.fetchall()

        yield PsycopgPool(dsn, lookup(), CONNECTIONS), call


HTTP: dict[str, tuple[Callable[[str], Opened], float]] = {
    "aiohttp": (aiohttp_loop, 0.95),
    "httpx": (_httpx("httpx"), 0.97),
    "httpx2": (_httpx("httpx2"), 0.97),
}
SQL: dict[str, tuple[Callable[[str], Opened], float]] = {
    "asyncpg": (_asyncpg, 0.95),
    "sqlalchemy": (_sqlalchemy, 0.97),
    "psycopg": (_psycopg, 0.97),
}


async def _run(name: str, opened: Opened, goal: float) -> bool:
    async with opened as (pool, call):
        await pool.open()
        try:
            overhead = await compare(name, pool, call, goal=goal)
        finally:
            await pool.close()
    print(overhead, flush=True)
    return overhead.ratio >= goal


def main() -> int:
    """A line for each driver; on uvloop, as the measuring child does."""
    import uvloop

    parser = argparse.ArgumentParser(prog="python -m tests.bench.overhead")
    parser.add_argument("drivers", nargs="*", metavar="DRIVER", help=", ".join([*HTTP, *SQL]))
    chosen = parser.parse_args().drivers or [*HTTP, *SQL]
    if unknown := set(chosen) - {*HTTP, *SQL}:
        parser.error(f"no such driver: {', '.join(sorted(unknown))}")
    missed = 0
    with HttpUpstream(Workers(workers=1000, service_time=1e-6)) as upstream:
        for name in (name for name in HTTP if name in chosen):
            opened, goal = HTTP[name]
            missed += not uvloop.run(_run(name, opened(upstream.url), goal))
    if any(name in chosen for name in SQL):
        with PostgresServer(accounts=ACCOUNTS) as server:
            for name in (name for name in SQL if name in chosen):
                opened, goal = SQL[name]
                missed += not uvloop.run(_run(name, opened(server.dsn), goal))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
