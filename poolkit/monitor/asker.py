"""On whose behalf a task asks: many ask for another one, and end as soon as it has its answer.

`asyncio.wait_for` made such a task before Python 3.12, `gather` does for what is no task yet. Who
waits for a task is read from the callbacks that it tells when it ends.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import Any

_Task = asyncio.Task[Any]

# What wait_for leaves on the task that it makes.
_OF_WAIT_FOR = getattr(tasks, "_release_waiter", None)
_DEEPEST = 20  # tasks that wait for one another
# Where coroutines, generators and async generators keep their frame, and what they wait for.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_INNER = ("cr_await", "gi_yieldfrom", "ag_await")


def owner_of(task: _Task | None) -> _Task | None:
    """The task that waits for this one in `asyncio.wait_for`; the task itself where none does.

    Of `gather` nobody can say so: its tasks run side by side.
    """
    while task is not None:
        outer = None
        for callback, _ in getattr(task, "_callbacks", None) or ():
            if type(callback) is partial and callback.func is _OF_WAIT_FOR:
                outer = next(_awaiting(callback.args[0]), None)
        if outer is None or outer is task:
            break
        task = outer
    return task


def outermost(task: _Task | None) -> FrameType | None:
    """The frame in which a task began; None where it is no Python function's."""
    return None if task is None else _first(task.get_coro(), ("cr_frame",))


def frames_waiting(task: _Task | None) -> Iterator[FrameType]:
    """Frames of whoever waits for a task, from the innermost outwards."""
    for _ in range(_DEEPEST):
        task = None if task is None else next(_awaiting(task), None)
        if task is None:
            return
        frames: list[FrameType] = []
        step: Any = task.get_coro()
        while step is not None:
            frame = _first(step, _FRAMES)
            if frame is not None:
                frames.append(frame)
            step = _first(step, _INNER)
        yield from reversed(frames)


def _awaiting(future: asyncio.Future[Any], steps: int = _DEEPEST) -> Iterator[_Task]:
    """Tasks that go on when `future` is done."""
    for callback, _ in getattr(future, "_callbacks", None) or () if steps else ():
        for known in _known(callback):
            if isinstance(known, asyncio.Task):
                yield known
            elif isinstance(known, asyncio.Future):
                yield from _awaiting(known, steps - 1)


def _known(callback: Any) -> Iterator[Any]:
    """What a callback of asyncio's acts on."""
    if type(callback) is partial:  # wait_for
        yield from callback.args
    receiver = getattr(callback, "__self__", None)
    yield receiver  # a task's own way to go on
    yield getattr(receiver, "_parent_task", None)  # of a TaskGroup
    for cell in getattr(callback, "__closure__", None) or ():  # gather, shield and wait
        try:
            yield cell.cell_contents
        except ValueError:  # empty as yet
            continue


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None
