"""Which line made a task: `create_task(client.get(url))` runs no code of the program's own.

While a tap listens in an event loop, the loop makes its tasks through a factory that notes the line
for tasks whose coroutine is a library's; it costs about half a microsecond for each task, and
nothing in a call of the pool. A factory that was there before still makes the tasks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from poolkit.monitor.calls import Sites

_Loop = asyncio.AbstractEventLoop
_Task = asyncio.Task[Any]
_Make = Callable[..., Any]


class Makers:
    """Lines that made the tasks of the loops in which one pool is asked.

    Args:
        sites: tells the program's own code from that of libraries.
    """

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._lines: WeakKeyDictionary[_Task, tuple[CodeType, int]] = WeakKeyDictionary()
        self._factories: WeakKeyDictionary[_Loop, _Factory] = WeakKeyDictionary()

    def follow(self, loop: _Loop) -> None:
        """Note the lines of tasks that this loop makes from now on."""
        if loop in self._factories:
            return
        factory = loop.get_task_factory()
        if not isinstance(factory, _Factory):
            factory = _Factory(factory)
            loop.set_task_factory(factory)
        self._factories[loop] = factory
        factory.readers = (*factory.readers, self)

    def leave(self) -> None:
        """Leave the loops as they were."""
        for loop, factory in list(self._factories.items()):
            factory.readers = tuple(one for one in factory.readers if one is not self)
            # Where another factory was put around ours, ours only passes on.
            if not factory.readers and loop.get_task_factory() is factory:
                loop.set_task_factory(factory.before)
        self._factories.clear()

    def note(self, task: _Task, coroutine: Any) -> None:
        """A task was made for `coroutine`, by the caller of the caller."""
        code = getattr(coroutine, "cr_code", None)
        if code is not None and not self._sites.is_library(code.co_filename):
            return
        frame = self._sites.find(sys._getframe(2))
        if frame is not None:
            self._lines[task] = (frame.f_code, frame.f_lasti)

    def line_of(self, task: _Task | None) -> tuple[CodeType, int] | None:
        """Code and offset that made the task, where it was noted."""
        return None if task is None else self._lines.get(task)


class _Factory:
    """Makes a loop's tasks, and tells its readers of each."""

    def __init__(self, before: _Make | None) -> None:
        self.before = before
        self.readers: tuple[Makers, ...] = ()

    def __call__(self, loop: _Loop, coroutine: Any, **options: Any) -> Any:
        make = self.before
        task = (
            asyncio.Task(coroutine, loop=loop, **options)
            if make is None
            else make(loop, coroutine, **options)
        )
        for reader in self.readers:
            reader.note(task, coroutine)
        return task
