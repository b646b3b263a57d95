"""The load of one target in this process: checked before it, each trial on disk before the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from poolkit import events
from poolkit.analysis.checks import drift_check
from poolkit.analysis.cold import cold_start
from poolkit.analysis.disturbed import marked
from poolkit.analysis.generators import of_generators
from poolkit.analysis.limits import is_at_limit, turned_away
from poolkit.analysis.replicas import replica_change
from poolkit.analysis.state_curve import OF_THE_CLIENT
from poolkit.analysis.summary import summarise
from poolkit.drivers.registry import gate_size
from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError, Unreachable
from poolkit.events import Emit
from poolkit.load.brakes import MOST_CALLS, out_of_calls
from poolkit.load.measurement import Measurement, part
from poolkit.load.together import Part
from poolkit.measure import verify
from poolkit.measure.at_limit import refused_at_open
from poolkit.measure.child import RESUMES
from poolkit.measure.generating import (
    Load,
    LostGenerators,
    Sent,
    Source,
    ThisProcess,
    most_connections,
)
from poolkit.measure.loop import HUNG_SECONDS, Reason, run_until_over
from poolkit.measure.preflight import FirstCall, check_first_call, check_room, first_calls
from poolkit.measure.resume import counting, resumed
from poolkit.measure.server_side import ServerWatch
from poolkit.measure.store import TrialLog, now
from poolkit.measure.sweep import TrialPlan, spent
from poolkit.records import APART, Purpose, Trial
from poolkit.targets import Target

LEAST_GRACE = 5.0  # s
AFTER_REFUSALS = 0.5  # s before the next trial
GRACE_HOLDS = 3.0  # the same in hold times
TRIES = 3  # of a trial whose generators are lost

LastWords = Callable[[PoolkitError], object]


class Session:
    """Everything that sends load goes through here: a sweep, a lesson, the reader's own arrivals.

    State: the trials so far (resumed ones first), the calls of this run, the task, whether load is
    under way, and why it was cancelled.

    Args:
        log: file that keeps the trials; finished ones of the same target in it are resumed.
        budget: s of load that may be sent.
        deadline: s after which the process must be over, whatever the target does.
        last_words: called with why, in a thread, before a process is ended whose loop stands still.
        source: where load comes from; None: this process.
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
        source: Source | None = None,
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
        self._watch: ServerWatch  # known with them
        self._calls = 0
        self._task: asyncio.Task[ExitCode] | None = None
        self._source = source or ThisProcess()
        self._sending: Source | None = None  # what sends right now
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
            check_room(self._target, first)
            self.first_call, self._facts = first.seconds, asdict(first.facts)
            self._watch = ServerWatch(self._target, first.facts.pooler)
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
        finally:
            await self._source.close()

    def _cancel(self, reason: Reason) -> None:
        """End it, the finished trials kept."""
        self._reason = self._reason or reason
        if self._sending is not None:
            self._sending.cancel()
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
        if self.trials and turned_away(self.trials[-1:]):
            # Some servers count a connection until they have seen it close.
            await asyncio.sleep(AFTER_REFUSALS)
        self._raise_if_cancelled()
        load = Load(plan, seed, self._grace(), self._calls_left(), self._light(), arrivals=arrivals)
        self._emit(
            events.TrialStarted(
                target=self._target.name,
                purpose=plan.purpose,
                loop=load.as_plan.loop,
                pool_size=plan.pool_size,
                arrival_rate=plan.rate,
                seconds=plan.seconds,
                because=plan.because,
            )
        )
        try:
            async with self._watch.beside(most_connections(self._target, plan)):
                sent = await self._send_whole(load)
        except Unreachable as error:  # the first call went well: the server has changed
            stop = BrakeStop("refused", error.cause, f"{error.remedy}; {RESUMES}")
            if not await self._answers():
                raise stop from error
            sent = Sent(refused_at_open(plan, load.as_plan), stop)
        phases: list[tuple[Measurement, Purpose]] = [(sent.measurement, plan.purpose)]
        if plan.calm and sent.stop is None:
            phases = _split(sent.measurement, plan)
        for phase, purpose in phases:
            trial = self._summarised(phase, purpose, plan, sent)
            seen = await self._watch.seen(phase, trial)
            trial = trial.model_copy(update={"server_side": seen})
            if sent.strain is not None:
                trial = trial.model_copy(update={"cut_short": sent.strain})
            if trial.stopped == "refused" and await self._answers():
                # Dials are refused beside connections that are served: the server has no room.
                trial = trial.model_copy(update={"stopped": "rejected"})
            self._log.append(trial)
            self.trials[:] = marked([*self.trials, trial])
            self._emit(events.TrialDone(trial=trial))
        if sent.stop is not None and not await self._is_finding(sent.stop):
            raise sent.stop

    async def _is_finding(self, stop: BrakeStop) -> bool:
        """Whether the trial that a brake ended tells something of a server that is well."""
        if self.trials[-1].purpose not in APART:
            return is_at_limit(self.trials[-1], self.trials[:-1])
        # A storm of dials that a server turns away is what such a trial is there to show.
        await asyncio.sleep(AFTER_REFUSALS)
        return stop.brake in ("refused", "rejected", "error_share") and await self._answers()

    async def _answers(self) -> bool:
        """Whether the server that refused connections was seen to serve, and still takes one."""
        if not any(trial.outcomes.get("ok", 0) for trial in self.trials):
            return False
        try:
            # A server whose connections others took has no limit of its own to tell.
            check_room(self._target, await self._first_call())
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

    def _summarised(
        self, measured: Measurement, purpose: Purpose, plan: TrialPlan, sent: Sent
    ) -> Trial:
        trial = summarise(
            measured,
            target=self._target.name,
            driver=self._target.driver,
            fingerprint=self._target.fingerprint,
            purpose=purpose,
            pools=plan.pools,
            gate=gate_size(self._target, plan.pool_size) if plan.gated else None,
        ).model_copy(update=self._facts)
        trial = of_generators(trial, _parts(sent, purpose, plan), calm=bool(plan.calm))
        changes: dict[str, object]
        if plan.change is not None and (purpose == "lost_replica" or purpose == "surge"):
            changes = {
                "change": replica_change(purpose, measured, plan.change, plan.warm_up),
                # Nor is it steady: what is left to doubt is who sent the load.
                "checks": tuple(c for c in trial.checks if c.name in {*OF_THE_CLIENT, "shares"}),
                "in_use": (),
            }
            return trial.model_copy(update=changes)
        if plan.cold is not None and sent.start is not None:
            # It says nothing of a service that is up.
            start = cold_start(plan.cold, sent.start)
            changes = {"cold": start, "checks": (), "in_use": ()}
            return trial.model_copy(update=changes)
        if trial.loop == "open":
            late = verify.late_interval(measured, self._target.wait_p99)
            changes = {"late_interval95": late, "at_a_time": plan.at_a_time}
            if plan.at_a_time is not None:
                # Bursts are no steady process: what is left to doubt is this machine.
                changes["checks"] = tuple(c for c in trial.checks if c.name in OF_THE_CLIENT)
            return trial.model_copy(update=changes)
        if purpose != "sentinel":
            return trial
        checks = (*trial.checks, drift_check(trial, self.trials))
        return trial.model_copy(update={"checks": checks})

    def _light(self) -> float | None:
        """Mean hold (s) at the first step of the climb to the target rate."""
        return next((t.mean_hold for t in self.trials if t.purpose == "approach"), None) or None

    async def _send_whole(self, load: Load) -> Sent:
        """Send it, anew where a generator was lost: what the others did is on disk, and no more.

        Raises:
            BrakeStop: generators were lost every time.
        """
        for left in reversed(range(TRIES)):
            self._raise_if_cancelled()
            try:
                sent = await self._send(load)
            except LostGenerators as lost:
                stop: BrakeStop = lost
            else:
                if not sent.lost:
                    return sent
                trial = self._summarised(sent.measurement, load.plan.purpose, load.plan, sent)
                self._log.append(trial.model_copy(update={"stopped": "generators"}))
                stop = LostGenerators(sent.lost)
            if not left:
                raise stop
            what = f"{stop.seen}: the trial is measured again"
            self._emit(events.Step(target=self._target.name, what=what, limit=0.0))
            load = replace(load, max_calls=self._calls_left())
        raise AssertionError("the last try returns or raises")

    async def _send(self, load: Load) -> Sent:
        self._raise_if_cancelled()
        self._sending = self._source
        try:
            sent = await self._source.send(self._target, load, partial(self._report, load.plan))
        finally:
            self._sending = None
            self._calls += self._source.calls
        if sent.stop is not None and sent.stop.brake == "calls":
            most = self._target.max_calls  # over all trials
            return sent if most is None else replace(sent, stop=out_of_calls(most))
        return sent

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


def _parts(sent: Sent, purpose: Purpose, plan: TrialPlan) -> Mapping[str, Part]:
    """What each generator of a fleet measured of this phase of the trial."""
    if not plan.calm or sent.stop is not None:
        return sent.parts
    found = {}
    for name, whole in sent.parts.items():
        own = replace(plan, rate=whole.measurement.arrival_rate)
        phases = {of: phase for phase, of in _split(whole.measurement, own)}
        found[name] = replace(whole, measurement=phases[purpose])
    return found


def _split(measurement: Measurement, plan: TrialPlan) -> list[tuple[Measurement, Purpose]]:
    """An overload and the calm after it as two measurements; between them the queue drains."""
    rate = plan.rate or 0.0
    turn = plan.seconds - plan.calm
    settled = turn + verify.SETTLED * plan.calm
    return [
        (part(measurement, plan.warm_up, turn, rate), "overload"),
        (part(measurement, settled, plan.seconds, verify.calm_rate(rate)), "recovery"),
    ]
