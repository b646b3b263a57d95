"""A semaphore in front of a pool, so that excess demand waits in one fair, visible place."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from poolkit.drivers.base import Pool, PoolStatistics, Stamps, has_exact_waits


class GatedPool:
    """Any pool behind a first-come-first-served semaphore of `size` places (1 or more).

    The time at the gate counts as wait, since the call's connection is only held after it.
    """

    def __init__(self, pool: Pool, size: int) -> None:
        if size < 1:
            raise ValueError(f"size must be 1 or more, got {size}")
        self._pool = pool
        self._gate = asyncio.Semaphore(size)
        self._waiting = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool behind the gate may hold."""
        return self._pool.pool_size

    @property
    def wait_is_exact(self) -> bool:
        """Whether the pool behind the gate sees its waits exactly."""
        return has_exact_waits(self._pool)

    async def open(self) -> None:
        """Open the pool behind the gate."""
        await self._pool.open()

    async def call(self, stamps: Stamps) -> None:
        """Pass the gate, then call."""
        self._waiting += 1
        try:
            await self._gate.acquire()
        finally:
            self._waiting -= 1
        try:
            await self._pool.call(stamps)
        finally:
            self._gate.release()

    def statistics(self) -> PoolStatistics:
        """The pool's statistics, with those at the gate among the waiting."""
        inner = self._pool.statistics()
        return replace(inner, waiting=inner.waiting + self._waiting)

    async def close(self) -> None:
        """Close the pool behind the gate."""
        await self._pool.close()
