"""The only code that starts calls and stamps their times.

Closed loop: `callers` that each wait for their reply. Open loop: arrivals by a schedule, whatever
the replies do; a call's time counts from the moment it was due, so a late generator or a slow
server cannot hide waits (coordinated omission).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poolkit.errors import BrakeStop, CallFailed, Cancelled
from poolkit.load.brakes import NO_CONNECTION, Brakes, Counts, silence
from poolkit.load.measurement import Measurement, Samples
from poolkit.load.recorder import (
    ERROR,
    OK,
    OUTCOME_CODES,
    UNFINISHED,
    Columns,
    Recorder,
)
from poolkit.load.stamps import NEVER, CallStamps
from poolkit.load.timer import Timer
from poolkit.pools.base import Pool

SAMPLE_SECONDS = 0.02
PROGRESS_SECONDS = 0.25
LATELY = 10.0  # s that count as the last moments where calls are few
CANCEL_SECONDS = 0.3  # s that a cancelled call may take to let go, before it is cancelled again
CANCEL_ROUNDS = 3
BACK_OFF = (
    0.05  # s that a closed-loop caller rests after a failed call: a dead server is not hammered
)
STAGGER = 0.05  # s over which the callers of a closed loop begin, within the warm-up
NOBODY_LOOKED: NDArray[np.float64] = np.empty(0)
_BURST = 64  # arrivals started in one go before the loop may turn


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial's load.

    Attributes:
        seconds: longest the load lasts; it ends earlier when `is_enough` says so.
        warm_up: s at the front that are never measured.
        min_seconds: s after the warm-up before `is_enough` is asked.
        grace: s that calls still under way at the end may take before they count as unfinished.
        callers: closed loop: how many callers; None for an open loop.
        arrivals: open loop: due times (s from the start).
        arrival_rate: open loop: the planned rate of `arrivals` (calls/s).
    """

    seconds: float
    warm_up: float
    seed: int
    min_seconds: float = 0.0
    grace: float = 5.0
    callers: int | None = None
    arrivals: Iterable[float] | None = None
    arrival_rate: float | None = None

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


@dataclass(slots=True)
class _Samples:
    at: list[float] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    loop_lag: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    disconnects: list[float] = field(default_factory=list)


