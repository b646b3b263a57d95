"""What single drivers' figures mean where their settings make a difference."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import asyncpg
import pytest
from psycopg_pool import AsyncConnectionPool

from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import Snapshot, watch
from tests.monitor.beside import run, until
from tests.monitor.subjects import half_server

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("limit", "each", "sizes"),
    [(10, 2, [2, 2, 4]), (3, 2, [2, 2, 3]), (0, 2, [2, 2, 4]), (10, 0, [10, 10, 10])],
)
def test_a_limit_per_host_counts_for_each_host(limit: int, each: int, sizes: list[int]) -> None:
    """No host, one and two: as many connections as the connector may hold, `limit` at most."""

    async def go() -> list[int | None]:
        async with AsyncExitStack() as stack:
            urls = [await stack.enter_async_context(half_server()) for _ in range(2)]
            connector = aiohttp.TCPConnector(limit=limit, limit_per_host=each)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            watching = stack.enter_context(watch(session))
            seen = [watching.snapshot().pool_size]
            for url in urls:
                await stack.enter_async_context(session.get(url))
                seen.append(watching.snapshot().pool_size)
            return seen

    assert run(go()) == sizes


def test_a_response_that_is_dropped_and_whose_server_goes_is_counted() -> None:
    """aiohttp gives its connection back by itself then; the program did not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await asyncio.sleep(0.02)
        writer.close()

    async def go() -> Snapshot:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with aiohttp.ClientSession() as session:
                with watch(session) as watching:
                    await session.get(url)
                    await until(lambda: not watching.snapshot().holders)
                    return watching.snapshot()

    (lost,) = run(go()).never_came_back
    assert lost.fate == "collected"


class Slow:
    """A callback that the pool runs on what it hands out; it lasts until `end`."""

    def __init__(self) -> None:
        self.begun = 0
        self.fails = 0
        self.end = asyncio.Event()

    async def __call__(self, _connection: Any) -> None:
        self.begun += 1
        if self.begun <= self.fails:
            raise ConnectionError("of no use")
        await self.end.wait()


async def look(pool: Any, take: Any, slow: Slow, calls: int = 1) -> tuple[Snapshot, Snapshot]:
    """The pool while the callback runs, and once all is over."""

    async def caller() -> None:
        async with take():
            pass

    with watch(pool) as watching:
        tasks = [asyncio.create_task(caller(), name=f"c{n}") for n in range(2)]
        await until(lambda: slow.begun == calls)
        await asyncio.sleep(0.02)
        during = watching.snapshot()
        slow.end.set()
        await asyncio.gather(*tasks)
        return during, watching.snapshot()


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_asyncpgs_setup_is_part_of_the_hold(
    postgres: PostgresServer, timeout: float | None
) -> None:
    """While it runs the call has its connection; only the other one waits, and none afterwards."""

    async def go() -> tuple[Snapshot, Snapshot, Any, Any]:
        slow = Slow()
        async with asyncpg.create_pool(postgres.dsn, min_size=0, max_size=1, setup=slow) as pool:
            seen = await look(pool, lambda: pool.acquire(timeout=timeout), slow)
            return *seen, pool._holders[0]._setup, slow

    during, after, setup, slow = run(go())
    assert [holder.task for holder in during.holders] == ["c0"]
    assert [waiter.task for waiter in during.waiters] == ["c1"]
    assert (during.in_use, during.idle, after.holders, after.waiters) == (1, 0, (), ())
    assert [place.calls for place in after.places] == [2]
    assert setup is slow  # as it was


def test_psycopgs_check_is_part_of_the_hold(postgres: PostgresServer) -> None:
    """The same; a connection that fails it is replaced, and the call waits for another."""

    async def go() -> tuple[Snapshot, Snapshot]:
        slow = Slow()
        slow.fails = 1
        pool = AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, check=slow, open=False)
        async with pool:
            return await look(pool, pool.connection, slow, calls=2)

    during, after = run(go())
    assert len(during.holders) == len(during.waiters) == 1
    assert (after.holders, after.waiters) == ((), ())
    assert [place.calls for place in after.places] == [2]
