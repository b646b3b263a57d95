"""Calling back at exact moments, to well below an event loop's own millisecond.

A loop's timers are rounded to whole milliseconds, 4 % of a 25 ms service time. Linux's timerfd
wakes the loop within a tenth of that; elsewhere the loop's timers must do, and the virtual time of
the models keeps their rounding from adding up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import heapq
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """A queue of items, each handed to `on_due(at, item)` at its moment of `time.monotonic`.

    State: the heap of moments, and the moment for which the alarm is set.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_due: Callable[[float, Item], None]
    ) -> None:
        self._on_due = on_due
        self._heap: list[tuple[float, int, Item]] = []
        self._order = count()
        self._alarm = _alarm(loop, self._ring)
        self._set_for = float("inf")

    def add(self, at: float, item: Item) -> None:
        """Hand over `item` at the moment `at`, or as soon as can be where that is past."""
        heapq.heappush(self._heap, (at, next(self._order), item))
        if at < self._set_for:
            self._set_for = at
            self._alarm.set(at)

    def _ring(self) -> None:
        heap = self._heap
        while heap and heap[0][0] <= time.monotonic():
            at, _, item = heapq.heappop(heap)
            self._on_due(at, item)
        self._set_for = heap[0][0] if heap else float("inf")
        if heap:
            self._alarm.set(self._set_for)


class _Alarm(Protocol):
    def set(self, at: float) -> None: ...


class _LoopAlarm:
    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(0.0, at - time.monotonic()), self._ring)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _TimerfdAlarm:
    """Linux's timerfd on CLOCK_MONOTONIC, the clock behind `time.monotonic`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        # os.timerfd_create came with Python 3.13.
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec()
        self._pointer = ctypes.byref(self._spec)
        self._ring = ring
        loop.add_reader(self._fd, self._fired)

    def set(self, at: float) -> None:
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


def _alarm(loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> _Alarm:
    if sys.platform == "linux":
        try:
            return _TimerfdAlarm(loop, ring)
        except (OSError, AttributeError, NotImplementedError):
            pass
    return _LoopAlarm(loop, ring)
