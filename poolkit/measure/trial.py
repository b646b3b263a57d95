"""One trial carried out: pool opened, load sent, summed up, written to disk, told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, replace

from poolkit import events
from poolkit.analysis.checks import drift_check
from poolkit.analysis.noise import EARLY_BATCH_HOLDS, rate_interval
from poolkit.analysis.summary import summarise
from poolkit.drivers.base import Pool, close_pool
from poolkit.errors import BrakeStop, Cancelled, Unreachable
from poolkit.events import Emit
from poolkit.load.brakes import MOST_CALLS, Brakes, held_limit, out_of_calls
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement, part
from poolkit.load.recorder import Recorder
from poolkit.load.timer import best_timer
from poolkit.measure import verify
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import NARROW, WARM_UP, spent
from poolkit.records import CURVE_PURPOSES, Purpose, Trial
from poolkit.targets import Target

LEAST_GRACE = 5.0  # s
GRACE_HOLDS = 3.0  # the same in hold times


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """What to run: load for a pool, and what the trial's record says of it.

    `calm` is the last part (s) of an overload, at half the target rate: it becomes a trial of its
    own.
    """

    pool: Pool
    plan: Plan
    purpose: Purpose
    pool_size: int
    because: str
    pools: int = 1
    gate: int | None = None
    calm: float = 0.0


class TrialRunner:
    """Runs the trials of one target, one after the other.

    State: the trials so far (resumed ones first), the generator of the one under way, and whether
    it was cancelled.
    """

    def __init__(self, target: Target, log: TrialLog, emit: Emit, budget: float) -> None:
        self._target = target
        self._log = log
        self._emit = emit
        self._budget = budget
        # A trial that a brake ended is measured again: the endpoint may be well by now.
        self.trials = [t for t in log.resume(target.fingerprint) if t.stopped is None]
        self.first_call = 0.0  # s that a single call took before there was load
        self._sent = 0  # calls of this run
        self._generator: Generator | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """End the trial under way; the next one raises `Cancelled`."""
        self._cancelled = True
        if self._generator is not None:
            self._generator.cancel()

    @property
    def is_loading(self) -> bool:
        """Whether load is being sent, so that `cancel` reaches it."""
        return self._generator is not None

    async def run(self, order: TrialOrder) -> None:
        """Carry out one trial; raises `BrakeStop` after a brake ended it and it is on disk."""
        if self._cancelled:
            raise Cancelled
        self._emit(
            events.TrialStarted(
                target=self._target.name,
                purpose=order.purpose,
                loop=order.plan.loop,
                pool_size=order.pool_size,
                arrival_rate=order.plan.arrival_rate,
                seconds=order.plan.seconds,
                because=order.because,
            )
        )
        measurement, stop = await self._load(order)
        phases = [(measurement, order.purpose)]
        if order.calm and stop is None:
            phases = _split(measurement, order)
        for phase, purpose in phases:
            self._keep(self._summarised(phase, purpose, order))
        if stop is not None:
            raise stop

    def _summarised(self, measured: Measurement, purpose: Purpose, order: TrialOrder) -> Trial:
        trial = summarise(
            measured,
            target=self._target.name,
            driver=self._target.driver,
            fingerprint=self._target.fingerprint,
            purpose=purpose,
            pools=order.pools,
            gate=order.gate,
        )
        if trial.loop == "open":
            late = verify.late_interval(measured, self._target.wait_p99)
            return trial.model_copy(update={"late_interval95": late})
        if purpose != "sentinel":
            return trial
        checks = (*trial.checks, drift_check(trial, self.trials))
        return trial.model_copy(update={"checks": checks})

    def _keep(self, trial: Trial) -> None:
        self._log.append(trial)
        self.trials.append(trial)
        self._emit(events.TrialDone(trial=trial))

    async def _load(self, order: TrialOrder) -> tuple[Measurement, BrakeStop | None]:
        timer = best_timer(asyncio.get_running_loop())
        # Collections pause the loop; what lives already need not be looked at again.
        gc.collect()
        gc.freeze()
        try:
            await _open(order.pool)
            is_curve = order.purpose in CURVE_PURPOSES
            generator = Generator(
                order.pool,
                replace(order.plan, grace=self._grace()),
                timer,
                brakes=Brakes(
                    max_calls=self._calls_left(),
                    max_rate=self._target.max_rate,
                    max_connections=_most_connections(self._target, order),
                    max_held_p99=held_limit(self._target.response_p99),
                    work=self._target.work,
                ),
                is_enough=_is_narrow(order.plan.callers) if is_curve else None,
                on_progress=self._reporter(order.pool_size),
            )
            if self._cancelled:
                raise Cancelled
            self._generator = generator
            return await generator.run(), generator.stopped
        finally:
            if self._generator is not None:
                self._sent += self._generator.calls
            self._generator = None
            timer.close()
            gc.unfreeze()
            await close_pool(order.pool)

    def _calls_left(self) -> int:
        """Calls that the next trial may send; raises `BrakeStop` where that is none."""
        most = self._target.max_calls
        if most is None:
            return MOST_CALLS
        if self._sent >= most:
            raise out_of_calls(most)
        return min(MOST_CALLS, most - self._sent)

    def _grace(self) -> float:
        """Seconds that calls under way at a trial's end may take, by how long calls take here."""
        holds = [trial.hold_time.p99 or 0.0 for trial in self.trials]
        return max(LEAST_GRACE, GRACE_HOLDS * max([self.first_call, *holds]))

    def _reporter(self, pool_size: int) -> Callable[[float, int, float], None]:
        before = spent(self.trials)

        def report(at: float, calls: int, rate: float) -> None:
            self._emit(
                events.Progress(
                    target=self._target.name,
                    seconds=before + at,
                    budget=self._budget,
                    pool_size=pool_size,
                    throughput=rate,
                    calls=calls,
                )
            )

        return report


