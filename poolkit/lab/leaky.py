"""A small program around one asyncpg pool, with two faults on purpose and the cure of each.

What a watch says of it is known beforehand: which line takes the connections that never come back,
and which line asks for a second one.
"""

from __future__ import annotations

from typing import Any

import asyncpg

WORK = "select pg_sleep(0.005)"


async def open_pool(dsn: str, size: int) -> Any:
    """An asyncpg pool of `size` connections, all dialled."""
    return await asyncpg.create_pool(dsn, min_size=size, max_size=size)


class Program:
    """Handlers that wait `patience` s for a connection; None: for ever."""

    def __init__(self, pool: Any, patience: float | None = None) -> None:
        self._pool = pool
        self._patience = patience

    async def read(self) -> None:
        """As it should be."""
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute(WORK)

    async def export(self, *, is_damaged: bool) -> None:
        """A damaged order ends it before the release: the connection never comes back."""
        connection = await self._pool.acquire(timeout=self._patience)
        await connection.execute(WORK)
        if is_damaged:
            raise ValueError("a damaged order")
        await self._pool.release(connection)

    async def export_cured(self, *, is_damaged: bool) -> None:
        """`async with` releases however it ends."""
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute(WORK)
            if is_damaged:
                raise ValueError("a damaged order")

    async def transfer(self) -> None:
        """Asks for a second connection while it holds the first."""
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute(WORK)
            await self._log()

    async def _log(self) -> None:
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute(WORK)

    async def transfer_cured(self) -> None:
        """Passes its connection on instead."""
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute(WORK)
            await connection.execute(WORK)
