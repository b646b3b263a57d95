"""Several pools side by side, as the replicas and workers of one service have them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from poolkit.drivers.base import Pool, PoolStatistics, Stamps, has_exact_waits


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
