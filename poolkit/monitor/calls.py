"""One call of a pool: on whose behalf it asks, and from which place in the program.

Many tasks ask for another one, and end as soon as it has its answer: `asyncio.wait_for` made such a
task before Python 3.12, `gather` does for what is no task yet. Who waits for a task is read from
the callbacks that it runs when it ends.

A place is the file and line of the first frame that is the program's own. It is found by walking
frames, without traceback objects or source text: about a tenth of a microsecond a frame. Its line
number is looked up only where it is shown.
"""

from __future__ import annotations

import asyncio
import os
import re
import sysconfig
from asyncio import tasks
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from time import perf_counter
from types import CodeType, FrameType
from typing import Any
from weakref import ref

_Task = asyncio.Task[Any]

# What wait_for leaves on the task that it makes.
_OF_WAIT_FOR = getattr(tasks, "_release_waiter", None)
_MOST_TASKS = 20  # tasks that wait for one another
_MOST_BEHIND = 200  # that one task may keep from going on, as far as is looked
# Where coroutines, generators and async generators keep their frame, and what they wait for.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_INNER = ("cr_await", "gi_yieldfrom", "ag_await")

_STANDARD_LIBRARY = os.path.join(sysconfig.get_path("stdlib"), "")
_PACKAGES = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_MONITOR = os.path.dirname(os.path.abspath(__file__))
_OWN_FOLDERS = tuple(
    os.path.join(os.path.dirname(_MONITOR), folder, "") for folder in ("monitor", "drivers")
)
_NOTEBOOK = re.compile(r"[/\\]ipykernel_\d+[/\\]|^<ipython-input")
_MOST_FRAMES = 60  # frames; a walk further up meets only the event loop

_MOST_SITES = 10_000  # places; a program that makes its code while it runs has no end of them


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
        "number",
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
        self.number = 0  # of its pool's asks
        self.is_wait_counted = self.is_lost = False  # lost, and counted as such
        self.outer: Call | None = None
        # Not the frame itself: it would keep everything alive that its function knows.
        if frame is None:
            self.code, self.offset = None, 0
        else:
            self.code, self.offset = frame.f_code, frame.f_lasti
        # Outside asyncio no two calls are of one task.
        if task is None:
            self.task_id, self.task, self.who = id(self), None, ""
        else:
            # A strong reference would keep the task's frames, and so its connection, alive.
            self.task_id, self.task, self.who = id(task), ref(task), task.get_name()

    @property
    def depth(self) -> int:
        """Connections of its task, this one included."""
        return 1 if self.outer is None else 1 + self.outer.depth

    @property
    def has_ended_task(self) -> bool:
        """Whether the task that asked has ended; False where no task asked."""
        return self.task is not None and not self.has_live_task

    @property
    def has_live_task(self) -> bool:
        """Whether the task that asked still runs."""
        task = None if self.task is None else self.task()
        return task is not None and not task.done()


class Site:
    """One place in the program, and what it did with connections so far.

    State: `calls` that gave their connection back, the seconds that they held it in all and at
    most, and how often a task asked here while it held another connection.
    """

    __slots__ = ("_code", "_offset", "calls", "held", "longest", "second_asks")

    def __init__(self, code: CodeType | None, offset: int) -> None:
        self._code = code  # keeps the code alive, so that its id stays its own
        self._offset = offset
        self.calls = 0
        self.held = 0.0
        self.longest = 0.0
        self.second_asks = 0

    @property
    def where(self) -> str:
        """`orders.py:42 in load_order`; the path as short as it still leads there from here."""
        code = self._code
        if code is None:
            return "unknown"
        return f"{_short(code.co_filename)}:{self._line(code)} in {code.co_name}"

    def _line(self, code: CodeType) -> int:
        for begin, end, line in code.co_lines():
            if begin <= self._offset < end and line is not None:
                return line
        return code.co_firstlineno


