"""Ends a measuring process whose parent went away or whose deadline passed, hung or not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Literal

from poolkit.errors import ExitCode

CHECK_SECONDS = 0.25
# s between the polite request and the end of the process: nothing is left 2 s after its parent.
GRACE = 1.5

Reason = Literal["parent", "deadline"]
_EXIT_CODES: dict[Reason, ExitCode] = {
    "parent": ExitCode.CANCELLED,
    "deadline": ExitCode.STOPPED,
}


class Watchdog:
    """A daemon thread that calls `stop` once, and ends the process when that has no effect.

    Args:
        stop: thread-safe request to end the measurement, told why.
        deadline: s from now after which the process must be over.
    """

    def __init__(self, stop: Callable[[Reason], object], deadline: float) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + deadline
        self._parent = os.getppid()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="poolkit-watchdog", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def finish(self) -> None:
        """The measurement is over; stop watching."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(CHECK_SECONDS):
            reason = self._reason()
            if reason is not None:
                self._stop(reason)
                if not self._over.wait(GRACE):
                    os._exit(_EXIT_CODES[reason])
                return

    def _reason(self) -> Reason | None:
        # A process whose parent died is handed to another one.
        if os.getppid() != self._parent:
            return "parent"
        return "deadline" if time.monotonic() > self._deadline else None
