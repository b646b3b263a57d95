"""Calling back at exact moments, to well below an event loop's own millisecond."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from poolkit.load.timer import Timerfd

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """A queue of items, each handed to `on_due(at, item)` at its moment of `time.monotonic`.

    State: the heap of moments, and the moment for which the alarm is set.
    """

    def __init__(self, on_due: Callable[[float, Item], None]) -> None:
        self._on_due = on_due
        self._heap: list[tuple[float, int, Item]] = []
        self._order = count()
        self._set_for = math.inf
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._set_alarm = Timerfd(self._loop, self._ring).set
        except (OSError, AttributeError):
            # The virtual time of the models keeps these timers' rounding to ms from adding up.
            self._set_alarm = self._set_timer

    def add(self, at: float, item: Item) -> None:
        """Hand over `item` at the moment `at`, or as soon as can be where that is past."""
        heapq.heappush(self._heap, (at, next(self._order), item))
        if at < self._set_for:
            self._set_for = at
            self._set_alarm(at)

    def _ring(self) -> None:
        heap = self._heap
        while heap and heap[0][0] <= time.monotonic():
            at, _, item = heapq.heappop(heap)
            self._on_due(at, item)
        self._set_for = heap[0][0] if heap else math.inf
        if heap:
            self._set_alarm(self._set_for)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._ring)
