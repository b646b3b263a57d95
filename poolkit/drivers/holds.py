"""Which calls hold a connection, and an end for those that hold theirs for too long.

One timer looks after all calls of a pool, where `asyncio.timeout` in each costs 7 us a call: 5 % of
a quick statement.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

from poolkit.errors import CallTimedOut

C = TypeVar("C", bound=Hashable)
LOOKS = 10  # a limit
LONGEST_STEP = 0.25  # s between looks, so a call ends at most twice this too late


class Holds(Generic[C]):
    """The connections in use, each with the task that uses it and when that has to end.

    Args:
        limit: s that a call may hold its connection, more than 0.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._step = min(limit / LOOKS, LONGEST_STEP)
        # Time in looks, since reading a clock costs each call more than counting costs the timer;
        # one more, as a call begins between two looks.
        self._now = 0
        self._looks = math.ceil(limit / self._step) + 1
        self.deadline = self._looks  # of a call that begins now
        # Adapters put calls in and take them out themselves: connection -> (its task, deadline).
        self.calls: dict[C, tuple[asyncio.Task[object] | None, int]] = {}
        self.expired: set[C] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def connections(self) -> tuple[C, ...]:
        """Those in use."""
        return tuple(self.calls)

    def start(self) -> None:
        """Look after the calls from now on; needs the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._step, self._look)

    def stop(self) -> None:
        """Look no more; what is held stays known."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self, connection: C, times: float = 1.0) -> None:
        """The current task holds the connection from now on, for `times` the limit at most."""
        task = asyncio.current_task()
        assert task is not None
        self.calls[connection] = (task, self._now + math.ceil(times * self._looks))

    def end(self, connection: C) -> bool:
        """The connection is given back; tells whether its time was over."""
        self.calls.pop(connection, None)
        if connection in self.expired:
            self.expired.discard(connection)
            return True
        return False

    def _look(self) -> None:
        self._now = now = self._now + 1
        self.deadline = now + self._looks
        for connection, (task, deadline) in self.calls.items():
            if deadline <= now and task is not None and connection not in self.expired:
                self.expired.add(connection)
                task.cancel()
        self._timer = self._loop.call_later(self._step, self._look)


def timed_out() -> CallTimedOut | None:
    """What the cancelled call ends with: None where somebody else cancelled it as well."""
    task = asyncio.current_task()
    if task is not None and task.uncancel() > 0:
        return None
    return CallTimedOut("call_timeout")
