"""Where the events of a measurement go."""

from collections.abc import Callable

from poolkit.events import Event

Emit = Callable[[Event], None]
