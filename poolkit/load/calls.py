"""The calls of a trial: how they begin, in a closed loop or an open one, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

import numpy as np

from poolkit.drivers.base import Pool
from poolkit.errors import CallFailed
from poolkit.load.measurement import Floats
from poolkit.load.recorder import OK, Ledger
from poolkit.load.stamps import NEVER, CallStamps
from poolkit.load.timer import Timer

BACK_OFF = 0.05  # s that a caller rests after a failed call: a dead server is not hammered
STAGGER = 0.05  # s over which the callers begin, within the warm-up
CANCEL_SECONDS = 0.3  # s that a cancelled call may take to let go, before it is cancelled again
CANCEL_ROUNDS = 3
_BURST = 64  # arrivals started in one go before the loop may turn
_NONE_LEFT = object()


class End(asyncio.Event):
    """The end of a trial's load, set once for whatever reason; checked before each call."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = False

    def set(self) -> None:
        """Nothing new starts from here on."""
        self.is_over = True
        super().set()


class Tasks:
    """The tasks of a trial, each with the stamps of its call; a closed loop's are callers.

    Args:
        on_fault: called with an exception that is no outcome of a call.
    """

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._stamps: dict[asyncio.Task[None], CallStamps] = {}
        self._draining: asyncio.Task[object] | None = None

    def __len__(self) -> int:
        return len(self._stamps)

    def holding(self) -> int:
        """Calls under way that hold a connection, or held one."""
        # A caller that rests has no call under way.
        return sum(one.has_acquired and one.is_under_way for one in self._stamps.values())

    def under_way(self) -> Floats:
        """When (s from the trial's start) the calls under way began."""
        stamps = self._stamps.values()
        moments: Floats = np.array([one.started_at for one in stamps], dtype=np.float64)
        return moments[~np.isnan(moments)]

    def spawn(self, work: Coroutine[object, object, None], stamps: CallStamps) -> None:
        """Start a task that does its call, or one call after the other, with these stamps."""
        task = asyncio.get_running_loop().create_task(work)
        self._stamps[task] = stamps
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._stamps.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fault(fault)

    async def drain(self, grace: float) -> None:
        """Wait for all tasks, at most `grace` s, or until `hurry`."""
        if not self._stamps:
            return
        self._draining = asyncio.ensure_future(asyncio.wait(list(self._stamps), timeout=grace))
        await asyncio.wait({self._draining})

    def hurry(self) -> None:
        """End `drain`."""
        if self._draining is not None:
            self._draining.cancel()

    async def cancel(self) -> list[CallStamps]:
        """End what is left; the stamps of calls that are deaf to it, which are given up."""
        # A task that is cancelled before its first step would leave no record.
        await asyncio.sleep(0)
        for _ in range(CANCEL_ROUNDS):
            rest = list(self._stamps)
            if not rest:
                return []
            # Libraries shield the release of a connection, which a silent server never ends: a
            # second cancellation reaches past the shield.
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=CANCEL_SECONDS)
        deaf = list(self._stamps.values())
        for task in self._stamps:
            task.remove_done_callback(self._finished)
        self._stamps.clear()
        return deaf


@dataclass(slots=True)
class _Loop:
    """Calls on `pool`, recorded in the ledger, until `end` or the last permit (then `on_spent`)."""

    pool: Pool
    ledger: Ledger
    end: End
    tasks: Tasks
    permits: Iterator[None]
    on_spent: Callable[[], None]


class ClosedLoop(_Loop):
    """Callers that each wait for their reply before they send again."""

    def start(self, callers: int, warm_up: float) -> None:
        """Start `callers` callers, spread over the beginning of a warm-up of so many s."""
        # Callers that begin together would stay in step where calls take equally long.
        spread = min(STAGGER, warm_up / 2)
        for index in range(callers):
            stamps = self.ledger.stamps()
            self.tasks.spawn(self._caller(spread * index / callers, stamps), stamps)

    async def _caller(self, after: float, stamps: CallStamps) -> None:
        if after > 0:
            await asyncio.sleep(after)
        ledger, end = self.ledger, self.end
        now, origin = ledger.now, ledger.origin
        call, add = self.pool.call, ledger.recorder.add
        if end.is_over:
            return
        for _ in self.permits:
            stamps.acquired_at = stamps.dialled_at = stamps.served_at = NEVER
            started = stamps.due_at = stamps.started_at = now() - origin
            ledger.in_system += 1
            ledger.balance -= started
            try:
                await call(stamps)
            except CallFailed as failure:
                released = now() - origin
                ledger.in_system -= 1
                ledger.balance += released
                ledger.failed(started, started, stamps, released, failure)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(end.wait(), BACK_OFF)
                if end.is_over:
                    return
                continue
            except asyncio.CancelledError:
                ledger.unfinished(started, started, stamps)
                raise
            released = now() - origin
            ledger.in_system -= 1
            ledger.balance += released
            if end.is_over:
                # Looked up anew: a call that outlived its trial is recorded nowhere.
                ledger.recorder.add(started, started, stamps, released, OK)
                return
            add(started, started, stamps, released, OK)
        self.on_spent()


@dataclass(slots=True)
class OpenLoop(_Loop):
    """Calls that start when they are due, whatever became of those before them.

    Attributes:
        schedule: the due times (s from the trial's beginning) that are left.
        seconds: calls due later are not started.
        next_due: the due time that was taken from the schedule and not started yet.
    """

    schedule: Iterator[float]
    seconds: float
    next_due: float | None = None

    async def run(self, timer: Timer) -> None:
        """Start the calls; returns after the last one is started, or at the trial's end."""
        origin = self.ledger.origin
        burst = 0
        for offset in self.schedule:
            self.next_due = offset
            due = origin + offset
            if offset >= self.seconds:
                return
            if timer.now() < due:
                burst = 0
                await timer.wait_until(due)
            elif (burst := burst + 1) >= _BURST:
                # Behind schedule: let the calls that are under way have the loop for a turn.
                burst = 0
                await asyncio.sleep(0)
            if self.end.is_over:
                return
            if next(self.permits, _NONE_LEFT) is _NONE_LEFT:
                self.on_spent()
                return
            self.next_due = None
            stamps = self.ledger.stamps()
            stamps.due_at = offset
            self.tasks.spawn(self._one(offset, stamps), stamps)

    async def _one(self, due: float, stamps: CallStamps) -> None:
        ledger = self.ledger
        now, origin = ledger.now, ledger.origin
        started = stamps.started_at = now() - origin
        ledger.in_system += 1
        ledger.balance -= started
        failure: CallFailed | None = None
        try:
            await self.pool.call(stamps)
        except CallFailed as error:
            failure = error
        except asyncio.CancelledError:
            ledger.unfinished(due, started, stamps)
            raise
        released = now() - origin
        ledger.in_system -= 1
        ledger.balance += released
        if failure is None:
            ledger.recorder.add(due, started, stamps, released, OK)
        else:
            ledger.failed(due, started, stamps, released, failure)

    def record_missed(self, until: float) -> None:
        """Record the calls that were due before `until` s and that a late generator never began."""
        missed = () if self.next_due is None else (self.next_due,)
        for due in itertools.chain(missed, self.schedule):
            if due >= until:
                return
            self.ledger.unfinished(due, NEVER, self.ledger.stamps())
