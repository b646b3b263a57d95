"""An event loop whose clock jumps to the next timer: timing logic is tested without sleeping."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: where the loop would sleep, its clock moves on by that time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the virtual loop would wait for ever: nothing is scheduled")
            self.clock += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual seconds that start at 0; it has no real descriptors worth waiting for."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-12

    def time(self) -> float:
        return self._jumping.clock


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a virtual clock."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
