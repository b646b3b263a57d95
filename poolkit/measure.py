"""All the load of one target, in this process: sweep, sizing, verification, told as events.

Decisions are made elsewhere, in pure functions; this runner only carries them out, one trial after
the other, each on disk before the next begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from poolkit import events, sweep, verify
from poolkit.analysis.batch_means import rate_interval
from poolkit.analysis.drift import drift_check
from poolkit.analysis.objective import Objective
from poolkit.analysis.sizing import size
from poolkit.analysis.summary import BATCH_HOLDS, summarise
from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError
from poolkit.events import Event
from poolkit.load.arrivals import steps
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement, part
from poolkit.load.recorder import Recorder
from poolkit.load.timer import best_timer
from poolkit.pools.base import Pool
from poolkit.pools.registry import gate_size, make_pool, make_service_pool
from poolkit.preflight import check_descriptors, check_first_call
from poolkit.recommend import recommend
from poolkit.records import CURVE_PURPOSES, Purpose, Sizing, Sweep, Trial
from poolkit.redact import Redactor
from poolkit.store import TrialLog, prepare_out, write_atomic
from poolkit.targets import Target
from poolkit.watchdog import Watchdog

Mode = Literal["sweep", "size"]
Emit = Callable[[Event], None]

SWEEP_BUDGET = 20.0  # s of load
SIZE_BUDGET = 45.0  # s of load, verification included
SWEEP_SHARE = 0.5  # of a size budget
SEED = 20_260_101


def measure(
    target: Target,
    *,
    out: Path,
    mode: Mode,
    emit: Emit,
    sizes: tuple[int, ...] | None = None,
    budget: float | None = None,
    seed: int = SEED,
) -> ExitCode:
    """Measure one target and return the exit code; every outcome is told through `emit`.

    Args:
        out: folder for NAME.trials.jsonl and NAME.sizing.json; finished trials in it are resumed.
        mode: `sweep` ends with the sizing, `size` goes on to verification and recommendation.
        sizes: pool sizes to measure instead of choosing them.
        budget: s of load in all.
    """
    redact = Redactor(target.secrets).text

    def fail(error: PoolkitError) -> ExitCode:
        code = error.exit_code
        emit(
            events.Failed(
                target=target.name,
                cause=redact(error.cause),
                remedy=redact(error.remedy),
                exit_code=code,
            )
        )
        return code

    try:
        prepare_out(out)
        check_descriptors(target)
        run = _Run(target, out, mode, emit, sizes, budget, seed)
        code = _on_event_loop(run)
    except PoolkitError as error:
        code = fail(error)
    emit(events.Done(target=target.name, exit_code=code))
    return code


def _on_event_loop(run: _Run) -> ExitCode:
    """Run on uvloop where it is installed; signals and the watchdog cancel the run."""
    try:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    except ImportError:
        loop = asyncio.new_event_loop()
    watchdog = Watchdog(
        lambda: loop.call_soon_threadsafe(run.cancel), run.deadline, ExitCode.CANCELLED
    )
    try:
        asyncio.set_event_loop(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            # Only the main thread may take signals; tests run elsewhere too.
            with contextlib.suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, run.cancel)
        watchdog.start()
        return loop.run_until_complete(run.run())
    finally:
        watchdog.finish()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)


class _Run:
    """One target's measurement.

    State: the trials so far (resumed ones first), the generator of the trial under way, and whether
    it was cancelled.
    """

    def __init__(
        self,
        target: Target,
        out: Path,
        mode: Mode,
        emit: Emit,
        sizes: tuple[int, ...] | None,
        budget: float | None,
        seed: int,
    ) -> None:
        self._target = target
        self._mode = mode
        self._emit = emit
        self._seed = seed
        self._out = out
        self._budget = budget or (SIZE_BUDGET if mode == "size" else SWEEP_BUDGET)
        self._objective = Objective.of_target(target)
        self._limits = sweep.SweepLimits(
            max_size=target.max_size,
            budget=self._budget * (SWEEP_SHARE if mode == "size" else 1.0),
            sizes=sizes,
            seed=seed,
        )
        self._log = TrialLog(out / f"{target.name}.trials.jsonl")
        self._trials: list[Trial] = self._log.resume(target.fingerprint)
        self._generator: Generator | None = None
        self._task: asyncio.Task[ExitCode] | None = None
        self._cancelled = False

    @property
    def deadline(self) -> float:
        """Seconds after which the process must be over, whatever the target does."""
        return 3.0 * self._budget + 120.0

    def cancel(self) -> None:
        """End the measurement; the finished trials are kept."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._generator is not None:
            self._generator.cancel()
        elif self._task is not None:
            self._task.cancel()

    async def run(self) -> ExitCode:
        """Sweep, size, verify."""
        self._task = asyncio.current_task()
        try:
            return await self._all()
        except asyncio.CancelledError:
            if self._cancelled:
                raise Cancelled from None
            raise

    async def _all(self) -> ExitCode:
        await check_first_call(self._target)
        self._emit(
            events.Started(
                target=self._target.name,
                driver=self._target.driver,
                budget=self._budget,
                resumed_trials=len(self._trials),
            )
        )
        stop: BrakeStop | None = None
        try:
            await self._sweep()
        except BrakeStop as brake:
            stop = brake
        sizing = self._size(stop)
        if self._mode == "sweep":
            if stop is not None:
                raise stop
            return ExitCode.OUT_OF_REACH if sizing.out_of_reach else ExitCode.DONE
        if stop is None:
            try:
                await self._verify(sizing)
            except BrakeStop as brake:
                stop = brake
        return self._recommend(sizing, stop)

    # -- the three steps ----------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            self._check_cancelled()
            plan = sweep.next_trial(self._curve(), self._objective, self._limits)
            if plan is None:
                return
            await self._trial(
                make_pool(self._target, plan.pool_size),
                Plan(
                    seconds=plan.seconds,
                    warm_up=plan.warm_up,
                    min_seconds=0.5 * (plan.seconds - plan.warm_up),
                    seed=self._seed + len(self._trials),
                    callers=plan.pool_size,
                ),
                plan.purpose,
                plan.pool_size,
                plan.because,
            )

    def _size(self, stop: BrakeStop | None) -> Sizing:
        stopped = None if stop is None else f"{stop.brake}: {stop.seen}"
        trials = tuple(self._curve())
        sizing = size(
            Sweep(target=self._target.name, trials=trials, stopped=stopped), self._objective
        )
        path = self._out / f"{self._target.name}.sizing.json"
        write_atomic(path, sizing.model_dump_json(indent=1) + "\n")
        self._emit(events.Sized(sizing=sizing))
        return sizing

    async def _verify(self, sizing: Sizing) -> None:
        while True:
            self._check_cancelled()
            plan = verify.next_trial(
                self._trials,
                self._objective,
                sizing,
                most=max(1, self._objective.largest),
                left=self._budget - sweep.spent(self._trials),
                gate=gate_size(self._target, 1) is not None,
            )
            if plan is None:
                return
            seed = self._seed + len(self._trials)
            pool = make_service_pool(
                self._target, plan.pool_size, pools=plan.pools, seed=seed, gated=plan.gated
            )
            await self._trial(
                pool,
                Plan(
                    seconds=plan.seconds,
                    warm_up=plan.warm_up,
                    seed=seed,
                    callers=plan.callers,
                    arrivals=None if plan.rate is None else _arrivals(plan, plan.rate, seed),
                    arrival_rate=plan.rate,
                ),
                plan.purpose,
                plan.pool_size,
                plan.because,
                pools=plan.pools,
                gate=gate_size(self._target, plan.pool_size) if plan.gated else None,
                calm=plan.calm,
            )

    def _recommend(self, sizing: Sizing, stop: BrakeStop | None) -> ExitCode:
        verification = chosen = None
        if sizing.size is not None:
            chosen = verify.chosen_size(self._trials, self._objective, sizing)
            verification = verify.verification(self._trials, chosen, self._objective, sizing)
        recommendation = recommend(
            self._target,
            sizing,
            verification,
            tuple(self._trials),
            status="done" if stop is None else "stopped",
            seconds=sweep.spent(self._trials),
            size=chosen,
            because="" if stop is None else stop.cause,
            remedy="" if stop is None else stop.remedy,
        )
        self._emit(events.Recommended(recommendation=recommendation))
        if stop is not None:
            raise stop
        if sizing.out_of_reach:
            return ExitCode.OUT_OF_REACH
        held = verification is not None and all(
            signal.passed for signal in verification.signals if signal.name == "wait_near_zero"
        )
        return ExitCode.DONE if held else ExitCode.FINDINGS

    # -- one trial ----------------------------------------------------------------------------

    async def _trial(
        self,
        pool: Pool,
        plan: Plan,
        purpose: Purpose,
        pool_size: int,
        because: str,
        *,
        pools: int = 1,
        gate: int | None = None,
        calm: float = 0.0,
    ) -> None:
        name = self._target.name
        self._emit(
            events.TrialStarted(
                target=name,
                purpose=purpose,
                loop=plan.loop,
                pool_size=pool_size,
                arrival_rate=plan.arrival_rate,
                seconds=plan.seconds,
                because=because,
            )
        )
        before = sweep.spent(self._trials)

        def report(at: float, calls: int, rate: float) -> None:
            self._emit(
                events.Progress(
                    target=name,
                    seconds=before + at,
                    budget=self._budget,
                    pool_size=pool_size,
                    throughput=rate,
                    calls=calls,
                )
            )

        measurement, stop = await self._load(pool, plan, purpose, report)
        phases: list[tuple[Measurement, Purpose]] = [(measurement, purpose)]
        if calm and stop is None:
            phases = _split(measurement, plan, calm)
        for phase, why in phases:
            trial = summarise(
                phase,
                target=name,
                driver=self._target.driver,
                fingerprint=self._target.fingerprint,
                purpose=why,
                pools=pools,
                gate=gate,
            )
            if why == "sentinel":
                drift = drift_check(trial, self._trials)
                trial = trial.model_copy(update={"checks": (*trial.checks, drift)})
            self._log.append(trial)
            self._trials.append(trial)
            self._emit(events.TrialDone(trial=trial))
        if stop is not None:
            raise stop

    async def _load(
        self,
        pool: Pool,
        plan: Plan,
        purpose: Purpose,
        report: Callable[[float, int, float], None],
    ) -> tuple[Measurement, BrakeStop | None]:
        timer = best_timer(asyncio.get_running_loop())
        # Collections pause the loop; what lives already need not be looked at again.
        gc.collect()
        gc.freeze()
        await pool.open()
        try:
            self._generator = Generator(
                pool,
                plan,
                timer,
                is_enough=_is_narrow(plan.callers) if purpose in CURVE_PURPOSES else None,
                on_progress=report,
            )
            self._check_cancelled()
            measurement = await self._generator.run()
            return measurement, self._generator.stopped
        finally:
            self._generator = None
            await pool.close()
            timer.close()
            gc.unfreeze()

    # -- small things -------------------------------------------------------------------------

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled

    def _curve(self) -> list[Trial]:
        return [trial for trial in self._trials if trial.is_of_curve]


