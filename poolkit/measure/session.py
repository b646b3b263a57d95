"""The load of one target in this process: checked before it, each trial on disk before the next."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from poolkit import events
from poolkit.analysis.checks import drift_check
from poolkit.analysis.disturbed import marked
from poolkit.analysis.limits import is_at_limit, turned_away
from poolkit.analysis.noise import EARLY_BATCH_HOLDS, rate_interval
from poolkit.analysis.state_curve import OF_THE_CLIENT
from poolkit.analysis.summary import summarise
from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.registry import dialled_by_need, gate_size, make_service_pool
from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError, Unreachable
from poolkit.events import Emit
from poolkit.load.arrivals import constant, steps
from poolkit.load.brakes import MOST_CALLS, Brakes, held_limit, out_of_calls
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement, part
from poolkit.load.recorder import Recorder
from poolkit.load.timer import best_timer
from poolkit.measure import verify
from poolkit.measure.approach import Strain
from poolkit.measure.at_limit import refused_at_open
from poolkit.measure.child import RESUMES
from poolkit.measure.loop import HUNG_SECONDS, Reason, run_until_over
from poolkit.measure.preflight import FirstCall, check_first_call, check_names, first_calls
from poolkit.measure.resume import counting, resumed
from poolkit.measure.starting import StartingService
from poolkit.measure.store import TrialLog, now
from poolkit.measure.sweep import NARROW, WARM_UP, TrialPlan, spent
from poolkit.records import CURVE_PURPOSES, Purpose, Trial
from poolkit.targets import Target

LEAST_GRACE = 5.0  # s
AFTER_REFUSALS = 0.5  # s before the next trial
GRACE_HOLDS = 3.0  # the same in hold times
LEAST_SHARE = 0.5  # of a closed loop's window, before its interval is checked

LastWords = Callable[[PoolkitError], object]


class Session:
    """Everything that sends load goes through here: a sweep, a lesson, the reader's own arrivals.

    State: the trials so far (resumed ones first), the calls of this run, the task and the generator
    under way, and why it was cancelled.

    Args:
        log: file that keeps the trials; finished ones of the same target in it are resumed.
        budget: s of load that may be sent.
        deadline: s after which the process must be over, whatever the target does.
        last_words: called with why, in a thread, before a process is ended whose loop stands still.
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
        self._log = TrialLog(log)
        self.trials = counting(self._log.resume(target.fingerprint), target)
        self.first_call = 0.0  # s that a single call took before there was load
        self._facts: dict[str, Any] = {}  # of the server, seen in that call; fields of a trial
        self._calls = 0
        self._task: asyncio.Task[ExitCode] | None = None
        self._generator: Generator | None = None
        self._starting: StartingService | None = None  # the latest cold start
        self._reason: Reason | None = None

    def carry_out(self, steps: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """One call to see whether the target answers, then the steps, which run trials.

        Raises:
            PoolkitError: it ended early; the finished trials are kept.
        """
        return run_until_over(
            self._run(steps),
            self._cancel,
            self._deadline,
            lambda reason: self._last_words(self._why_ended(reason, is_standing=True)),
        )

    async def _run(self, steps: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        self._task = asyncio.current_task()
        try:
            first = await self._first_call()
            self.first_call, self._facts = first.seconds, asdict(first.facts)
            self._emit(
                events.Started(
                    target=self._target.name,
                    driver=self._target.driver,
                    budget=self._budget,
                    at=now(),
                    resumed=resumed(self.trials),
                )
            )
            return await steps()
        except (asyncio.CancelledError, Cancelled):
            if self._reason is None:
                raise
            raise self._why_ended(self._reason, is_standing=False) from None

    def _cancel(self, reason: Reason) -> None:
        """End it, the finished trials kept."""
        self._reason = self._reason or reason
        if self._generator is not None:
            self._generator.cancel()
        elif self._task is not None:
            self._task.cancel()

    def _why_ended(self, reason: Reason, *, is_standing: bool) -> PoolkitError:
        """The error of an early end; `is_standing`: the loop hangs, and the process is ended."""
        if reason in ("signal", "parent"):
            return Cancelled()
        if reason == "deadline" and not is_standing:
            return BrakeStop(
                "deadline",
                f"not done after {self._deadline:.0f} s",
                "the endpoint is far slower than its first call; the same command resumes",
            )
        how = f" for {HUNG_SECONDS:g} s" if reason == "hung" else ", and the time was over"
        work = self._target.work
        return BrakeStop(
            reason,
            f"the event loop stood still{how}",
            "a look-up or a library blocked it; please report it where it happens again"
            if work is None
            else f"{work} blocks the event loop: await what it waits for, or move it to a thread "
            "with asyncio.to_thread",
        )

    async def run(
        self, plan: TrialPlan, seed: int, arrivals: Iterable[float] | None = None
    ) -> None:
        """Carry out one trial; raises `BrakeStop` after a brake ended it and it is on disk.

        Not where the server turned a part of the calls away and still answers: its limit is a
        finding like any other, and the trial names the brake in `stopped`.

        Args:
            arrivals: due times, in place of Poisson arrivals at the plan's rate.
        """
        if arrivals is None and plan.rate is not None:
            arrivals = _arrivals(plan, plan.rate, seed)
        load = Plan(
            seconds=plan.seconds,
            warm_up=plan.warm_up,
            min_seconds=0.0
            if plan.purpose == "approach"
            else LEAST_SHARE * (plan.seconds - plan.warm_up),
            grace=self._grace(),
            seed=seed,
            callers=plan.callers,
            arrivals=arrivals,
            arrival_rate=plan.rate,
        )
        if self.trials and turned_away(self.trials[-1:]):
            # Some servers count a connection until they have seen it close.
            await asyncio.sleep(AFTER_REFUSALS)
        self._raise_if_cancelled()
        self._emit(
            events.TrialStarted(
                target=self._target.name,
                purpose=plan.purpose,
                loop=load.loop,
                pool_size=plan.pool_size,
                arrival_rate=plan.rate,
                seconds=plan.seconds,
                because=plan.because,
            )
        )
        strain = self._strain(plan)
        try:
            measurement, stop = await self._load(plan, load, strain)
        except Unreachable as error:  # the first call went well: the server has changed
            stop = BrakeStop("refused", error.cause, f"{error.remedy}; {RESUMES}")
            if not await self._answers():
                raise stop from error
            measurement = refused_at_open(plan, load)
        phases: list[tuple[Measurement, Purpose]] = [(measurement, plan.purpose)]
        if plan.calm and stop is None:
            phases = _split(measurement, plan)
        for phase, purpose in phases:
            trial = self._summarised(phase, purpose, plan)
            if strain is not None and strain.seen is not None:
                trial = trial.model_copy(update={"cut_short": strain.seen})
            if trial.stopped == "refused" and await self._answers():
                # Dials are refused beside connections that are served: the server has no room.
                trial = trial.model_copy(update={"stopped": "rejected"})
            self._log.append(trial)
            self.trials[:] = marked([*self.trials, trial])
            self._emit(events.TrialDone(trial=trial))
        if stop is not None and not await self._is_finding(plan, stop):
            raise stop

    async def _answers(self) -> bool:
        """Whether the server that refused connections was seen to serve, and still takes one."""
        if not any(trial.outcomes.get("ok", 0) for trial in self.trials):
            return False
        try:
            await self._first_call()
        except PoolkitError:
            return False
        return True

    async def _first_call(self) -> FirstCall:
        """What one call to each address showed; they count like any other."""
        calls = first_calls(self._target)
        if calls > self._calls_left():
            raise out_of_calls(self._calls)
        self._calls += calls
        return await check_first_call(self._target)

    def _raise_if_cancelled(self) -> None:
        if self._reason is not None:
            raise Cancelled

    def _summarised(self, measured: Measurement, purpose: Purpose, plan: TrialPlan) -> Trial:
        trial = summarise(
            measured,
            target=self._target.name,
            driver=self._target.driver,
            fingerprint=self._target.fingerprint,
            purpose=purpose,
            pools=plan.pools,
            gate=gate_size(self._target, plan.pool_size) if plan.gated else None,
        ).model_copy(update=self._facts)
        if plan.cold is not None:
            return self._of_cold_start(trial, measured.seconds)
        if trial.loop == "open":
            late = verify.late_interval(measured, self._target.wait_p99)
            changes: dict[str, object] = {"late_interval95": late, "at_a_time": plan.at_a_time}
            if plan.at_a_time is not None:
                # Bursts are no steady process: what is left to doubt is this machine.
                changes["checks"] = tuple(c for c in trial.checks if c.name in OF_THE_CLIENT)
            return trial.model_copy(update=changes)
        if purpose != "sentinel":
            return trial
        checks = (*trial.checks, drift_check(trial, self.trials))
        return trial.model_copy(update={"checks": checks})

    def _strain(self, plan: TrialPlan) -> Strain | None:
        """What watches a step of the climb to the target rate."""
        if plan.purpose != "approach":
            return None
        light = next((t.mean_hold for t in self.trials if t.purpose == "approach"), None)
        return Strain(plan, light or None)

    async def _load(
        self, plan: TrialPlan, load: Plan, strain: Strain | None
    ) -> tuple[Measurement, BrakeStop | None]:
        # The climb has far more room than it needs: connections are dialled as they are needed.
        target = self._target if strain is None else dialled_by_need(self._target)
        pool = self._pool(target, plan, load.seed)
        is_enough: Callable[[Recorder, float], bool] | None = strain
        if plan.purpose in CURVE_PURPOSES:
            is_enough = partial(_is_narrow, plan.callers)
        timer = best_timer(asyncio.get_running_loop())
        # Collections pause the loop; what lives already need not be scanned again.
        gc.collect()
        gc.freeze()
        try:
            await check_names(self._target)
            await pool.open()
            generator = Generator(
                pool,
                load,
                timer,
                brakes=Brakes(
                    max_calls=self._calls_left(),
                    max_rate=self._target.max_rate,
                    max_connections=most_connections(self._target, plan),
                    max_held_p99=held_limit(self._target.response_p99),
                    work=self._target.work,
                ),
                is_enough=is_enough,
                on_progress=partial(self._report, plan),
            )
            self._raise_if_cancelled()
            self._generator = generator
            measurement, stop = await generator.run(), generator.stopped
            if stop is not None and stop.brake == "calls" and self._target.max_calls is not None:
                stop = out_of_calls(self._target.max_calls)  # over all trials
            return measurement, stop
        finally:
            if self._generator is not None:
                self._calls += self._generator.calls
            self._generator = None
            timer.close()
            gc.unfreeze()
            await close_pool(pool)

    def _pool(self, target: Target, plan: TrialPlan, seed: int) -> Pool:
        if plan.cold is None:
            return make_service_pool(
                target, plan.pool_size, pools=plan.pools, seed=seed, gated=plan.gated
            )
        self._starting = StartingService(target, plan, seed)
        self._calls += self._starting.warm_calls
        return self._starting

    def _of_cold_start(self, trial: Trial, seconds: float) -> Trial:
        """The trial with what the start was like; it is no evidence of the steady service."""
        assert self._starting is not None, "the trial ran"
        start = self._starting.start(seconds)
        changes = {"cold": start, "checks": (), "in_use": (), "late_interval95": None}
        return trial.model_copy(update=changes)

    async def _is_finding(self, plan: TrialPlan, stop: BrakeStop) -> bool:
        """Whether a trial that a brake ended tells something of a server that is well."""
        if plan.cold is None:
            return is_at_limit(self.trials[-1], self.trials[:-1])
        # A storm of dials that a server turns away is what a cold start is there to show.
        await asyncio.sleep(AFTER_REFUSALS)
        return stop.brake in ("refused", "rejected", "error_share") and await self._answers()

    def _calls_left(self) -> int:
        """Calls that the next trial may send; raises `BrakeStop` where that is none."""
        most = self._target.max_calls
        if most is None:
            return MOST_CALLS
        if self._calls >= most:
            raise out_of_calls(most)
        return min(MOST_CALLS, most - self._calls)

    def _grace(self) -> float:
        """Seconds that calls under way at a trial's end may take, by how long calls take here."""
        holds = [trial.hold_time.p99 or 0.0 for trial in self.trials]
        return max(LEAST_GRACE, GRACE_HOLDS * max([self.first_call, *holds]))

    def _report(self, plan: TrialPlan, at: float, calls: int, rate: float) -> None:
        self._emit(
            events.Progress(
                target=self._target.name,
                seconds=spent(self.trials) + at,
                budget=self._budget,
                pool_size=plan.pool_size,
                throughput=rate,
                calls=calls,
            )
        )


def most_connections(target: Target, plan: TrialPlan) -> int:
    """Connections that a trial may have open at once.

    aiohttp's `limit` counts those in use: idle ones to another host come on top, within max_size.
    """
    asked = plan.pools * plan.pool_size
    return max(asked, min(asked * target.origins, target.max_size))


def _arrivals(plan: TrialPlan, rate: float, seed: int) -> Iterator[float]:
    """Poisson arrivals at the plan's rate, and less in its calm; the window has its exact rate.

    Where calls are due together they are evenly spaced instead.
    """
    if plan.at_a_time is not None:
        return constant(rate, plan.seconds, plan.at_a_time)
    phases = [(rate, plan.warm_up), (rate, plan.seconds - plan.warm_up - plan.calm)]
    if plan.calm:
        phases.append((verify.calm_rate(rate), plan.calm))
    return steps(phases, seed)


def _split(measurement: Measurement, plan: TrialPlan) -> list[tuple[Measurement, Purpose]]:
    """An overload and the calm after it as two measurements; between them the queue drains."""
    rate = plan.rate or 0.0
    turn = plan.seconds - plan.calm
    settled = turn + verify.SETTLED * plan.calm
    return [
        (part(measurement, plan.warm_up, turn, rate), "overload"),
        (part(measurement, settled, plan.seconds, verify.calm_rate(rate)), "recovery"),
    ]


def _is_narrow(callers: int | None, recorder: Recorder, at: float) -> bool:
    """Whether a closed loop's throughput is known well enough to go on to the next size."""
    width = recorder.bin_seconds
    bins = int(at / width)
    first = min(bins, int(WARM_UP / width))
    completions = recorder.completions[first:bins].astype(float)
    served = float(completions.sum())
    if served == 0 or callers is None:
        return False
    # Little's Law gives the hold time; batches shorter than a few of it look too sure.
    hold = callers * (bins - first) * width / served
    interval = rate_interval(completions, width, EARLY_BATCH_HOLDS * hold)
    if interval is None:
        return False
    low, high = interval
    return (high - low) / 2 <= NARROW * (low + high) / 2
