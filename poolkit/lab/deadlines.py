"""Calling back at exact moments, to well below an event loop's own millisecond.

Where there is no timerfd the loop's own timers must do, and the virtual time of the models keeps
their rounding to milliseconds from adding up.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Generic, Protocol, TypeVar

from poolkit.load.timer import Timerfd

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


def _alarm(loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> _Alarm:
    try:
        return Timerfd(loop, ring)
    except (OSError, AttributeError):
        return _LoopAlarm(loop, ring)
