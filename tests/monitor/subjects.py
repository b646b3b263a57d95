"""Every driver's real pools as the tests hold, leak and exhaust them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import httpx
import redis.exceptions
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.asyncio import BlockingConnectionPool, Redis
from sqlalchemy.exc import TimeoutError as NoConnectionInTime
from sqlalchemy.ext.asyncio import create_async_engine

HALF = b"hello"


@asynccontextmanager
async def half_server() -> AsyncIterator[str]:
    """An HTTP server that sends half of a body at once and the rest when asked to finish."""
    peers = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                is_whole = head.startswith(b"GET /whole")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + HALF)
                writer.write(HALF if is_whole else b"")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in peers:
            writer.close()
        await asyncio.sleep(0)


class Subject:
    """One driver: how its pool is made, how a connection is held, and how one is leaked."""

    name = ""
    is_http = False
    fate_of_leak = "forgotten"
    timed_out: type[Exception] = TimeoutError  # what the pool raises when it gives up

    def make(self, where: str, size: int, timeout: float) -> Any:
        raise NotImplementedError

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        """A pool of `size` that gives up waiting after `timeout` seconds."""
        pool = self.make(where, size, timeout)
        yield pool
        await pool.close()

    def hold(self, pool: Any, where: str) -> Any:
        """A context that holds one connection."""
        raise NotImplementedError

    async def leak(self, pool: Any, where: str) -> None:
        """Take a connection and forget it."""
        raise NotImplementedError


class Asyncpg(Subject):
    name = "asyncpg"

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        pool = await asyncpg.create_pool(where, min_size=size, max_size=size)
        self.timeout = timeout
        try:
            yield pool
        finally:
            pool.terminate()

    def hold(self, pool: Any, where: str) -> Any:
        return pool.acquire(timeout=self.timeout)

    async def leak(self, pool: Any, where: str) -> None:
        await pool.acquire(timeout=self.timeout)


class Sqlalchemy(Subject):
    name = "sqlalchemy"
    fate_of_leak = "collected"  # it gives back what the garbage collector takes
    timed_out = NoConnectionInTime

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        engine = create_async_engine(
            where.replace("postgresql://", "postgresql+asyncpg://"),
            pool_size=size,
            max_overflow=0,
            pool_timeout=timeout,
        )
        yield engine
        await engine.dispose()

    def hold(self, pool: Any, where: str) -> Any:
        return pool.connect()

    async def leak(self, pool: Any, where: str) -> None:
        await pool.connect()


class Aiohttp(Subject):
    name = "aiohttp"
    is_http = True

    def make(self, where: str, size: int, timeout: float) -> Any:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=size),
            timeout=aiohttp.ClientTimeout(connect=timeout),
        )

    def hold(self, pool: Any, where: str) -> Any:
        return pool.get(where)

    async def leak(self, pool: Any, where: str) -> None:
        await pool.get(where)


class Httpx(Subject):
    name = "httpx"
    is_http = True
    timed_out = httpx.PoolTimeout

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        limits = httpx.Limits(max_connections=size, max_keepalive_connections=size)
        client = httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(5.0, pool=timeout))
        try:
            yield client
        finally:
            await client.aclose()

    def hold(self, pool: Any, where: str) -> Any:
        return pool.stream("GET", where)

    async def leak(self, pool: Any, where: str) -> None:
        await pool.send(pool.build_request("GET", where), stream=True)


class Psycopg(Subject):
    name = "psycopg"
    timed_out = PoolTimeout

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        pool = AsyncConnectionPool(where, min_size=size, max_size=size, timeout=timeout, open=False)
        await pool.open(wait=True)
        try:
            yield pool
        finally:
            await pool.close()

    def hold(self, pool: Any, where: str) -> Any:
        return pool.connection()

    async def leak(self, pool: Any, where: str) -> None:
        await pool.getconn()


class RedisPool(Subject):
    name = "redis"
    timed_out = redis.exceptions.ConnectionError

    @asynccontextmanager
    async def open(self, where: str, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        pool = BlockingConnectionPool.from_url(where, max_connections=size, timeout=timeout)
        try:
            yield pool
        finally:
            await pool.aclose()

    def hold(self, pool: Any, where: str) -> Any:
        return Redis(connection_pool=pool, single_connection_client=True)

    async def leak(self, pool: Any, where: str) -> None:
        await pool.get_connection()


SUBJECTS = (Asyncpg, Sqlalchemy, Aiohttp, Httpx, Psycopg, RedisPool)
