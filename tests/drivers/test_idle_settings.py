"""The table of what settings do to idle connections, held against the installed libraries."""

from __future__ import annotations

import asyncio
import inspect
import itertools

import aiohttp
import asyncpg
import httpx
import psycopg_pool
import pytest

from poolkit.drivers.table import idle_setting, keeps
from poolkit.lab.postgres import PostgresServer

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("driver", "maker"),
    [("asyncpg", asyncpg.create_pool), ("psycopg", psycopg_pool.AsyncConnectionPool)],
)
def test_defaults_are_those_of_the_library(driver: str, maker: object) -> None:
    """The limit and the connections that it leaves alone."""
    setting = idle_setting(driver, "ends", "shrinks")
    assert setting is not None
    assert setting.floor is not None
    assert callable(maker)
    parameters = inspect.signature(maker).parameters
    assert parameters[setting.name].default == setting.default
    assert parameters[setting.floor[0]].default == setting.floor[1]


def test_http_defaults_are_those_of_the_library() -> None:
    """aiohttp's default is a sentinel, so a connector tells it."""

    async def go() -> None:
        connector = aiohttp.TCPConnector()
        assert keeps("aiohttp") == ("keepalive_timeout", connector._keepalive_timeout)
        assert keeps("httpx") == ("keepalive_expiry", httpx.Limits().keepalive_expiry)
        await connector.close()

    asyncio.run(go())


def test_asyncpg_ends_all_but_min_size(postgres: PostgresServer) -> None:
    """Two of five stay, however long they idle; with 0 none does."""

    async def go() -> None:
        for least in (2, 0):
            async with asyncpg.create_pool(
                postgres.dsn, min_size=least, max_size=5, max_inactive_connection_lifetime=0.2
            ) as pool:
                await asyncio.gather(*(pool.fetchval("select pg_sleep(0.1)") for _ in range(5)))
                assert pool.get_size() == 5
                async with asyncio.timeout(10):
                    while pool.get_size() > least:
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)
                assert pool.get_size() == least

    asyncio.run(go())


def test_psycopg_closes_one_at_a_time_and_never_min_size(postgres: PostgresServer) -> None:
    """Of four unused ones one goes each time max_idle passes, down to min_size."""

    async def go() -> None:
        pool = psycopg_pool.AsyncConnectionPool(
            postgres.dsn, min_size=2, max_size=4, max_idle=0.3, open=False
        )

        async def use() -> None:
            async with pool.connection() as connection:
                await connection.execute("select pg_sleep(0.2)")

        async with pool:
            await asyncio.gather(*(use() for _ in range(4)))
            seen = []
            for _ in range(40):
                size = pool.get_stats()["pool_size"]
                seen += [size] if seen[-1:] != [size] else []
                await asyncio.sleep(0.05)
            assert seen[-1] == 2
            assert all(before - after == 1 for before, after in itertools.pairwise(seen))

    asyncio.run(go())
