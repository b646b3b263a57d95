"""What is measured of one target: its sweep, sizing and verification, or arrivals by a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from poolkit import events, units
from poolkit.analysis.cold import starts_of
from poolkit.analysis.sizing import size
from poolkit.drivers.registry import dials_beforehand, gate_size
from poolkit.errors import BadInput, BrakeStop, ExitCode, PoolkitError
from poolkit.events import Emit
from poolkit.measure import approach, cold, limit_search, replicas, sweep, verify
from poolkit.measure.child import RESUMES, Order
from poolkit.measure.generating import Source
from poolkit.measure.preflight import check_caps, check_descriptors
from poolkit.measure.session import LastWords, Session
from poolkit.measure.store import prepare_out, write_atomic
from poolkit.recommend import recommend
from poolkit.records import APART, Sizing, Sweep, Trial
from poolkit.targets import Target

SWEEP_BUDGET = 20.0  # s of load
SIZE_BUDGET = 45.0  # s of load, verification included
SWEEP_SHARE = 0.27  # of a size budget
DEADLINE_BUDGETS, DEADLINE_SPARE = 3.0, 120.0  # a run's end, in budgets and s on top
# What a sizing keeps of a former one that was verified.
ANSWER = (
    "size", "because", "limited_by", "headroom", "predictions", "is_extrapolated",
    "smallest_as_fast", "only_moves_queue",
)  # fmt: skip
ARRIVALS_SPARE = 60.0  # s that opening the pool and ending slow calls may take beside the load
SEED = 20_260_101
ANEW = "the same command begins anew"
VERIFIED = "verify"  # NAME.verify.jsonl holds the trial of an order to verify one size


def measure(target: Target, order: Order, emit: Emit, last_words: LastWords) -> ExitCode:
    """Carry out an order for this target in this process, reported through `emit`.

    NAME.trials.jsonl and NAME.sizing.json in the order's folder keep what is found; finished trials
    there are resumed. An order to verify one size leaves one trial in NAME.verify.jsonl, and makes
    no sizing and no recommendation: whoever named the size does.

    Args:
        last_words: called, in another thread, before the process is ended whose loop stands still.

    Raises:
        PoolkitError: nothing was sent, or it ended early; it says why and what to do.
    """
    prepare_out(order.out)
    check_caps(target)
    check_descriptors(target)
    return Run(target, order, emit, last_words).run()


def measure_arrivals(
    target: Target,
    arrivals: Iterable[float],
    *,
    pool_size: int,
    seconds: float,
    out: Path,
    emit: Emit = lambda _event: None,
    seed: int = SEED,
    warm_up: float = 0.0,
    arrival_rate: float | None = None,
    file: str = "",
    because: str = "arrivals of the reader's own",
    last_words: LastWords | None = None,
) -> Trial:
    """Send load by a schedule and return its trial, which NAME.arrivals.jsonl in `out` keeps.

    For a script, not a cell: it runs an event loop of its own. All brakes hold, and max_rate and
    max_calls of the target.

    Args:
        arrivals: due times (s from the start, in order), as `poolkit.load.arrivals` makes them:
            `ramp(10, 500, 60, seed=1)`, `replay(timestamps, speed=2.0)`.
        pool_size: connections, 1 to the target's max_size.
        seconds: calls that are due later are left out; more than 0.
        seed: of the values drawn for statements.
        warm_up: s at the front that are not measured.
        arrival_rate: calls/s that the schedule means; None: it has no one rate.
        file: in `out`, in place of NAME.arrivals.jsonl.
        because: the reason in the trial's record.
        last_words: called, in another thread, before the process is ended whose loop stands still.

    Raises:
        PoolkitError: nothing was sent, or the load ended early; it says why and what to do.
    """
    if not 1 <= pool_size <= target.max_size:
        raise BadInput(
            f"{target.name}: pool_size must be 1 to max_size = {target.max_size}, got {pool_size}",
            "raise max_size in targets.toml, if the endpoint may have so many",
        )
    prepare_out(out)
    check_descriptors(target)
    log = out / (file or f"{target.name}.arrivals.jsonl")
    deadline = seconds + ARRIVALS_SPARE
    session = Session(target, log, emit, budget=seconds, deadline=deadline, last_words=last_words)
    plan = sweep.TrialPlan("verify", pool_size, warm_up, seconds, because, rate=arrival_rate)

    async def steps() -> ExitCode:
        await session.run(plan, seed, arrivals)
        return ExitCode.DONE

    session.carry_out(steps)
    return session.trials[-1]


class Run:
    """One target's measurement: asks the pure deciders what comes next until they have enough."""

    def __init__(self, target: Target, order: Order, emit: Emit, last_words: LastWords) -> None:
        self._target = target
        self._is_sweep = order.mode == "sweep"
        self._emit = emit
        self._seed = SEED if order.seed is None else order.seed
        self._out = order.out
        self._only: sweep.TrialPlan | None = None
        if order.verify is not None:
            why = f"{units.plural(order.verify, 'connection')} at the target rate, once"
            self._only = verify.at_target(order.verify, target, why)
        usual = SWEEP_BUDGET if self._is_sweep else SIZE_BUDGET + cold.BUDGET * order.cold
        if not self._is_sweep:
            usual += replicas.reserve(SIZE_BUDGET, target)
        if self._only is not None:
            usual = self._only.seconds
        self._budget = order.budget or usual
        # s of load for cold starts, and with them for the loss of replicas and for a deploy
        self._kept = self._kept_cold = cold.reserve(self._budget) if order.cold else 0.0
        if not self._is_sweep:
            self._kept += replicas.reserve(self._budget - self._kept, target)
        self._limits = sweep.SweepLimits(
            max_size=target.max_size,
            budget=(self._budget - self._kept) * (1.0 if self._is_sweep else SWEEP_SHARE),
            sizes=order.sizes or None,
            seed=self._seed,
        )
        self._session = Session(
            target,
            order.out / f"{target.name}.{'trials' if self._only is None else VERIFIED}.jsonl",
            emit,
            budget=self._budget,
            deadline=DEADLINE_BUDGETS * self._budget + DEADLINE_SPARE,
            last_words=last_words,
            source=self._source(order),
        )
        self._is_cold_asked = order.cold
        self._sizing: Sizing | None = None  # the last that was told

    def _source(self, order: Order) -> Source | None:
        """Where load comes from; None: this process."""
        fleet = order.generators()
        if fleet is None:
            return None
        from poolkit.measure.fleet.source import FleetSource

        def say(what: str) -> None:
            self._emit(events.Step(target=self._target.name, what=what, limit=0.0))

        return FleetSource(fleet, order.targets, say)

    def run(self) -> ExitCode:
        """Sweep, size, verify; raises `PoolkitError` with what was measured kept."""
        try:
            return self._session.carry_out(self._steps)
        except PoolkitError as error:
            if self._only is not None:
                error.remedy = error.remedy.replace(RESUMES, ANEW)
            raise

    async def _steps(self) -> ExitCode:
        if self._only is not None:
            # Without a climb: production carried as many in use, and the pool lets in no more.
            await self._session.run(self._only, self._seed)
            return ExitCode.DONE
        stop: BrakeStop | None = None
        try:
            if self._is_sweep:
                await self._sweep()
            else:
                await self._verified()
                await self._changes_of_replicas()
                if self._is_cold_asked:
                    await self._cold_starts()
        except BrakeStop as brake:
            stop = brake
        sizing = self._size(stop)
        if not self._is_sweep:
            return self._recommend(sizing, stop)
        if stop is not None:
            raise stop
        return ExitCode.OUT_OF_REACH if sizing.out_of_reach else ExitCode.DONE

    async def _verified(self) -> None:
        """The target first: a size for it, verified; then, where load may go beyond, the curve."""
        needed = approach.seconds(self._target, self._session.first_call) + verify.LEAST_SECONDS
        if not self._trials and needed > self._budget:
            what = (
                f"a call takes {units.milliseconds(self._session.first_call)} and "
                f"{units.rate(self._target.rate)} are asked: about {math.ceil(needed)} s of load "
                f"would be needed (--budget {10 * math.ceil(needed / 10)})"
            )
            self._emit(events.Step(target=self._target.name, what=what, limit=0.0))
        await self._while(lambda: approach.next_trial(self._trials, self._target, self._left))
        # One trial shows whether the size holds; where a sweep follows it sharpens the search.
        await self._verify(keep=math.inf if self._target.push else 0.0)
        if self._target.push:
            await self._sweep()
            await self._verify(beyond=True)

    async def _changes_of_replicas(self) -> None:
        """Take away the replicas that may be lost, and add those of a deploy, at the verified size.

        Not where a size is still open, or fails without that.
        """
        asked = replicas.kinds(self._target)
        chosen = self._chosen(self._size(None)) if asked and self._was_verified() else None
        if chosen is None:
            return
        while plan := replicas.next_trial(
            self._session.trials,
            self._target,
            chosen,
            left=self._budget - self._kept_cold - sweep.spent(self._session.trials),
        ):
            await self._session.run(plan, self._seed + len(self._session.trials))
        for purpose in asked:
            if no_room := replicas.room(purpose, self._target, chosen):
                what = f"no trial of {purpose.replace('_', ' ')}: {no_room}"
                self._emit(events.Step(target=self._target.name, what=what, limit=0.0))

    async def _cold_starts(self) -> None:
        """Begin with empty pools at the verified size, the target rate upon them."""
        chosen = self._chosen(self._size(None))
        if chosen is None or not self._was_verified():
            self._say_no_cold_start("no size was verified at the target rate")
            return
        has_min_size = dials_beforehand(self._target)
        while plan := cold.next_trial(
            self._session.trials,
            self._target,
            chosen,
            has_min_size=has_min_size,
            left=self._budget - sweep.spent(self._session.trials),
        ):
            await self._session.run(plan, self._seed + len(self._session.trials))
        if not starts_of(self._session.trials, chosen, self._target.pools):
            self._say_no_cold_start("its budget is spent (a larger --budget)")

    def _say_no_cold_start(self, why: str) -> None:
        what = f"no cold start was tried: {why}"
        self._emit(events.Step(target=self._target.name, what=what, limit=0.0))

    def _chosen(self, sizing: Sizing) -> int | None:
        return (
            None if sizing.size is None else verify.chosen_size(self._trials, self._target, sizing)
        )

    async def _sweep(self) -> None:
        await self._while(lambda: sweep.next_trial(self._trials, self._target, self._limits))

    async def _verify(self, keep: float = 0.0, *, beyond: bool = False) -> None:
        """Look for the smallest size that holds; every trial makes the prediction better.

        `keep` are the seconds of load to leave; `beyond`: then try the size beyond the target rate.
        """
        await self._while(
            lambda: verify.next_trial(
                self._trials,
                self._target,
                self._size(None),
                left=self._left - keep,
                gate=gate_size(self._target, 1) is not None,
                beyond=beyond,
            )
        )

    async def _while(self, decide: Callable[[], sweep.TrialPlan | None]) -> None:
        """Run what is decided until nothing is; a limit that a trial met is searched for first."""
        while plan := self._next_for_limit() or decide():
            # Another seed for every trial, the same ones in every run of the same command.
            await self._session.run(plan, self._seed + len(self._session.trials))

    def _next_for_limit(self) -> sweep.TrialPlan | None:
        return limit_search.next_trial(self._trials, self._target, self._limits, left=self._left)

    @property
    def _trials(self) -> list[Trial]:
        """Those that say something of the size: none in which pools began, went or came."""
        return [trial for trial in self._session.trials if trial.purpose not in APART]

    @property
    def _left(self) -> float:
        return self._budget - self._kept - sweep.spent(self._trials)

    def _size(self, stop: BrakeStop | None) -> Sizing:
        name = self._target.name
        stopped = None if stop is None else f"{stop.brake}: {stop.seen}"
        found = Sweep(target=name, trials=tuple(self._trials), stopped=stopped)
        sizing = size(found, self._target)
        gave_up = sizing.size is None and not sizing.out_of_reach
        if gave_up and self._sizing is not None and self._was_verified():
            # Trials at the target rate decide: a curve that lost its answer takes none back.
            sizing = sizing.model_copy(update={key: getattr(self._sizing, key) for key in ANSWER})
        write_atomic(self._out / f"{name}.sizing.json", sizing.model_dump_json(indent=1) + "\n")
        told, self._sizing = self._sizing, sizing
        if told is None or (sizing.size, sizing.because) != (told.size, told.because):
            self._emit(events.Sized(sizing=sizing))
        return sizing

    def _was_verified(self) -> bool:
        return any(trial.purpose == "verify" for trial in self._trials)

    def _recommend(self, sizing: Sizing, stop: BrakeStop | None) -> ExitCode:
        verification = None
        chosen = self._chosen(sizing)
        if chosen is not None:
            verification = verify.verification(self._trials, chosen, self._target, sizing)
        recommendation = recommend(
            self._target,
            sizing,
            verification,
            tuple(self._session.trials),
            status="done" if stop is None else "stopped",
            seconds=sweep.spent(self._session.trials),
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
