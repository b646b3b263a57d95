"""What bounds a call: a time limit on holding its connection, and on the user's own functions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from poolkit.errors import CallFailed, CallTimedOut

if TYPE_CHECKING:
    from poolkit.targets.workload import WorkFunction

C = TypeVar("C", bound=Hashable)
LOOKS = 10  # a limit
LONGEST_STEP = 0.25  # s between looks, so a call ends at most twice this too late


class Holds(Generic[C]):
    """The connections in use, each with the task that uses it and when that has to end.

    One timer looks after all calls of a pool, where `asyncio.timeout` in each costs 7 us a call:
    5 % of a quick statement.

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


async def run_function(
    function: WorkFunction, handle: Any, call_timeout: float, name: str = "work"
) -> None:
    """Await `function(handle)` for at most `call_timeout` s; `name` is what targets.toml calls it.

    Whatever it raises is the outcome of this call and not the end of the run: named after the
    exception's class, without its text, which may hold anything.
    """
    try:
        async with asyncio.timeout(call_timeout) as limit:
            await function(handle)
    except CallFailed:
        raise
    except Exception as error:
        if limit.expired():
            raise CallTimedOut(f"{name}_timeout") from error
        raise CallFailed(f"{name}_{type(error).__name__}") from error


def outcome_of(
    failure: CallFailed,
    library: tuple[type[Exception], ...],
    translated: Callable[[Exception], CallFailed],
) -> CallFailed:
    """What a call ended with: the library's own error where the user's function let one through.

    A refused dial or a lost connection is the same outcome then as without a function, so that the
    brakes see it.

    Args:
        library: what the client library raises and nobody else does.
        translated: the adapter's translation of those.
    """
    cause = failure.__cause__
    # One that ran out of time may end by any error; that it did is what counts.
    if type(failure) is CallFailed and isinstance(cause, library):
        return translated(cause)
    return failure