class Sites:
    """Every site met so far, one for each instruction of the code.

    Args:
        library: folders or files whose frames are not the program's own; the standard library and
            poolkit's monitor and hooks are not either.
    """

    def __init__(self, library: Iterable[str]) -> None:
        self._library = tuple(library)
        self._is_library: dict[str, bool] = {}  # by file name
        self._sites: dict[tuple[int, int], Site] = {}

    def __iter__(self) -> Iterator[Site]:
        return iter(list(self._sites.values()))

    def add_library(self, paths: Iterable[str]) -> None:
        """More folders or files that are not the program's own."""
        self._library = tuple(dict.fromkeys((*self._library, *paths)))
        self._is_library.clear()

    def find(self, frame: FrameType | None, last: FrameType | None = None) -> FrameType | None:
        """The first frame from `frame` up to `last` that is the program's own; None: there is none.

        Args:
            last: the frame in which the task began; what lies above it only runs the event loop.
        """
        known = self._is_library
        steps = _MOST_FRAMES
        while frame is not None and steps:
            name = frame.f_code.co_filename
            is_library = known.get(name)
            if is_library is None:
                is_library = self.is_library(name)
            if not is_library:
                return frame
            if frame is last:
                return None
            frame = frame.f_back
            steps -= 1
        return None

    def is_library(self, name: str) -> bool:
        """Whether a file is not the program's own."""
        known = self._is_library.get(name)
        if known is None:
            known = self._is_library[name] = self._belongs_to_library(name)
        return known

    def is_own(self, frame: FrameType) -> bool:
        """Whether the frame is the program's own."""
        return self.find(frame, frame) is not None

    def at(self, code: CodeType | None, offset: int) -> Site:
        """The site of an instruction."""
        key = (id(code), offset)
        site = self._sites.get(key)
        if site is None and len(self._sites) >= _MOST_SITES:
            code, offset, key = None, 0, (id(None), 0)
            site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = Site(code, offset)
        return site

    def _belongs_to_library(self, name: str) -> bool:
        if name.startswith("<frozen"):
            return True
        if name.startswith((*self._library, *_OWN_FOLDERS)):
            return True
        return name.startswith(_STANDARD_LIBRARY) and _PACKAGES.search(name) is None


def _short(path: str) -> str:
    if _NOTEBOOK.search(path):
        return "notebook cell"
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:
        here = ""  # the folder is gone
    if here and path.startswith(here):
        return path[len(here) :]
    # Elsewhere: the file and the folder that it is in.
    return os.path.join(*path.split(os.sep)[-2:])


def owner_of(task: _Task | None) -> _Task | None:
    """The task that waits for this one in `asyncio.wait_for`; the task itself where none does.

    That cannot be known of `gather`: its tasks run side by side.
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
    return None if task is None else getattr(task.get_coro(), "cr_frame", None)


def frames_waiting(task: _Task | None) -> Iterator[FrameType]:
    """Frames of whoever waits for a task, from the innermost outwards."""
    for _ in range(_MOST_TASKS):
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


def stuck_behind(task: _Task) -> Iterator[_Task]:
    """Tasks that cannot go on before `task` has ended, nearest first; each once.

    They wait for it themselves, in gather, wait, as_completed or at the end of a task group, or for
    a task that does. One that goes on with whatever ends first is none of them.
    """
    known, behind = {id(task)}, [task]
    while behind and len(known) < _MOST_BEHIND:
        for outer in _awaiting(behind.pop(0), is_certain=True):
            if id(outer) not in known:
                known.add(id(outer))
                behind.append(outer)
                yield outer


def _awaiting(
    future: asyncio.Future[Any], steps: int = _MOST_TASKS, *, is_certain: bool = False
) -> Iterator[_Task]:
    """Tasks that go on when `future` is done.

    Args:
        is_certain: leave out those that may be doing something else meanwhile.
    """
    for callback, _ in getattr(future, "_callbacks", None) or () if steps else ():
        for known in _known(callback, is_certain):
            if isinstance(known, asyncio.Task):
                yield known
            elif isinstance(known, asyncio.Future):
                yield from _awaiting(known, steps - 1, is_certain=is_certain)


def _known(callback: Any, is_certain: bool) -> Iterator[Any]:
    """What a callback of asyncio's acts on."""
    if type(callback) is partial:  # wait_for
        yield from callback.args
    things = [getattr(callback, "__self__", None)]  # a task's own way to go on
    for cell in getattr(callback, "__closure__", None) or ():  # gather, shield and wait
        with suppress(ValueError):  # empty as yet
            things.append(cell.cell_contents)
    if is_certain and asyncio.FIRST_COMPLETED in (one for one in things if type(one) is str):
        return
    for thing in things:
        yield thing
        # A task group of asyncio or anyio: its end is waited for, or its block still runs.
        yield getattr(thing, "_on_completed_fut", None)
        if not is_certain:
            yield getattr(thing, "_parent_task", None)
        # as_completed: whoever waits for what it puts into its queue.
        yield from getattr(getattr(thing, "_done", thing), "_getters", ())


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None
