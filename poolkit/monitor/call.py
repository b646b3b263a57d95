"""One call of a pool, from the ask to the return of its connection."""

from __future__ import annotations

import asyncio
import weakref
from time import perf_counter
from types import FrameType
from typing import Any


class Call:
    """One ask for a connection, up to its return.

    `since` is when it began to hold a connection or the right to dial one, None while it waits;
    `ended` is set when it gave it back. `outer` is the call that the same task still held when it
    asked.
    """

    __slots__ = (
        "asked",
        "code",
        "ended",
        "is_lost",
        "is_wait_counted",
        "offset",
        "outer",
        "since",
        "task",
        "task_id",
        "who",
    )

    def __init__(self, frame: FrameType | None, task: asyncio.Task[Any] | None) -> None:
        self.asked = perf_counter()
        self.since: float | None = None
        self.ended = 0.0
        self.is_wait_counted = False
        self.is_lost = False  # and counted as such
        # Not the frame itself: it would keep everything alive that its function knows.
        self.code = None if frame is None else frame.f_code
        self.offset = 0 if frame is None else frame.f_lasti
        # Outside asyncio no two calls are of one task.
        self.task_id = id(self) if task is None else id(task)
        # A strong reference would keep the task's frames, and so its connection, alive.
        self.task = None if task is None else weakref.ref(task)
        self.who = "" if task is None else task.get_name()
        self.outer: Call | None = None

    @property
    def depth(self) -> int:
        """Connections of its task, this one included."""
        return 1 if self.outer is None else 1 + self.outer.depth

    @property
    def has_live_task(self) -> bool:
        """Whether the task that asked still runs."""
        task = None if self.task is None else self.task()
        return task is not None and not task.done()
