"""The three steps of one target's measurement: sweep, size, verify."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from poolkit import events
from poolkit.analysis.sizing import size
from poolkit.drivers.registry import gate_size, make_pool, make_service_pool
from poolkit.errors import BrakeStop, Cancelled, ExitCode
from poolkit.load.arrivals import steps
from poolkit.load.generator import Plan
from poolkit.measure import sweep, verify
from poolkit.measure.emit import Emit
from poolkit.measure.preflight import check_first_call
from poolkit.measure.store import TrialLog, write_atomic
from poolkit.measure.trial import TrialOrder, TrialRunner
from poolkit.measure.watchdog import Reason
from poolkit.recommend import recommend
from poolkit.records import Sizing, Sweep, Trial
from poolkit.targets import Target

Mode = Literal["sweep", "size"]

SWEEP_BUDGET = 20.0  # s of load
SIZE_BUDGET = 45.0  # s of load, verification included
SWEEP_SHARE = 0.45  # of a size budget
SEED = 20_260_101


class Run:
    """One target's measurement: asks the pure deciders what comes next until they have enough.

    Args:
        sizes: pool sizes to measure instead of choosing them.
        budget: s of load in all; None for the mode's own.
    """

    def __init__(
        self,
        target: Target,
        out: Path,
        mode: Mode,
        emit: Emit,
        *,
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
        self._objective = target
        self._limits = sweep.SweepLimits(
            max_size=target.max_size,
            budget=self._budget * (SWEEP_SHARE if mode == "size" else 1.0),
            sizes=sizes,
            seed=seed,
        )
        log = TrialLog(out / f"{target.name}.trials.jsonl")
        self._runner = TrialRunner(target, log, emit, self._budget)
        self._task: asyncio.Task[ExitCode] | None = None
        self._cancelled = False
        self._is_late = False

    @property
    def deadline(self) -> float:
        """Seconds after which the process must be over, whatever the target does."""
        return 3.0 * self._budget + 120.0

    def cancel(self, reason: Reason | None = None) -> None:
        """End the measurement, the finished trials kept; `reason` None: somebody asked for it."""
        self._cancelled = True
        self._is_late = self._is_late or reason == "deadline"
        was_loading = self._runner.is_loading
        self._runner.cancel()
        if not was_loading and self._task is not None:
            self._task.cancel()

    async def run(self) -> ExitCode:
        """Sweep, size, verify; raises `BrakeStop` and `Cancelled` with what was measured kept."""
        self._task = asyncio.current_task()
        try:
            return await self._steps()
        except (asyncio.CancelledError, Cancelled):
            if self._is_late:
                raise BrakeStop(
                    "deadline",
                    f"not done after {self.deadline:.0f} s",
                    "the endpoint is far slower than its first call; the same command resumes",
                ) from None
            if self._cancelled:
                raise Cancelled from None
            raise

    async def _steps(self) -> ExitCode:
        self._runner.first_call = await check_first_call(self._target)
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

    async def _sweep(self) -> None:
        while plan := sweep.next_trial(self._curve(), self._objective, self._limits):
            seed = self._next_seed()
            await self._runner.run(
                TrialOrder(
                    make_pool(self._target, plan.pool_size, seed=seed),
                    Plan(
                        seconds=plan.seconds,
                        warm_up=plan.warm_up,
                        min_seconds=0.5 * (plan.seconds - plan.warm_up),
                        seed=seed,
                        callers=plan.pool_size,
                    ),
                    plan.purpose,
                    plan.pool_size,
                    plan.because,
                )
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
        while plan := self._next_verification(sizing):
            seed = self._next_seed()
            gate = gate_size(self._target, plan.pool_size) if plan.gated else None
            await self._runner.run(
                TrialOrder(
                    make_service_pool(
                        self._target, plan.pool_size, pools=plan.pools, seed=seed, gated=plan.gated
                    ),
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
                    gate=gate,
                    calm=plan.calm,
                )
            )

    def _next_verification(self, sizing: Sizing) -> verify.VerifyPlan | None:
        return verify.next_trial(
            self._trials,
            self._objective,
            sizing,
            most=max(1, self._objective.largest),
            left=self._budget - sweep.spent(self._trials),
            gate=gate_size(self._target, 1) is not None,
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

    @property
    def _trials(self) -> list[Trial]:
        return self._runner.trials

    def _curve(self) -> list[Trial]:
        return [trial for trial in self._trials if trial.is_of_curve]

    def _next_seed(self) -> int:
        """Another seed for every trial, the same ones in every run of the same command."""
        return self._seed + len(self._trials)


def _arrivals(plan: verify.VerifyPlan, rate: float, seed: int) -> Iterator[float]:
    """Poisson arrivals at the plan's rate, and less in its calm; the window has its exact rate."""
    phases = [(rate, plan.warm_up), (rate, plan.seconds - plan.warm_up - plan.calm)]
    if plan.calm:
        phases.append((verify.calm_rate(rate), plan.calm))
    return steps(phases, seed)
