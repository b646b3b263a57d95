"""Where in a program a connection is asked for: file and line of the first frame that is its own.

A site is found by walking frames, without traceback objects or source text: about a tenth of a
microsecond a frame. Its line number is looked up only where it is shown.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType

_STANDARD_LIBRARY = os.path.join(sysconfig.get_path("stdlib"), "")
_PACKAGES = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_MONITOR = os.path.dirname(os.path.abspath(__file__))
_OWN_FOLDERS = tuple(
    os.path.join(os.path.dirname(_MONITOR), folder, "") for folder in ("monitor", "drivers")
)
_NOTEBOOK = re.compile(r"[/\\]ipykernel_\d+[/\\]|^<ipython-input")
_DEEPEST = 60  # frames; a walk further up meets only the event loop

_MOST = 10_000  # places; a program that makes its code while it runs has no end of them


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
    """Every site seen, told apart by code and instruction.

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
        steps = _DEEPEST
        while frame is not None and steps:
            name = frame.f_code.co_filename
            is_library = known.get(name)
            if is_library is None:
                is_library = known[name] = self._belongs_to_library(name)
            if not is_library:
                return frame
            if frame is last:
                return None
            frame = frame.f_back
            steps -= 1
        return None

    def is_own(self, frame: FrameType) -> bool:
        """Whether the frame is the program's own."""
        return self.find(frame, frame) is not None

    def at(self, code: CodeType | None, offset: int) -> Site:
        """The site of an instruction."""
        key = (id(code), offset)
        site = self._sites.get(key)
        if site is None and len(self._sites) >= _MOST:
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
