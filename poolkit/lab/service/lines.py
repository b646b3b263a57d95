"""What a review says while the service's command runs it: one line each on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from poolkit.events import Event, Failed, Recommended
from poolkit.show import words


class Lines:
    """A watcher that tells each target's beginning and its finding, and what went wrong."""

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Around the measurement of target `name`."""
        self.say(f"{name}: is reviewed")
        yield

    def see(self, event: Event) -> None:
        """Tell what was found or failed; the steps on the way are left out."""
        if isinstance(event, Failed):
            self.fail(f"{event.target}: {event.cause}", event.remedy)
        elif isinstance(event, Recommended):
            found = event.recommendation
            self.say(f"{found.target}: {words.outcome(found)}")

    def cancelling(self) -> None:
        """Nothing: the command's end tells it."""

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around a longer step that sends no load."""
        self.say(what)
        yield

    def say(self, text: str) -> None:
        """Print one line."""
        sys.stderr.write(f"{text}\n")

    def fail(self, cause: str, remedy: str = "") -> None:
        """Print what went wrong and what to do about it."""
        self.say(f"{cause}\n{remedy}".rstrip())
