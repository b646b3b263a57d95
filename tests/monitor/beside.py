"""One driver's real pool beside the server that it speaks to, for tests of every driver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from tests.monitor.subjects import Subject, half_server

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    async def in_time() -> T:
        async with asyncio.timeout(60.0):
            return await work

    return asyncio.run(in_time())


class Bench:
    """One driver beside the server that it speaks to."""

    def __init__(self, subject: Subject, where: str) -> None:
        self.subject = subject
        self.where = where

    @asynccontextmanager
    async def open(self, size: int, timeout: float = 5.0) -> AsyncIterator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            if self.subject.is_http:
                self.where = await stack.enter_async_context(half_server())
            yield await stack.enter_async_context(self.subject.open(self.where, size, timeout))

    def hold(self, pool: Any) -> Any:
        return self.subject.hold(pool, self.where)

    async def leak(self, pool: Any) -> None:
        await self.subject.leak(pool, self.where)


async def until(seen: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    async with asyncio.timeout(30.0):
        while not seen():
            await asyncio.sleep(0.002)


async def ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_leak(pool: Any) -> None:
    """Let the pool end in peace: psycopg and asyncpg wait for what is out."""
    terminate: Callable[[], Awaitable[None]] | None = getattr(pool, "terminate", None)
    if terminate is not None:
        terminate()
    await asyncio.sleep(0)
