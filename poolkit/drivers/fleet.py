"""The pools of a whole service: several side by side, each behind a gate."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from poolkit.drivers.base import Pool, PoolStatistics, Stamps, connections_of, has_exact_waits


class GatedPool:
    """Any pool behind a first-come-first-served semaphore of `size` places (1 or more).

    Excess demand then waits in one fair, visible place. The time at the gate counts as wait, since
    the call's connection is only held after it.
    """

    def __init__(self, pool: Pool, size: int) -> None:
        if size < 1:
            raise ValueError(f"size must be 1 or more, got {size}")
        self._pool = pool
        self._gate = asyncio.Semaphore(size)
        self._size = size
        self._waiting = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool behind the gate may hold."""
        return self._pool.pool_size

    @property
    def connections(self) -> int:
        """Most connections that calls use at once: those that the gate lets through."""
        return min(self._size, connections_of(self._pool))

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


class FleetPool:
    """Feeds each of `pools` its share of the calls, chosen at random from a seed.

    A random split of Poisson arrivals leaves Poisson arrivals at each pool, which is what a load
    balancer without knowledge of queues does to a service.
    """

    def __init__(self, pools: Sequence[Pool], seed: int) -> None:
        if not pools:
            raise ValueError("a fleet needs at least one pool")
        self._pools = tuple(pools)
        self._choose = random.Random(seed).choice

    @property
    def pool_size(self) -> int:
        """Most connections that one pool of the fleet may hold."""
        return self._pools[0].pool_size

    @property
    def connections(self) -> int:
        """Most connections that all pools may hold."""
        return sum(connections_of(pool) for pool in self._pools)

    @property
    def wait_is_exact(self) -> bool:
        """Whether every pool sees its waits exactly."""
        return all(has_exact_waits(pool) for pool in self._pools)

    async def open(self) -> None:
        """Open every pool; when one fails those opened before are closed."""
        opened: list[Pool] = []
        try:
            for pool in self._pools:
                await pool.open()
                opened.append(pool)
        except BaseException:
            for pool in opened:
                await pool.close()
            raise

    async def call(self, stamps: Stamps) -> None:
        """Call one pool of the fleet."""
        await self._choose(self._pools).call(stamps)

    def statistics(self) -> PoolStatistics:
        """Sums over the fleet, but `pool_size` of one pool."""
        each = [pool.statistics() for pool in self._pools]
        times = [s.dial_times for s in each if s.dial_times is not None]
        return PoolStatistics(
            pool_size=self.pool_size,
            in_use=sum(s.in_use for s in each),
            idle=sum(s.idle for s in each),
            waiting=sum(s.waiting for s in each),
            connections_opened=sum(s.connections_opened for s in each),
            disconnects=sum(s.disconnects for s in each),
            dial_times=sum(times[1:], times[0]) if times else None,
        )

    async def close(self) -> None:
        """Close every pool."""
        for pool in self._pools:
            await pool.close()
