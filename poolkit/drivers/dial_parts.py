"""The parts of a dial that a library shows: looking the name up, TCP, TLS."""

from __future__ import annotations

import time
from contextvars import ContextVar

from poolkit.drivers.base import DialTimes

now = time.perf_counter


class Dial:
    """One dial under way: how long its look-up took (s), and when its TCP connection was up."""

    __slots__ = ("began", "dns", "tcp_up")

    def __init__(self) -> None:
        self.began = now()
        self.dns = 0.0
        self.tcp_up = 0.0

    def looked_up(self, since: float) -> None:
        """The name has its addresses; asked for `since`."""
        self.dns += now() - since

    def is_up(self) -> None:
        """A TCP connection stands; of several that were tried the last counts."""
        self.tcp_up = now()

    def times(self, *, has_tls: bool) -> DialTimes:
        """The parts of the dial, which is over."""
        ended = now()
        tcp_up = self.tcp_up if has_tls and self.tcp_up else ended
        return DialTimes(1, self.dns, max(0.0, tcp_up - self.began - self.dns), ended - tcp_up)


# The dial under way in this task.
current: ContextVar[Dial | None] = ContextVar("poolkit_dial", default=None)
