"""An in-memory pool with known hold times: the oracle that the generator is held against."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from poolkit.drivers.base import PoolStatistics, Stamps


class MemoryPool:
    """A FIFO pool whose calls sleep for the hold times given, one after the other.

    `holds` yields seconds, one for each call in the order in which calls acquire; it must not run
    out. The pool hands a freed connection straight to the longest waiter, so nobody overtakes.
    """

    def __init__(self, pool_size: int, holds: Iterable[float]) -> None:
        if pool_size < 1:
            raise ValueError(f"pool_size must be 1 or more, got {pool_size}")
        self._pool_size = pool_size
        self._holds = iter(holds)
        # State: connections held (one handed to a waiter stays counted), and waiters in order.
        self._in_use = 0
        self._opened = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"MemoryPool({self._in_use}/{self._pool_size} in use, {len(self._waiters)} waiting)"

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    async def open(self) -> None:
        """Nothing to dial in memory."""

    async def call(self, stamps: Stamps) -> None:
        """Hold one connection for the next hold time."""
        await self._acquire()
        try:
            stamps.acquired()
            await asyncio.sleep(next(self._holds))
            stamps.served()
        finally:
            self._release()

    async def _acquire(self) -> None:
        if self._in_use < self._pool_size:
            self._in_use += 1
            self._opened = max(self._opened, self._in_use)
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # Cancelled after the hand-over: pass the connection on, or it is lost.
            if waiter.done() and not waiter.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._in_use -= 1

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot of the pool's state."""
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=self._in_use,
            idle=self._opened - self._in_use,
            waiting=sum(not waiter.done() for waiter in self._waiters),
            connections_opened=self._opened,
            disconnects=0,
        )

    async def close(self) -> None:
        """Cancel whoever still waits."""
        for waiter in self._waiters:
            waiter.cancel()
        self._waiters.clear()
