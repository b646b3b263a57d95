"""Clocks and the waiting for a due time, to well below a millisecond where Linux helps.

Every stamp of a call comes from the clock on which its due time was waited for. A loop's own timers
are rounded up to whole milliseconds (epoll's unit), which is 4 % of a 25 ms service time and would
bunch open-loop arrivals. Linux's timerfd wakes the loop within a tenth of that, without polling.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timerfd:
    """One alarm on CLOCK_MONOTONIC, the clock behind `time.monotonic` and `time.perf_counter`.

    `ring` is called in the loop at the moment. Raises OSError where there is no timerfd. ctypes
    serves Python before 3.13, which brought `os.timerfd_create`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        if sys.platform != "linux":
            raise OSError("timerfd is Linux's")
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec()
        self._pointer = ctypes.byref(self._spec)
        self._ring = ring
        self._loop = loop
        try:
            loop.add_reader(self._fd, self._fired)
        except NotImplementedError as error:
            os.close(self._fd)
            raise OSError("this event loop watches no file descriptors") from error

    def set(self, at: float) -> None:
        """Ring at the moment `at` (s); a moment gone by rings at once. The last call counts."""
        seconds = int(at)
        self._spec.value.seconds = seconds
        # All zeros would disarm the timer.
        self._spec.value.nanoseconds = max(1, int((at - seconds) * 1e9))
        self._settime(self._fd, _ABSOLUTE, self._pointer, None)

    def _fired(self) -> None:
        # A timer that was set again between firing and reading has nothing to read.
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        self._ring()

    def close(self) -> None:
        """Close the descriptor."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class Timer:
    """A clock (s) and the way to wait for a moment on it: the event loop's own.

    Exact on a virtual clock, to 1 ms on a real one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time

    async def wait_until(self, at: float) -> None:
        """Return at the moment `at` of this clock or as soon after it as can be."""
        await asyncio.sleep(max(0.0, at - self.now()))

    def close(self) -> None:
        """Free what the timer holds."""


class TimerfdTimer(Timer):
    """Waits by Linux's timerfd; one waiter at a time: the dispatcher of an open loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.now = time.perf_counter
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._alarm = Timerfd(loop, self._rung)

    def _rung(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_until(self, at: float) -> None:
        """Set the alarm for the absolute moment and wait until it rings in the loop."""
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
        return Timer(loop)
