"""One pool of a service under compressed days, its counts at /metrics: what production would see.

The pool is the client library's own, listened to by poolkit.monitor as in any service, and the load
comes through poolkit's generator, which stamps each call: the waits that the histogram tells can be
held against exact ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server

from poolkit.drivers.registry import make_pool
from poolkit.lab.service.day import Day
from poolkit.load.generator import Generator
from poolkit.load.measurement import Measurement, Segment, together
from poolkit.load.timer import best_timer
from poolkit.monitor import instrument
from poolkit.targets import Target

NEAR_NOON = 0.9  # of the peak: the part of a day that a size for the peak is judged by


class LivingService:
    """A service whose /metrics stay at one address, whatever its pool is from day to day.

    Args:
        idle: s before a day and after it, in which the last counts are scraped.
    """

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._registry = CollectorRegistry()
        self.address = ""  # HOST:PORT of /metrics

    def __enter__(self) -> LivingService:
        self._server, self._serving = start_http_server(0, "127.0.0.1", self._registry)
        self.address = f"127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._serving.join(10.0)
        self._server.server_close()

    def live(
        self,
        target: Target,
        size: int,
        day: Day,
        seed: int,
        on_progress: Callable[[float, int, float], None] | None = None,
    ) -> Measurement:
        """One day of the target's calls through a pool of this size."""
        import uvloop

        return uvloop.run(self._live(target, size, day, seed, on_progress))

    async def _live(
        self,
        target: Target,
        size: int,
        day: Day,
        seed: int,
        on_progress: Callable[[float, int, float], None] | None,
    ) -> Measurement:
        pool = make_pool(target, size, seed=seed)
        await pool.open()
        timer = best_timer(asyncio.get_running_loop())
        try:
            with instrument(_own(pool), name=target.name, registry=self._registry):
                await asyncio.sleep(self._idle)
                generator = Generator(pool, day.plan(seed), timer, on_progress=on_progress)
                measured = await generator.run()
                await asyncio.sleep(self._idle)
                return measured
        finally:
            timer.close()
            await pool.close()


def _own(pool: Any) -> Any:
    """The client library's pool behind an adapter, which listens in no way that others see."""
    return pool._session if hasattr(pool, "_session") else pool._pool


def whole_day(measured: Measurement) -> Segment:
    """All calls of a day."""
    return together(measured.segments)


def near_noon(measured: Measurement, day: Day) -> Segment:
    """The calls that were due while the rate was near its peak."""
    width = measured.segment_seconds
    return together(
        segment
        for at, segment in enumerate(measured.segments)
        if day.rate((at + 0.5) * width) >= NEAR_NOON * day.peak
    )
