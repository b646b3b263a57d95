"""A small service in a thread: two pools under a steady load, their gauges at /metrics."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import asyncpg
from prometheus_client import CollectorRegistry, start_http_server

from poolkit.monitor import instrument
from tests.monitor.subjects import half_server

PERIOD = 0.02  # s between two calls of a pool: at most 50 calls/s
HOLD = 0.005  # s, least


class ExportingService:
    """Calls a database and an HTTP server about 45 times a second each until it is closed."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._registry = CollectorRegistry()
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.port = 0

    @property
    def metrics(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def __enter__(self) -> ExportingService:
        self._server, self._serving = start_http_server(0, "127.0.0.1", self._registry)
        self.port = self._server.server_port
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10.0)
        self._server.shutdown()
        self._serving.join(10.0)
        self._server.server_close()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(half_server())
            database = await asyncpg.create_pool(self._dsn, min_size=2, max_size=2)
            stack.push_async_callback(database.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            stack.enter_context(instrument(database, name="orders-db", registry=self._registry))
            stack.enter_context(instrument(session, name="orders-api", registry=self._registry))

            async def ask_database() -> None:
                async with database.acquire() as connection:
                    await connection.fetchval("select pg_sleep($1)", HOLD)

            async def ask_api() -> None:
                async with session.get(f"{url}/whole") as response:
                    await response.read()

            tasks = [asyncio.create_task(self._repeat(call)) for call in (ask_database, ask_api)]
            self._ready.set()
            await self._end.wait()
            await asyncio.gather(*tasks)

    async def _repeat(self, call: Any) -> None:
        assert self._end is not None
        while not self._end.is_set():
            await call()
            await asyncio.sleep(PERIOD)
