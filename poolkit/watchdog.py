"""Ends a measuring process whose parent went away or whose deadline passed, hung or not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

CHECK_SECONDS = 0.25
GRACE = 5.0  # s between the polite request and the end of the process


class Watchdog:
    """A daemon thread that calls `stop` once, and ends the process when that has no effect.

    Args:
        stop: thread-safe request to end the measurement.
        deadline: s from now after which the process must be over.
        exit_code: of the process when it has to be ended from here.
    """

    def __init__(self, stop: Callable[[], object], deadline: float, exit_code: int) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + deadline
        self._exit_code = exit_code
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
            # A process whose parent died is handed to another one.
            if os.getppid() != self._parent or time.monotonic() > self._deadline:
                self._stop()
                if not self._over.wait(GRACE):
                    os._exit(self._exit_code)
                return
