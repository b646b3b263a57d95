"""Whoever looks on while targets are measured: a terminal, a log, a notebook."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from poolkit.events import Event


class Watcher(Protocol):
    """Takes what a review says; `poolkit.cli.progress.make_screen` gives one that prints it."""

    def measuring(self, name: str) -> AbstractContextManager[None]:
        """Around the measurement of target `name`."""
        ...

    def see(self, event: Event) -> None:
        """Take an event of the target that is measured."""
        ...

    def cancelling(self) -> None:
        """Told, maybe often, that the measurement is being ended."""
        ...

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Around a longer step that sends no load, such as making the report."""
        ...

    def say(self, text: str) -> None:
        """Take one line."""
        ...

    def fail(self, cause: str, remedy: str = "") -> None:
        """Take what went wrong and what to do about it."""
        ...
