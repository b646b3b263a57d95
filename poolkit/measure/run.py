"""The three steps of one target's measurement: sweep, size, verify."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit import events
from poolkit.analysis.sizing import size
from poolkit.drivers.registry import gate_size, make_pool, make_service_pool
from poolkit.errors import BrakeStop, ExitCode
from poolkit.events import Emit
from poolkit.load.arrivals import steps
from poolkit.load.generator import Plan
from poolkit.measure import sweep, verify
from poolkit.measure.child import Order
from poolkit.measure.preflight import check_caps, check_descriptors
from poolkit.measure.session import LastWords, Session
from poolkit.measure.store import prepare_out, write_atomic
from poolkit.measure.trial import TrialOrder
from poolkit.recommend import recommend
from poolkit.records import Sizing, Sweep, Trial
from poolkit.targets import Target

SWEEP_BUDGET = 20.0  # s of load
SIZE_BUDGET = 45.0  # s of load, verification included
SWEEP_SHARE = 0.45  # of a size budget
SEED = 20_260_101


def measure(target: Target, order: Order, emit: Emit, last_words: LastWords) -> ExitCode:
    """Carry out an order for this target in this process, told through `emit`.

    NAME.trials.jsonl and NAME.sizing.json in the order's folder keep what is found; finished trials
    there are resumed.

    Args:
        last_words: told, in another thread, before the process is ended whose loop stands still.

    Raises:
        PoolkitError: nothing was sent, or it ended early; it says why and what to do.
    """
    prepare_out(order.out)
    check_caps(target)
    check_descriptors(target)
    return Run(target, order, emit, last_words).run()


class Run:
    """One target's measurement: asks the pure deciders what comes next until they have enough."""

    def __init__(self, target: Target, order: Order, emit: Emit, last_words: LastWords) -> None:
        self._target = target
        self._mode = order.mode
        self._emit = emit
        self._seed = SEED if order.seed is None else order.seed
        self._out = order.out
        self._budget = order.budget or (SIZE_BUDGET if self._mode == "size" else SWEEP_BUDGET)
        self._objective = target
        self._limits = sweep.SweepLimits(
            max_size=target.max_size,
            budget=self._budget * (SWEEP_SHARE if self._mode == "size" else 1.0),
            sizes=order.sizes or None,
            seed=self._seed,
        )
        self._session = Session(
            target,
            order.out / f"{target.name}.trials.jsonl",
            emit,
            budget=self._budget,
            deadline=self.deadline,
            last_words=last_words,
        )
        self._runner = self._session.runner

    @property
    def deadline(self) -> float:
        """Seconds after which the process must be over, whatever the target does."""
        return 3.0 * self._budget + 120.0

    def run(self) -> ExitCode:
        """Sweep, size, verify; raises `PoolkitError` with what was measured kept."""
        return self._session.carry_out(self._steps)

    async def _steps(self) -> ExitCode:
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
