"""Open loop: calls start when they are due, whatever became of those before them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator

from poolkit.drivers.base import Pool
from poolkit.errors import CallFailed
from poolkit.load.endings import End, Tasks
from poolkit.load.ledger import Ledger
from poolkit.load.recorder import OK
from poolkit.load.stamps import NEVER, CallStamps
from poolkit.load.timer import Timer

_BURST = 64  # arrivals started in one go before the loop may turn
_NONE_LEFT = object()


class OpenLoop:
    """Starts a call on `pool` at each due time (s from the trial's beginning) of a schedule.

    State: the schedule's rest, and the due time that was taken from it and not started yet.

    Args:
        seconds: calls due later are not started.
        on_spent: told when the permits are used up.
    """

    def __init__(
        self,
        pool: Pool,
        ledger: Ledger,
        end: End,
        permits: Iterator[None],
        on_spent: Callable[[], None],
        *,
        arrivals: Iterable[float],
        seconds: float,
    ) -> None:
        self._pool = pool
        self._ledger = ledger
        self._end = end
        self._permits = permits
        self._on_spent = on_spent
        self._schedule = iter(arrivals)
        self._seconds = seconds
        self._next_due: float | None = None

    async def run(self, timer: Timer, tasks: Tasks) -> None:
        """Start the calls; returns after the last one is started, or at the trial's end."""
        origin = self._ledger.origin
        burst = 0
        for offset in self._schedule:
            self._next_due = offset
            due = origin + offset
            if offset >= self._seconds:
                return
            if timer.now() < due:
                burst = 0
                await timer.wait_until(due)
            elif (burst := burst + 1) >= _BURST:
                # Behind schedule: let the calls that are under way have the loop for a turn.
                burst = 0
                await asyncio.sleep(0)
            if self._end.is_over:
                return
            if next(self._permits, _NONE_LEFT) is _NONE_LEFT:
                self._on_spent()
                return
            self._next_due = None
            stamps = self._ledger.stamps()
            stamps.due_at = offset
            tasks.spawn(self._one(offset, stamps), stamps)

    async def _one(self, due: float, stamps: CallStamps) -> None:
        ledger = self._ledger
        now, origin, books = ledger.now, ledger.origin, ledger.books
        started = now() - origin
        books.in_system += 1
        books.balance -= started
        failure: CallFailed | None = None
        try:
            await self._pool.call(stamps)
        except CallFailed as error:
            failure = error
        except asyncio.CancelledError:
            ledger.unfinished(due, started, stamps)
            raise
        released = now() - origin
        books.in_system -= 1
        books.balance += released
        if failure is None:
            ledger.recorder.add(due, started, stamps, released, OK)
        else:
            ledger.failed(due, started, stamps, released, failure)

    def record_missed(self, until: float) -> None:
        """Record the calls that were due before `until` s and that a late generator never began."""
        missed = () if self._next_due is None else (self._next_due,)
        for due in itertools.chain(missed, self._schedule):
            if due >= until:
                return
            self._ledger.unfinished(due, NEVER, self._ledger.stamps())
