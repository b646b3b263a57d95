"""The end of a trial's calls: a grace for those under way, then no waiting for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

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
    """The tasks of a trial, each with the due time (s) of its call; a closed loop's are callers.

    Args:
        on_fault: told of an exception that is no outcome of a call.
    """

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._due: dict[asyncio.Task[None], float] = {}
        self._draining: asyncio.Task[object] | None = None

    def __len__(self) -> int:
        return len(self._due)

    def spawn(self, work: Coroutine[object, object, None], due: float = 0.0) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._due[task] = due
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._due.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fault(fault)

    async def drain(self, grace: float) -> None:
        """Wait for all tasks, at most `grace` s, or until `hurry`."""
        if not self._due:
            return
        self._draining = asyncio.ensure_future(asyncio.wait(list(self._due), timeout=grace))
        await asyncio.wait({self._draining})

    def hurry(self) -> None:
        """Wait no longer."""
        if self._draining is not None:
            self._draining.cancel()

    async def cancel(self) -> list[float]:
        """End what is left; the due times of calls that are deaf to it, no longer looked at."""
        # A task that is cancelled before its first step would leave no record.
        await asyncio.sleep(0)
        for _ in range(CANCEL_ROUNDS):
            rest = list(self._due)
            if not rest:
                return []
            # Libraries shield the release of a connection, which a silent server never ends: a
            # second cancellation reaches past the shield.
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=CANCEL_SECONDS)
        deaf = list(self._due.values())
        for task in self._due:
            task.remove_done_callback(self._finished)
        self._due.clear()
        return deaf
