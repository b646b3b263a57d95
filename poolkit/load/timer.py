"""Clocks and the waiting for a due time, to well below a millisecond where Linux helps.

Every stamp of a call comes from the clock on which its due time was waited for.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from poolkit.load.timerfd import Timerfd


class Timer(Protocol):
    """A clock (s) and the way to wait for a moment on it."""

    def now(self) -> float:
        """The present moment on this clock (s)."""
        ...

    async def wait_until(self, at: float) -> None:
        """Return at the moment `at` of this clock or as soon after it as can be."""
        ...

    def close(self) -> None:
        """Free what the timer holds."""
        ...


class LoopTimer:
    """The event loop's own clock and timers: exact on a virtual clock, to 1 ms on a real one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time

    async def wait_until(self, at: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(max(0.0, at - self.now()))

    def close(self) -> None:
        """Nothing to free."""


class TimerfdTimer:
    """Waits by Linux's timerfd; one waiter at a time: the dispatcher of an open loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = time.perf_counter
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._alarm = Timerfd(loop, self._rung)

    def _rung(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_until(self, at: float) -> None:
        """Set the alarm for the absolute moment and wait for the loop to see it."""
        while self.now() < at:
            self._alarm.set(at)
            self._waiter = self._loop.create_future()
            await self._waiter

    def close(self) -> None:
        """Close the alarm."""
        self._alarm.close()


def best_timer(loop: asyncio.AbstractEventLoop) -> Timer:
    """The most exact timer that this machine has."""
    try:
        return TimerfdTimer(loop)
    except (OSError, AttributeError):
        return LoopTimer(loop)
