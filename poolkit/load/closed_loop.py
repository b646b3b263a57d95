"""Closed loop: callers that each wait for their reply before they send again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from poolkit.drivers.base import Pool
from poolkit.errors import CallFailed
from poolkit.load.endings import End, Tasks
from poolkit.load.ledger import Ledger
from poolkit.load.recorder import OK
from poolkit.load.stamps import NEVER, CallStamps

BACK_OFF = 0.05  # s that a caller rests after a failed call: a dead server is not hammered
STAGGER = 0.05  # s over which the callers begin, within the warm-up


class ClosedLoop:
    """Starts callers on `pool` that go on until `end`, or until there is no permit left.

    Args:
        on_spent: told when the permits are used up.
    """

    def __init__(
        self,
        pool: Pool,
        ledger: Ledger,
        end: End,
        permits: Iterator[None],
        on_spent: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._ledger = ledger
        self._end = end
        self._permits = permits
        self._on_spent = on_spent

    def start(self, callers: int, warm_up: float, tasks: Tasks) -> None:
        """Start `callers` callers, spread over the beginning of a warm-up of so many s."""
        # Callers that begin together would stay in step where calls take equally long.
        spread = min(STAGGER, warm_up / 2)
        for index in range(callers):
            stamps = self._ledger.stamps()
            tasks.spawn(self._caller(spread * index / callers, stamps), stamps)

    async def _caller(self, after: float, stamps: CallStamps) -> None:
        if after > 0:
            await asyncio.sleep(after)
        ledger, end = self._ledger, self._end
        now, origin, books = ledger.now, ledger.origin, ledger.books
        call, add = self._pool.call, ledger.recorder.add
        if end.is_over:
            return
        for _ in self._permits:
            stamps.acquired_at = stamps.dialled_at = stamps.served_at = NEVER
            started = stamps.due_at = now() - origin
            books.in_system += 1
            books.balance -= started
            try:
                await call(stamps)
            except CallFailed as failure:
                released = now() - origin
                books.in_system -= 1
                books.balance += released
                ledger.failed(started, started, stamps, released, failure)
                await self._rest()
                if end.is_over:
                    return
                continue
            except asyncio.CancelledError:
                ledger.unfinished(started, started, stamps)
                raise
            released = now() - origin
            books.in_system -= 1
            books.balance += released
            if end.is_over:
                # Looked up anew: a call that outlived its trial is recorded nowhere.
                ledger.recorder.add(started, started, stamps, released, OK)
                return
            add(started, started, stamps, released, OK)
        self._on_spent()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), BACK_OFF)
