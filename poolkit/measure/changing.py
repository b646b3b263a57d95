"""The pools of a service some of which go, or come, in the midst of a trial."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from poolkit.analysis.replicas import LOST
from poolkit.drivers.base import (
    Pool,
    PoolStatistics,
    Stamps,
    close_pool,
    connections_of,
    has_exact_waits,
)
from poolkit.drivers.fleet import FleetPool, GatedPool
from poolkit.drivers.registry import gate_size, make_pool
from poolkit.errors import CallFailed
from poolkit.measure.starting import Notes, Replica
from poolkit.measure.sweep import TrialPlan
from poolkit.targets import Target


class Member:
    """A pool of a service that may go: its connections close and its calls are lost.

    State: the calls under way, whether it began to open, and once it went its last statistics.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._calls: set[asyncio.Task[object]] = set()
        self._is_begun = False
        self._gone: PoolStatistics | None = None

    @property
    def pool_size(self) -> int:
        """Most connections that it may hold."""
        return self.pool.pool_size

    @property
    def connections(self) -> int:
        """Most connections that calls use at once."""
        return connections_of(self.pool)

    @property
    def wait_is_exact(self) -> bool:
        """Whether the pool sees its waits exactly."""
        return has_exact_waits(self.pool)

    async def open(self) -> None:
        """Open the pool."""
        self._is_begun = True
        await self.pool.open()

    async def call(self, stamps: Stamps) -> None:
        """Call; raises `CallFailed` where the pool goes meanwhile."""
        task = asyncio.current_task()
        assert task is not None, "calls are tasks"
        self._calls.add(task)
        try:
            await self.pool.call(stamps)
        except asyncio.CancelledError:
            if self._gone is None:
                raise
            task.uncancel()
            raise _lost() from None
        finally:
            self._calls.discard(task)

    def statistics(self) -> PoolStatistics:
        """The pool's own; after it went nothing is open, and its dials still count."""
        return self._gone or self.pool.statistics()

    async def close(self) -> None:
        """Close the pool, unless it went or never began."""
        if self._is_begun and self._gone is None:
            await close_pool(self.pool)

    async def go(self) -> None:
        """End every call under way, and close the pool."""
        self._gone = replace(self.pool.statistics(), in_use=0, idle=0, waiting=0)
        for task in self._calls:
            task.cancel()
        await close_pool(self.pool)


class ChangingService(FleetPool):
    """Every pool of a service (or of one generator's share of it), as the plan's change has them.

    Those that come begin to open before they get calls; a call that meets a pool which is not open
    yet waits for it, as it would in a service that reports ready too early.

    State: the pools that get calls now.

    Args:
        plan: has a change; its `pools` are all that are open at some time.
        seed: of which pool gets which call.
    """

    def __init__(self, target: Target, plan: TrialPlan, seed: int) -> None:
        assert plan.change is not None, "the plan of a change says when"
        self._change = change = plan.change
        gate = gate_size(target, plan.pool_size)

        def one(index: int) -> Member:
            pool = make_pool(target, plan.pool_size, seed=seed + index)
            if index >= change.before:
                pool = Replica(pool, 0.0, Notes())
            return Member(pool if gate is None else GatedPool(pool, gate))

        members = [one(index) for index in range(plan.pools)]
        super().__init__(members, seed)
        self._members = members
        self._serving: Sequence[Member] = members[: change.before]
        self._changing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the pools that serve from the beginning."""
        for member in self._serving:
            await member.open()

    def begin(self, delay: float) -> None:
        """The trial begins in `delay` s: from then on the change is due."""
        self._changing = asyncio.create_task(self._carry_out(delay))

    async def _carry_out(self, delay: float) -> None:
        loop, change = asyncio.get_running_loop(), self._change
        origin = loop.time() + delay
        await asyncio.sleep(origin + change.begins - loop.time())
        for member in self._members[change.before : change.after]:
            await member.open()
        await asyncio.sleep(max(0.0, origin + change.at - loop.time()))
        self._serving = self._members[: change.after]
        await asyncio.gather(*(member.go() for member in self._members[change.after :]))

    async def call(self, stamps: Stamps) -> None:
        """Call one of the pools that serve now."""
        if not self._serving:
            raise _lost()
        await self._choose(self._serving).call(stamps)

    async def close(self) -> None:
        """Close what is open."""
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.wait({self._changing})
        await asyncio.gather(*(member.close() for member in self._members))
        if self._changing is not None and not self._changing.cancelled():
            self._changing.result()


def _lost() -> CallFailed:
    return CallFailed(LOST)