def _most_connections(target: Target, order: TrialOrder) -> int:
    """Connections that may be open at once.

    aiohttp's `limit` counts those in use: idle ones to another host come on top, within max_size.
    """
    asked = order.pools * order.pool_size
    return max(asked, min(asked * target.origins, target.max_size))


async def _open(pool: Pool) -> None:
    """Open a trial's pool; the first call went well, so a refusal is the server's change."""
    try:
        await pool.open()
    except Unreachable as error:
        remedy = f"{error.remedy}; the same command resumes from the finished trials"
        raise BrakeStop("refused", error.cause, remedy) from error


def _split(measurement: Measurement, order: TrialOrder) -> list[tuple[Measurement, Purpose]]:
    """An overload and the calm after it as two measurements; between them the queue drains."""
    plan = order.plan
    rate = plan.arrival_rate or 0.0
    turn = plan.seconds - order.calm
    settled = turn + verify.SETTLED * order.calm
    return [
        (part(measurement, plan.warm_up, turn, rate), "overload"),
        (part(measurement, settled, plan.seconds, verify.calm_rate(rate)), "recovery"),
    ]


def _is_narrow(callers: int | None) -> Callable[[Recorder, float], bool]:
    """Whether a closed loop's throughput is known well enough to go on to the next size."""

    def is_narrow(recorder: Recorder, at: float) -> bool:
        bins = int(at / recorder.bin_seconds)
        first = min(bins, int(WARM_UP / recorder.bin_seconds))
        completions = recorder.completions[first:bins].astype(float)
        served = float(completions.sum())
        if served == 0 or callers is None:
            return False
        # Little's Law gives the hold time; batches shorter than a few of it look too sure.
        hold = callers * (bins - first) * recorder.bin_seconds / served
        interval = rate_interval(completions, recorder.bin_seconds, EARLY_BATCH_HOLDS * hold)
        if interval is None:
            return False
        middle = (interval[0] + interval[1]) / 2
        return (interval[1] - interval[0]) / 2 <= NARROW * middle

    return is_narrow
