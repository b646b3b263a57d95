"""Servers with a limit on a virtual clock, and the real generator's trials of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from poolkit.analysis.summary import summarise
from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.errors import CallFailed, CallRejected
from poolkit.load.arrivals import constant, poisson
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import Timer
from poolkit.measure.generating import LEAST_SHARE
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Trial
from tests.virtual_clock import run_virtual

REFUSAL = 0.0003  # s that a refusal takes


@dataclass
class Server:
    """Serves calls in `hold` s, varying by `cv`, up to a limit that may change.

    State: the calls in it, the tokens of its bucket and when it was last filled (s of its own
    clock, which goes on from trial to trial), the connections to it, calls that it refused.
    """

    hold: float = 0.02
    cv: float = 0.0
    at_once: int | None = None
    rate: float | None = None  # calls/s of a token bucket
    depth: float = 1.0  # tokens that the bucket holds
    room: int | None = None  # connections
    kind: str = "http_503"
    outcome: type[CallFailed] = CallRejected
    changes: Callable[[Server, int], None] = lambda _server, _calls: None
    inside: int = 0
    connections: int = 0
    calls: int = 0
    refused: int = 0
    most_inside: int = 0
    clock: float = 0.0  # s, before this trial
    tokens: float = field(default=0.0)
    filled: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.tokens = self.depth

    def admits(self, now: float) -> bool:
        self.calls += 1
        self.changes(self, self.calls)
        if self.at_once is not None and self.inside >= self.at_once:
            return False
        if self.rate is not None:
            self.tokens = min(self.depth, self.tokens + (now - self.filled) * self.rate)
            self.filled = now
            if self.tokens < 1.0:
                return False
            self.tokens -= 1.0
        return True

    async def serve(self, now: float) -> None:
        if not self.admits(now):
            self.refused += 1
            await asyncio.sleep(REFUSAL)
            raise self.outcome(self.kind)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        hold = self.hold
        if self.cv:
            hold *= self.rng.gammavariate(self.cv**-2, self.cv**2)
        try:
            await asyncio.sleep(hold)
        finally:
            self.inside -= 1


class LimitedPool:
    """A FIFO pool in front of a `Server`, which dials when it must."""

    def __init__(self, size: int, server: Server) -> None:
        self._size, self._server = size, server
        self._idle = 0
        self._free = asyncio.Semaphore(size)
        self._in_use = 0

    @property
    def pool_size(self) -> int:
        return self._size

    async def open(self) -> None:
        """It dials by need."""

    async def call(self, stamps: Stamps) -> None:
        async with self._free:
            stamps.acquired()
            self._in_use += 1
            try:
                await self._connected()
                loop = asyncio.get_running_loop()
                await self._server.serve(self._server.clock + loop.time())
                stamps.served()
            finally:
                self._in_use -= 1

    async def _connected(self) -> None:
        server = self._server
        if server.connections >= self._in_use:
            return
        if server.room is not None and server.connections >= server.room:
            server.refused += 1
            await asyncio.sleep(REFUSAL)
            raise server.outcome(server.kind)
        server.connections += 1

    def statistics(self) -> PoolStatistics:
        opened = self._server.connections
        return PoolStatistics(self._size, self._in_use, opened - self._in_use, 0, opened, 0)

    async def close(self) -> None:
        self._server.connections = 0


def run_trial(server: Server, plan: TrialPlan, seed: int = 1) -> Trial:
    """One trial of the plan as a session runs it, brakes included."""

    async def go() -> Trial:
        pool = LimitedPool(plan.pool_size, server)
        arrivals = None
        if plan.rate is not None and plan.at_a_time is not None:
            arrivals = constant(plan.rate, plan.seconds, plan.at_a_time)
        elif plan.rate is not None:
            arrivals = poisson(plan.rate, plan.seconds, seed)
        load = Plan(
            seconds=plan.seconds,
            warm_up=plan.warm_up,
            min_seconds=LEAST_SHARE * (plan.seconds - plan.warm_up),
            seed=seed,
            callers=plan.callers,
            arrivals=arrivals,
            arrival_rate=plan.rate,
        )
        loop = asyncio.get_running_loop()
        generator = Generator(pool, load, Timer(loop), brakes=Brakes())
        measured = await generator.run()
        await pool.close()
        server.clock += loop.time() + 0.05
        trial = summarise(
            measured, target="limited", driver="memory", fingerprint="f", purpose=plan.purpose
        )
        return trial.model_copy(update={"at_a_time": plan.at_a_time})

    return run_virtual(go())
