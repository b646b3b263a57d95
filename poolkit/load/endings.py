"""The end of a trial's calls: a grace for those under way, then no waiting for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from poolkit.load.stamps import CallStamps

CANCEL_SECONDS = 0.3  # s that a cancelled call may take to let go, before it is cancelled again
CANCEL_ROUNDS = 3


class End:
    """The end of a trial's load, set once for whatever reason; callers look before each call."""

    def __init__(self) -> None:
        self.is_over = False
        self._event = asyncio.Event()

    def set(self) -> None:
        """Nothing new starts from here on."""
        self.is_over = True
        self._event.set()

    async def wait(self) -> None:
        """Return at the end."""
        await self._event.wait()


class Tasks:
    """The tasks of a trial, each with the stamps of its call; a closed loop's are callers.

    Args:
        on_fault: told of an exception that is no outcome of a call.
    """

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._stamps: dict[asyncio.Task[None], CallStamps] = {}
        self._draining: asyncio.Task[object] | None = None

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def holding(self) -> int:
        """Calls that hold a connection, or held one."""
        return sum(stamps.has_acquired for stamps in self._stamps.values())

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
        """Wait no longer."""
        if self._draining is not None:
            self._draining.cancel()

    async def cancel(self) -> list[CallStamps]:
        """End what is left; the stamps of calls that are deaf to it, no longer looked at."""
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
