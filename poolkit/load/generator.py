"""The only code that starts calls and stamps their times.

Closed loop: `callers` that each wait for their reply. Open loop: arrivals by a schedule, whatever
the replies do; a call's time counts from the moment it was due, so a late generator or a slow
server cannot hide waits (coordinated omission).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from poolkit.drivers.base import Pool, connections_of, has_exact_waits
from poolkit.errors import BrakeStop, Cancelled
from poolkit.load.brakes import Brakes, Quota, silence
from poolkit.load.calls import ClosedLoop, End, OpenLoop, Tasks
from poolkit.load.measurement import Measurement
from poolkit.load.recorder import Columns, Ledger, Recorder
from poolkit.load.timer import Timer
from poolkit.load.watch import PATIENCE, SETTLE, Sampler, Watch

SAMPLE_SECONDS = 0.02
PROGRESS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial's load: `callers` of a closed loop, or `arrivals` of an open one."""

    seconds: float  # longest duration; it ends earlier when `is_enough` is true
    warm_up: float  # s at the front that are never measured
    seed: int
    min_seconds: float = 0.0  # after the warm-up, before `is_enough` is asked
    grace: float = 5.0  # s that calls under way at the end may take before they are unfinished
    callers: int | None = None
    arrivals: Iterable[float] | None = None  # due times (s from the start)
    arrival_rate: float | None = None  # the planned rate of `arrivals` (calls/s)

    def __post_init__(self) -> None:
        """Refuse a plan that is neither a closed nor an open loop."""
        if (self.callers is None) == (self.arrivals is None):
            raise ValueError("give either callers (closed loop) or arrivals (open loop)")
        if not 0 <= self.warm_up < self.seconds:
            raise ValueError(f"warm_up must be in [0, {self.seconds}), got {self.warm_up}")

    @property
    def loop(self) -> Literal["closed", "open"]:
        """Which kind of load this is."""
        return "closed" if self.arrivals is None else "open"


