"""Linux's timerfd: an event loop woken at an exact moment, without polling.

A loop's own timers are rounded up to whole milliseconds (epoll's unit), which is 4 % of a 25 ms
service time and would bunch open-loop arrivals. A timerfd wakes the loop within a tenth of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable

IS_AVAILABLE = sys.platform == "linux"
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timerfd:
    """One alarm on CLOCK_MONOTONIC, the clock behind `time.monotonic` and `time.perf_counter`.

    `ring` is called in the loop when the moment has come. Raises OSError where there is none to be
    had. The ctypes way serves Python before 3.13, which brought `os.timerfd_create`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        if not IS_AVAILABLE:
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
