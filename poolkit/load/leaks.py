"""A user's function that keeps its connections: its own fault, which looks like a silent server."""

from __future__ import annotations

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.errors import BrakeStop
from poolkit.load.endings import Tasks

PATIENCE = 0.5  # s without the end of any call before anybody looks
SETTLE = 0.02  # s that a connection may take to go back after its call has ended


class LeakWatch:
    """Finds connections that are in use while no call under way has got one.

    Args:
        tasks: the calls under way.
        work: the function's name; None: there is none, and nothing to find.

    State: how many calls had finished when that number last changed, and when (s).
    """

    def __init__(self, pool: Pool, tasks: Tasks, work: str | None) -> None:
        self._pool = pool
        self._tasks = tasks
        self._work = work
        self._finished = 0
        self._finished_at = 0.0

    @property
    def can_leak(self) -> bool:
        """Whether there is a function that could keep anything."""
        return self._work is not None

    def check(self, at: float, finished: int) -> BrakeStop | None:
        """The stop where no call ends any more because none gets a connection."""
        if finished != self._finished:
            self._finished, self._finished_at = finished, at
        return None if at - self._finished_at < PATIENCE else self.found()

    def found(self) -> BrakeStop | None:
        """The stop where connections are kept right now; calls that hold one may explain them."""
        if self._work is None or self._tasks.holding:
            return None
        kept = self._pool.statistics().in_use
        if not kept:
            return None
        return BrakeStop("work_leak", *leak(self._work, kept))


def leak(work: str, kept: int) -> tuple[str, str]:
    """What was seen of `kept` connections that nobody gives back, and what to do."""
    return (
        f"{work} does not give its connections back: {units.plural(kept, 'connection')} in use, "
        "and no call that has one",
        f"let {work} end what it begins: each response inside async with, and no task left behind "
        "that uses the connection",
    )
