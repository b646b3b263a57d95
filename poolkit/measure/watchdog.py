"""Ends a measuring process whose parent went away or whose deadline passed, hung or not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Literal

from poolkit.errors import ExitCode

CHECK_SECONDS = 0.25
# s between the polite request and the end of the process: nothing is left 2 s after its parent.
GRACE = 1.5
PATIENCE = 5.0  # s, the same after a signal while the event loop turns: it is tidying up
HUNG_SECONDS = 30.0  # s that the event loop may stand still
WORDS_SECONDS = 0.5  # s for the last words; whoever should read them may be gone

Reason = Literal["parent", "deadline", "signal", "hung"]
_EXIT_CODES: dict[Reason, ExitCode] = {
    "parent": ExitCode.CANCELLED,
    "deadline": ExitCode.STOPPED,
    "signal": ExitCode.CANCELLED,
    "hung": ExitCode.STOPPED,
}


class Watchdog:
    """A daemon thread that calls `stop` once, and ends the process when that has no effect.

    Args:
        stop: thread-safe request to end the measurement, told why.
        deadline: s from now after which the process must be over.
        ask: thread-safe; has a function called by the event loop, which so shows that it turns.
            None: nobody looks.
        last_words: called before a process is ended that did not end itself, told why.
    """

    def __init__(
        self,
        stop: Callable[[Reason], object],
        deadline: float,
        *,
        ask: Callable[[Callable[[], None]], object] | None = None,
        last_words: Callable[[Reason], object] | None = None,
    ) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + deadline
        self._ask = ask
        self._last_words = last_words
        self._parent = os.getppid()
        self._over = threading.Event()
        # The only way in for a signal handler: its put can interrupt another without a deadlock.
        self._called: SimpleQueue[bool] = SimpleQueue()
        # Looks since the loop last answered. Counted, since a process that was halted as a whole
        # (SIGSTOP, a sleeping laptop) has not hung.
        self._unanswered = 0
        self._thread = threading.Thread(target=self._watch, name="poolkit-watchdog", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def call(self) -> None:
        """A signal came: end the measurement; for signal handlers."""
        self._called.put(True)

    def finish(self) -> None:
        """The measurement is over; stop watching."""
        self._over.set()
        self._called.put(False)
        self._thread.join()

    def _watch(self) -> None:
        reason: Reason | None = None
        while reason is None:
            is_called = self._wait()
            if self._over.is_set():
                return
            self._look()
            reason = "signal" if is_called else self._reason()
        self._stop(reason)
        if not self._ends_in_time(reason):
            if self._last_words is not None:
                words = threading.Thread(target=self._last_words, args=(reason,), daemon=True)
                words.start()
                words.join(WORDS_SECONDS)
            os._exit(_EXIT_CODES[reason])

    def _wait(self) -> bool:
        """A moment, shorter when a signal comes: then true."""
        try:
            return self._called.get(timeout=CHECK_SECONDS)
        except Empty:
            return False

    def _look(self) -> None:
        if self._ask is not None:
            self._unanswered += 1
            self._ask(self._answered)

    def _answered(self) -> None:
        self._unanswered = 0

    def _ends_in_time(self, reason: Reason) -> bool:
        patience = PATIENCE if reason == "signal" and self._ask is not None else GRACE
        began = time.monotonic()
        while time.monotonic() < began + patience:
            if self._over.wait(min(CHECK_SECONDS, patience)):
                return True
            self._look()
            if self._unanswered * CHECK_SECONDS > GRACE:
                return False
        return False

    def _reason(self) -> Reason | None:
        # A process whose parent died is handed to another one.
        if os.getppid() != self._parent:
            return "parent"
        if time.monotonic() > self._deadline:
            return "deadline"
        return "hung" if self._unanswered * CHECK_SECONDS > HUNG_SECONDS else None