def _arrivals(plan: verify.VerifyPlan, rate: float, seed: int) -> Iterator[float]:
    """Poisson arrivals at the plan's rate, and at half the target rate in its calm."""
    loud = (rate, plan.seconds - plan.calm)
    return steps([loud, (rate / verify.OVERLOAD / 2.0, plan.calm)] if plan.calm else [loud], seed)


def _split(measurement: Measurement, plan: Plan, calm: float) -> list[tuple[Measurement, Purpose]]:
    """An overload and the calm after it as two measurements; between them the queue drains."""
    rate = plan.arrival_rate or 0.0
    turn = plan.seconds - calm
    settled = turn + verify.SETTLED * calm
    half = rate / verify.OVERLOAD / 2.0
    return [
        (part(measurement, plan.warm_up, turn, rate), "overload"),
        (part(measurement, settled, plan.seconds, half), "recovery"),
    ]


def _is_narrow(callers: int | None) -> Callable[[Recorder, float], bool]:
    """Whether a closed loop's throughput is known well enough to go on to the next size."""

    def is_narrow(recorder: Recorder, at: float) -> bool:
        bins = int(at / recorder.bin_seconds)
        first = min(bins, int(sweep.WARM_UP / recorder.bin_seconds))
        completions = recorder.completions[first:bins].astype(float)
        served = float(completions.sum())
        if served == 0 or callers is None:
            return False
        # Little's Law gives the hold time; batches shorter than a few of it look too sure.
        hold = callers * (bins - first) * recorder.bin_seconds / served
        interval = rate_interval(completions, recorder.bin_seconds, BATCH_HOLDS * hold)
        if interval is None:
            return False
        middle = (interval[0] + interval[1]) / 2
        return (interval[1] - interval[0]) / 2 <= sweep.NARROW * middle

    return is_narrow
