"""Draws the latest of what is to be shown, a few times a second, and never loses the last."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Painter(Generic[T]):
    """Calls `paint` with the latest thing shown, at most `per_second` times a second.

    What is shown while a picture is drawn replaces what still waits; the last thing shown is always
    painted. `show` may be called from any thread and returns at once: pictures are drawn on a
    daemon thread of their own that lives while there is something to draw.

    State: the thing that waits, whether a thread is at work, and when the last picture began.

    Args:
        paint: draws one thing; what it raises goes to `fail`.
        fail: takes the exception of a picture that could not be drawn.
        per_second: more than 0.
    """

    def __init__(
        self, paint: Callable[[T], None], fail: Callable[[Exception], None], per_second: float = 4.0
    ) -> None:
        self._paint = paint
        self._fail = fail
        self._pause = 1.0 / per_second
        self._waiting: list[T] = []
        self._is_at_work = False
        self._began = -float("inf")
        self._change = threading.Condition()

    def show(self, thing: T) -> None:
        """Have this painted soon, unless something newer comes first."""
        with self._change:
            self._waiting = [thing]
            if self._is_at_work:
                return
            self._is_at_work = True
        threading.Thread(target=self._work, name="poolkit-painter", daemon=True).start()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until everything shown is painted; whether that came within `timeout` (s)."""
        with self._change:
            return self._change.wait_for(lambda: not self._is_at_work, timeout)

    def _work(self) -> None:
        while True:
            time.sleep(max(0.0, self._began + self._pause - time.monotonic()))
            with self._change:
                if not self._waiting:
                    # Under the lock: what is shown from here on finds no thread and starts one.
                    self._is_at_work = False
                    self._change.notify_all()
                    return
                thing = self._waiting.pop()
            self._began = time.monotonic()
            try:
                self._paint(thing)
            except Exception as error:
                # A thread that ends here would leave none to paint what comes next.
                with contextlib.suppress(Exception):
                    self._fail(error)