class Generator:
    """Runs one plan against one open pool.

    Args:
        pool: already open; stays open.
        plan: what to send.
        timer: the clock that every stamp comes from.
        brakes: limits that end the trial early.
        is_enough: asked about four times a second whether the interval is narrow enough.
        on_progress: called as often with s so far, calls finished, calls/s lately.
        on_chunk: sees the raw call records.

    State: the ledger of the calls, the task of every caller or call, and why it ended.
    """

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        timer: Timer,
        *,
        brakes: Brakes | None = None,
        is_enough: Callable[[Recorder, float], bool] | None = None,
        on_progress: Callable[[float, int, float], None] | None = None,
        on_chunk: Callable[[Columns], None] | None = None,
    ) -> None:
        brakes = brakes or Brakes()
        self._pool = pool
        self._plan = plan
        self._timer = timer
        self._is_enough = is_enough
        self._on_progress = on_progress
        segment = plan.seconds / max(10, min(60, round(plan.seconds / 0.1)))
        self._tasks = Tasks(self._fail)
        self._recorder = Recorder(
            plan.seconds,
            segment,
            segment / max(1, round(segment / 0.005)),
            on_chunk,
            self._tasks.under_way,
            connections_of(pool),
        )
        self._watch = Watch(brakes, pool, self._recorder, self._tasks.holding)
        self._ledger = Ledger(timer.now, self._recorder, self._watch.failed)
        self._sampler = Sampler(pool, self._ledger)
        self._quota = Quota(timer.now, brakes, plan.callers, plan.arrival_rate)
        self._end = End()
        self.stopped: BrakeStop | None = None  # the brake that ended the trial, if one did
        self._fault: BaseException | None = None
        self._cancelled = False
        self._ticker: asyncio.TimerHandle
        self._next_sample = 0.0  # s
        self._reported_at, self._reported_calls = 0.0, 0
        self._seconds = plan.seconds

    @property
    def calls(self) -> int:
        """Calls that were begun."""
        return self._quota.handed_out

    def cancel(self) -> None:
        """End the trial now; `run` raises `Cancelled`."""
        self._cancelled = True
        self._end.set()
        self._tasks.hurry()

    def finish(self) -> None:
        """End the load now, as at the planned end: what was measured until then is whole."""
        self._end_at(self._ledger.at)

    async def run(self, begin: float | None = None) -> Measurement:
        """Send the load and return what was measured.

        A brake ends the trial early: the measurement then names it in `stopped`.

        Args:
            begin: the moment on the timer's clock that is 0 s of the trial; None: now.
        """
        if begin is not None and not self._cancelled:
            await self._timer.wait_until(begin)
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        plan, end, tasks, ledger = self._plan, self._end, self._tasks, self._ledger
        ledger.origin = self._timer.now() if begin is None else begin
        self._tick()
        parts = (self._pool, ledger, end, tasks, self._quota.permits(), self._spend)
        open_loop: OpenLoop | None = None
        dispatcher: asyncio.Task[None] | None = None
        try:
            if plan.callers is not None:
                ClosedLoop(*parts).start(plan.callers, plan.warm_up)
            else:
                open_loop = OpenLoop(*parts, iter(plan.arrivals or ()), plan.seconds)
                dispatcher = asyncio.create_task(self._guarded(open_loop.run(self._timer)))
            await end.wait()
            if dispatcher is not None:
                dispatcher.cancel()
            # From here on nothing new starts; what is under way may finish within the grace.
            await self._drain()
            if self._watch.can_leak and not self._tasks and self.stopped is None:
                # With no call under way, a connection in use is one that the user's function kept.
                await asyncio.sleep(SETTLE)
                self.stopped = self._watch.leak()
        finally:
            end.set()
            self._ticker.cancel()
            for stamps in await tasks.cancel():
                ledger.unfinished(stamps.due_at, stamps.due_at, stamps)
        if self._fault is not None:
            raise self._fault
        if self._cancelled:
            raise Cancelled
        if open_loop is not None and self._quota.spent is None:
            open_loop.record_missed(self._seconds)
        self._recorder.finish()
        ledger.detach()
        return self._measurement(started)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Let a fault of the generator's own tasks end the trial instead of hanging it."""
        try:
            await work
        except Exception as fault:
            self._fail(fault)

    def _fail(self, fault: BaseException) -> None:
        """A fault of an adapter or of user code is no outcome: the trial ends with it."""
        self._fault = self._fault or fault
        self._end.set()

    def _spend(self) -> None:
        """The quota is used up; what is under way may finish as at any other end."""
        self.stopped = self.stopped or self._quota.spent
        self._end_at(self._ledger.at)

    def _end_at(self, at: float) -> None:
        if not self._end.is_over:
            self._seconds = min(at, self._plan.seconds)
        self._end.set()

    async def _drain(self) -> None:
        if self._cancelled or not self._tasks or self.stopped is not self._quota.spent:
            return
        finished = self._recorder.finished
        grace = self._plan.grace
        if self._watch.can_leak and grace > PATIENCE:
            await self._tasks.drain(PATIENCE)
            is_leak = self._recorder.finished == finished and self._watch.leak() is not None
            grace = 0.0 if is_leak or self._cancelled else grace - PATIENCE
        await self._tasks.drain(grace)
        if self._cancelled:
            return
        if self._tasks and self._recorder.finished == finished:
            stop = silence(self._plan.grace, self._ledger.in_system)
            self.stopped = self._watch.leak() or stop
            return
        # A short trial of slow calls learns most of them only now.
        self._check_brakes(self._ledger.at, closely=True)

    def _tick(self) -> None:
        """Look after the trial, and again in a moment; a callback, as a task would cost more."""
        try:
            self._look_after(self._ledger.at)
        except Exception as fault:
            self._fail(fault)
        if not self._end.is_over:
            delay = self._next_sample - self._ledger.at
            self._ticker = asyncio.get_running_loop().call_later(max(0.0, delay), self._tick)

    def _look_after(self, at: float) -> None:
        """Sample the generator's own state, ask the brakes, report the progress."""
        self._sampler.take(at, at - self._next_sample)
        self._next_sample = max(self._next_sample + SAMPLE_SECONDS, at)
        is_report = at >= self._reported_at + PROGRESS_SECONDS
        if not self._check_brakes(at, closely=is_report):
            self._end_at(at)
            return
        if is_report:
            calls, since = self._recorder.finished, at - self._reported_at
            if self._on_progress is not None:
                self._on_progress(at, calls, (calls - self._reported_calls) / since)
            self._reported_calls, self._reported_at = calls, at
            if self._is_enough is not None and at >= self._plan.warm_up + self._plan.min_seconds:
                self._recorder.fold()
                if self._is_enough(self._recorder, at):
                    self._end_at(at)
        if at >= self._plan.seconds:
            self._end_at(at)

    def _check_brakes(self, at: float, *, closely: bool) -> bool:
        """Whether the trial may go on."""
        in_system, connections = self._ledger.in_system, self._sampler.connections
        stop = self._watch.check(at, in_system, connections, closely=closely)
        self.stopped = self.stopped or stop
        return stop is None

    def _measurement(self, started: str) -> Measurement:
        recorder, plan = self._recorder, self._plan
        # Only segments that lie wholly before the end are measured.
        whole = max(1, int(self._seconds / recorder.segment_seconds + 1e-9))
        seconds = whole * recorder.segment_seconds
        bins = min(recorder.completions.size, round(seconds / recorder.bin_seconds))
        return Measurement(
            loop=plan.loop,
            pool_size=self._pool.pool_size,
            callers=plan.callers,
            arrival_rate=plan.arrival_rate,
            seed=plan.seed,
            started=started,
            warm_up=plan.warm_up,
            seconds=seconds,
            segment_seconds=recorder.segment_seconds,
            segments=tuple(recorder.segments[:whole]),
            bin_seconds=recorder.bin_seconds,
            completions=recorder.completions[:bins],
            samples=self._sampler.samples(),
            dial_times=self._pool.statistics().dial_times,
            wait_is_exact=has_exact_waits(self._pool),
            stopped=self.stopped.brake if self.stopped else None,
        )