class Generator:
    """Runs one plan against one open pool.

    Args:
        pool: already open; stays open.
        plan: what to send.
        timer: the clock that every stamp comes from.
        brakes: limits that end the trial early.
        is_enough: asked about four times a second whether the interval is narrow enough.
        on_progress: told about four times a second (s so far, calls finished, calls/s lately).
        on_chunk: sees the raw call records.

    State: the recorder, the task of every caller or call, `_ended`, set once when the load is over
    for whatever reason, and the books of the calls in the system (started and not released): their
    number `in_system`, and `_balance`, the sum of all releases minus that of all starts. Together
    they give the integral of the number in the system up to t, exactly: in_system * t + _balance.
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
        self._pool = pool
        self._plan = plan
        self._timer = timer
        self._brakes = brakes or Brakes()
        self._is_enough = is_enough
        self._on_progress = on_progress
        segment = plan.seconds / max(10, min(60, round(plan.seconds / 0.1)))
        self._recorder = Recorder(
            plan.seconds, segment, segment / max(1, round(segment / 0.005)), on_chunk
        )
        self._samples = _Samples()
        # Open loop: the task of every call under way, with its due time; closed: every caller's.
        self._tasks: dict[asyncio.Task[None], float] = {}
        self._schedule = iter(plan.arrivals or ())
        self._next_due: float | None = None  # taken from the schedule and not started yet
        self._kinds: Counter[str] = Counter()  # of all failures
        self._no_connection: Counter[str] = Counter()  # of those since a success
        self._succeeded = 0
        self._connections = 0
        self._last_end = (0, 0.0)  # calls finished, and when that number last changed
        self._ended = asyncio.Event()
        self._stopped: BrakeStop | None = None
        self._fault: BaseException | None = None
        self._cancelled = False
        self._draining: asyncio.Task[object] | None = None  # the wait for the last calls
        self.in_system = 0
        self._balance = 0.0
        self._origin = 0.0
        self._seconds = plan.seconds

    def cancel(self) -> None:
        """End the trial now; `run` raises `Cancelled`."""
        self._cancelled = True
        self._ended.set()
        if self._draining is not None:
            self._draining.cancel()

    async def run(self) -> Measurement:
        """Send the load and return what was measured.

        A brake ends the trial early: the measurement then names it in `stopped`.
        """
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._origin = self._timer.now()
        watch = asyncio.create_task(self._guarded(self._watch()))
        dispatcher: asyncio.Task[None] | None = None
        try:
            if self._plan.callers is not None:
                self._start_callers(self._plan.callers)
            else:
                dispatcher = asyncio.create_task(self._guarded(self._dispatch()))
            await self._ended.wait()
            if dispatcher is not None:
                dispatcher.cancel()
            # From here on nothing new starts; what is under way may finish within the grace.
            await self._drain()
        finally:
            watch.cancel()
            await self._cancel_rest()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        if self._fault is not None:
            raise self._fault
        if self._cancelled:
            raise Cancelled
        self._record_missed()
        self._recorder.fold()
        return self._measurement(started)

    # -- closed loop ---------------------------------------------------------------------------

    def _start_callers(self, callers: int) -> None:
        # Callers that begin together would stay in step where calls take equally long.
        spread = min(STAGGER, self._plan.warm_up / 2)
        for index in range(callers):
            self._spawn(self._caller(spread * index / callers))

    async def _caller(self, after: float) -> None:
        if after > 0:
            await asyncio.sleep(after)
        now, origin, ended = self._timer.now, self._origin, self._ended
        call, add = self._pool.call, self._recorder.add
        stamps = CallStamps(now, origin)
        while not ended.is_set():
            stamps.clear()
            started = now() - origin
            self.in_system += 1
            self._balance -= started
            try:
                await call(stamps)
            except CallFailed as failure:
                released = now() - origin
                self.in_system -= 1
                self._balance += released
                self._failed(started, started, stamps, released, failure)
                await self._rest()
                continue
            except asyncio.CancelledError:
                self._unfinished(started, started, stamps)
                raise
            released = now() - origin
            self.in_system -= 1
            self._balance += released
            add(started, started, stamps, released, OK)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), BACK_OFF)

    # -- open loop -----------------------------------------------------------------------------

    async def _dispatch(self) -> None:
        timer, ended = self._timer, self._ended
        burst = 0
        for offset in self._schedule:
            self._next_due = offset
            due = self._origin + offset
            if offset >= self._plan.seconds:
                return
            if timer.now() < due:
                burst = 0
                await timer.wait_until(due)
            elif (burst := burst + 1) >= _BURST:
                # Behind schedule: let the calls that are under way have the loop for a turn.
                burst = 0
                await asyncio.sleep(0)
            if ended.is_set():
                return
            self._next_due = None
            self._spawn(self._one(offset), offset)

    async def _one(self, due: float) -> None:
        now, origin = self._timer.now, self._origin
        stamps = CallStamps(now, origin)
        started = now() - origin
        self.in_system += 1
        self._balance -= started
        failure: CallFailed | None = None
        try:
            await self._pool.call(stamps)
        except CallFailed as error:
            failure = error
        except asyncio.CancelledError:
            self._unfinished(due, started, stamps)
            raise
        released = now() - origin
        self.in_system -= 1
        self._balance += released
        if failure is None:
            self._recorder.add(due, started, stamps, released, OK)
        else:
            self._failed(due, started, stamps, released, failure)

    # -- both ----------------------------------------------------------------------------------

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Let a fault of the generator's own tasks end the trial instead of hanging it."""
        try:
            await work
        except Exception as fault:
            self._fault = self._fault or fault
            self._ended.set()

    def _spawn(self, work: Coroutine[object, object, None], due: float = 0.0) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = due
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            # A fault of an adapter or of user code, not an outcome: end the trial with it.
            self._fault = self._fault or fault
            self._ended.set()

    def _failed(
        self, due: float, started: float, stamps: CallStamps, released: float, failure: CallFailed
    ) -> None:
        self._recorder.add_failure(
            due,
            started,
            stamps,
            released,
            OUTCOME_CODES.get(failure.outcome, ERROR),
            failure.kind,
        )
        self._kinds[failure.kind] += 1
        if failure.kind in NO_CONNECTION:
            self._no_connection[failure.kind] += 1

    def _unfinished(self, due: float, started: float, stamps: CallStamps) -> None:
        self._recorder.add_failure(due, started, stamps, NEVER, UNFINISHED, "unfinished")

    async def _drain(self) -> None:
        self._ended.set()
        if not self._tasks or self._cancelled or self._stopped is not None:
            return
        finished = self._recorder.finished
        wait = asyncio.wait(list(self._tasks), timeout=self._plan.grace)
        draining = asyncio.ensure_future(wait)
        self._draining = draining
        await asyncio.wait({draining})
        if self._cancelled:
            return
        if self._tasks and self._recorder.finished == finished:
            self._stopped = silence(self._plan.grace, self.in_system)
            return
        at = self._timer.now() - self._origin
        try:
            # A short trial of slow calls learns most of them only now.
            self._check_brakes(at, 0.0, self._recorder.held_since(at - LATELY))
        except BrakeStop as stop:
            self._stopped = stop

    async def _cancel_rest(self) -> None:
        self._ended.set()
        # A task that is cancelled before its first step would leave no record.
        await asyncio.sleep(0)
        for _ in range(CANCEL_ROUNDS):
            rest = list(self._tasks)
            if not rest:
                return
            # Libraries shield the release of a connection, which a silent server never ends: a
            # second cancellation reaches past the shield.
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=CANCEL_SECONDS)
        for task, due in list(self._tasks.items()):
            # Deaf to cancellation. The record is written here, and what the task still does is
            # no longer looked at.
            task.remove_done_callback(self._finished)
            self._unfinished(due, due, CallStamps(self._timer.now, self._origin))
        self._tasks.clear()

    def _record_missed(self) -> None:
        """Calls that were due before the end and that a late generator did not start."""
        stamps = CallStamps(self._timer.now, self._origin)
        missed = () if self._next_due is None else (self._next_due,)
        for due in itertools.chain(missed, self._schedule):
            if due >= self._seconds:
                return
            self._unfinished(due, NEVER, stamps)

    async def _watch(self) -> None:
        """Sample the generator's own state, ask the brakes, tell of the progress."""
        plan, timer = self._plan, self._timer
        next_sample = 0.0
        next_report = PROGRESS_SECONDS
        last_calls, last_at, rate = 0, 0.0, 0.0
        while not self._ended.is_set():
            await asyncio.sleep(max(0.0, self._origin + next_sample - timer.now()))
            at = timer.now() - self._origin
            self._sample(at, at - next_sample)
            next_sample = max(next_sample + SAMPLE_SECONDS, at)
            is_report = at >= next_report
            calls = self._recorder.finished
            if is_report:
                rate = (calls - last_calls) / (at - last_at)
            # The percentile needs a look at the records, so it is asked for less often.
            held = self._recorder.held_since(at - LATELY) if is_report else NOBODY_LOOKED
            try:
                self._check_brakes(at, rate, held)
            except BrakeStop as stop:
                self._stopped = stop
                self._end_at(at)
                return
            if is_report:
                next_report = at + PROGRESS_SECONDS
                if self._on_progress is not None:
                    self._on_progress(at, calls, rate)
                last_calls, last_at = calls, at
                if at >= plan.warm_up + plan.min_seconds and self._has_enough(at):
                    self._end_at(at)
                    return
            if at >= plan.seconds:
                self._end_at(plan.seconds)
                return

    def _end_at(self, at: float) -> None:
        self._seconds = min(at, self._plan.seconds)
        self._ended.set()

    def _has_enough(self, at: float) -> bool:
        if self._is_enough is None:
            return False
        self._recorder.fold()
        return self._is_enough(self._recorder, at)

    def _check_brakes(self, at: float, rate: float, held: NDArray[np.float64]) -> None:
        recorder = self._recorder
        finished, failed = recorder.finished, recorder.failed.total()
        if finished - failed != self._succeeded:
            self._succeeded = finished - failed
            self._no_connection.clear()
        if finished != self._last_end[0] or self.in_system == 0:
            self._last_end = (finished, at)
        self._brakes.check(
            Counts(
                finished=finished,
                failed=failed,
                rejected=recorder.failed["rejected"],
                in_system=self.in_system,
                kinds=self._kinds,
                no_connection=self._no_connection,
                silent_for=at - self._last_end[1],
                held=held,
                connections=self._connections,
                rate=rate,
            )
        )

    def _sample(self, at: float, lag: float) -> None:
        statistics = self._pool.statistics()
        samples = self._samples
        samples.at.append(at)
        samples.area.append(self.in_system * at + self._balance)
        samples.cpu.append(time.process_time())
        samples.loop_lag.append(lag)
        samples.opened.append(statistics.connections_opened)
        samples.disconnects.append(statistics.disconnects)
        self._connections = statistics.in_use + statistics.idle

    def _measurement(self, started: str) -> Measurement:
        recorder, plan, samples = self._recorder, self._plan, self._samples
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
            samples=Samples(
                *(
                    np.asarray(column, dtype=np.float64)
                    for column in (
                        samples.at,
                        samples.area,
                        samples.cpu,
                        samples.loop_lag,
                        samples.opened,
                        samples.disconnects,
                    )
                )
            ),
            stopped=self._stopped.brake if self._stopped else None,
        )

    @property
    def stopped(self) -> BrakeStop | None:
        """The brake that ended the trial, if one did."""
        return self._stopped
