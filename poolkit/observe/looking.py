"""How far a look at a service's own metrics is, said while it lasts."""

from __future__ import annotations

import time
from collections.abc import Callable

from poolkit.events import Emit, Step
from poolkit.observe.scraping import window_length

STEPS, LEAST_STEP = 30, 10.0  # times that it speaks, and s between two at least


class Looking:
    """Says at the start, and every so often between scrapes, how long it has looked.

    State: scrapes that were sent, answered or not, and the seconds at which it speaks next.
    """

    def __init__(
        self,
        name: str,
        what: str,
        seconds: float,
        emit: Emit,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name, self._what, self._seconds = name, what, seconds
        self._emit, self._sleep = emit, sleep
        self.scrapes = 1
        self._length = window_length(seconds)
        self._next = 0.0
        self._say(0.0, what)

    def pause(self, seconds: float) -> None:
        """Wait for the next scrape."""
        self._sleep(seconds)
        self.scrapes += 1
        passed = (self.scrapes - 1) * self._length
        if self._next <= passed < self._seconds:
            self._say(passed, f"{self._what}: {self.scrapes} scrapes")

    def _say(self, passed: float, what: str) -> None:
        self._next = passed + max(LEAST_STEP, self._seconds / STEPS)
        step = Step(target=self._name, what=what, limit=self._seconds, passed=passed)
        self._emit(step)
