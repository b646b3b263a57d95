"""Clocks and the waiting for a due time, to well below a millisecond.

An event loop's own timers are rounded up to whole milliseconds (epoll's unit), which would make
open-loop arrivals come in bunches. Linux's timerfd wakes the loop within some ten microseconds and
costs no polling.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from typing import Protocol


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


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class TimerfdTimer:
    """Linux's timerfd on CLOCK_MONOTONIC, the clock behind `time.perf_counter`.

    One waiter at a time: the dispatcher of an open loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = time.perf_counter
        self._libc = ctypes.CDLL(None, use_errno=True)
        fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._fd = fd
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        loop.add_reader(fd, self._fired)

    def _fired(self) -> None:
        # A timer that was set again between firing and reading has nothing to read.
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_until(self, at: float) -> None:
        """Arm the descriptor for the absolute moment and wait for the loop to see it."""
        while self.now() < at:
            seconds = int(at)
            spec = _Itimerspec(
                _Timespec(0, 0), _Timespec(seconds, max(1, int((at - seconds) * 1e9)))
            )
            self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)
            self._waiter = self._loop.create_future()
            await self._waiter

    def close(self) -> None:
        """Close the descriptor."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


def best_timer(loop: asyncio.AbstractEventLoop) -> Timer:
    """The most exact timer that this machine has."""
    if sys.platform == "linux":
        try:
            return TimerfdTimer(loop)
        except (OSError, AttributeError, NotImplementedError):
            pass
    return LoopTimer(loop)
