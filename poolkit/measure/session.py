"""The load of one target in this process: checked before it, over at its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from poolkit import events
from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError
from poolkit.events import Emit
from poolkit.measure.loop import run_until_over, why_ended
from poolkit.measure.preflight import check_first_call
from poolkit.measure.store import TrialLog
from poolkit.measure.trial import TrialRunner
from poolkit.measure.watchdog import Reason
from poolkit.targets import Target

LastWords = Callable[[PoolkitError], object]


class Session:
    """Everything that sends load goes through here: a sweep, a lesson, the reader's own arrivals.

    State: the trials, the task under way, whether its end was asked for, and why it had to be.

    Args:
        log: file that keeps the trials; finished ones of the same target in it are resumed.
        budget: s of load that may be sent.
        deadline: s after which the process must be over, whatever the target does.
        last_words: told why, in another thread, before a process is ended whose loop stands still.
    """

    def __init__(
        self,
        target: Target,
        log: Path,
        emit: Emit,
        *,
        budget: float,
        deadline: float,
        last_words: LastWords | None = None,
    ) -> None:
        self._target = target
        self._emit = emit
        self._budget = budget
        self._deadline = deadline
        self._last_words = last_words or (lambda _error: None)
        self.runner = TrialRunner(target, TrialLog(log), emit, budget)
        self._task: asyncio.Task[ExitCode] | None = None
        self._is_cancelled = False
        self._reason: Reason | None = None

    def carry_out(self, steps: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """One call to see whether the target answers, then the steps, which run trials.

        Raises:
            PoolkitError: it ended early; the finished trials are kept.
        """

        def last_words(reason: Reason) -> None:
            self._last_words(why_ended(self._target, reason))

        return run_until_over(self._run(steps), self._cancel, self._deadline, last_words)

    async def _run(self, steps: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        self._task = asyncio.current_task()
        try:
            self.runner.first_call = await check_first_call(self._target)
            self._emit(
                events.Started(
                    target=self._target.name,
                    driver=self._target.driver,
                    budget=self._budget,
                    resumed_trials=len(self.runner.trials),
                )
            )
            return await steps()
        except (asyncio.CancelledError, Cancelled):
            if self._is_cancelled:
                raise self._why_cancelled() from None
            raise

    def _cancel(self, reason: Reason | None) -> None:
        """End it, the finished trials kept; `reason` None: somebody asked for it."""
        self._is_cancelled = True
        self._reason = self._reason or reason
        was_loading = self.runner.is_loading
        self.runner.cancel()
        if not was_loading and self._task is not None:
            self._task.cancel()

    def _why_cancelled(self) -> PoolkitError:
        if self._reason == "deadline":
            return BrakeStop(
                "deadline",
                f"not done after {self._deadline:.0f} s",
                "the endpoint is far slower than its first call; the same command resumes",
            )
        return why_ended(self._target, self._reason or "signal")
