"""The moments of one call, on the trial's time axis."""

from __future__ import annotations

from collections.abc import Callable

NEVER = float("nan")


class CallStamps:
    """Notes when a call acquired, dialled and was served (s since the trial began); nan: never.

    The first note of a kind counts. A closed-loop caller uses one object for all its calls and
    clears it before each. `due_at` is the call's place in the schedule, or where it began;
    `started_at` is when it began, and nan where none is under way.
    """

    __slots__ = (
        "_now",
        "_origin",
        "acquired_at",
        "dialled_at",
        "due_at",
        "served_at",
        "started_at",
    )

    def __init__(self, now: Callable[[], float], origin: float) -> None:
        self._now = now
        self._origin = origin
        self.due_at = 0.0
        self.started_at = NEVER
        self.clear()

    @property
    def at(self) -> float:
        """Now, s since the trial began."""
        return self._now() - self._origin

    def clear(self) -> None:
        """Forget the last call."""
        self.acquired_at = self.dialled_at = self.served_at = NEVER

    @property
    def is_under_way(self) -> bool:
        """Whether a call with these stamps began and has no record yet."""
        return self.started_at == self.started_at

    @property
    def has_acquired(self) -> bool:
        """Whether the call holds, or held, a connection."""
        return self.acquired_at == self.acquired_at

    @property
    def has_dialled(self) -> bool:
        """Whether the call dialled the connection that it holds, or held."""
        return self.dialled_at == self.dialled_at

    # nan is the only value that differs from itself: not noted yet.

    def acquired(self) -> None:
        """A connection, or the right to dial one, is held."""
        if self.acquired_at != self.acquired_at:
            self.acquired_at = self._now() - self._origin

    def dialled(self) -> None:
        """The new connection is up."""
        if self.dialled_at != self.dialled_at:
            self.dialled_at = self._now() - self._origin

    def served(self) -> None:
        """The work is done."""
        if self.served_at != self.served_at:
            self.served_at = self._now() - self._origin
