"""One trial's load from this process: a pool opened, the generator run, the pool closed.

It decides nothing and keeps nothing: a session asks it for one trial after the other, and a process
of a fleet for its share of one.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.noise import EARLY_BATCH_HOLDS, rate_interval
from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.registry import dialled_by_need, make_service_pool
from poolkit.errors import BrakeStop
from poolkit.load.arrivals import constant, steps
from poolkit.load.brakes import Brakes, held_limit
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement
from poolkit.load.recorder import Columns, Recorder
from poolkit.load.starting import Seen
from poolkit.load.timer import Timer, best_timer
from poolkit.load.together import Part
from poolkit.measure import verify
from poolkit.measure.approach import Strain
from poolkit.measure.changing import ChangingService
from poolkit.measure.child import RESUMES
from poolkit.measure.preflight import check_names
from poolkit.measure.starting import StartingService
from poolkit.measure.sweep import NARROW, WARM_UP, TrialPlan
from poolkit.records import CURVE_PURPOSES
from poolkit.targets import Target

LEAST_SHARE = 0.5  # of a closed loop's window, before its interval is checked


@dataclass(frozen=True, slots=True)
class Load:
    """One trial to send, or a process's share of it."""

    plan: TrialPlan
    seed: int
    grace: float  # s that calls under way at the end may take
    max_calls: int
    light: float | None = None  # s, mean hold at a light load; None: not known yet
    share: float = 1.0  # of the trial's load, more than 0: caps on the rate hold for all together
    arrivals: Iterable[float] | None = field(default=None, repr=False)  # the reader's own

    @property
    def as_plan(self) -> Plan:
        """The same as the generator takes it."""
        plan, arrivals = self.plan, self.arrivals
        if arrivals is None and plan.rate is not None:
            arrivals = _arrivals(plan, plan.rate, self.seed)
        return Plan(
            seconds=plan.seconds,
            warm_up=plan.warm_up,
            min_seconds=0.0
            if plan.purpose == "approach"
            else LEAST_SHARE * (plan.seconds - plan.warm_up),
            grace=self.grace,
            seed=self.seed,
            callers=plan.callers,
            arrivals=arrivals,
            arrival_rate=plan.rate,
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a load."""

    measurement: Measurement
    stop: BrakeStop | None = None  # the brake that ended it
    strain: str | None = None  # why a step of the climb ended before its time
    parts: Mapping[str, Part] = field(default_factory=dict)  # of a fleet, by generator
    start: Seen | None = None  # what was noted where pools began empty
    lost: str = ""  # which generators ended early, and how: nothing can be told from the trial


class LostGenerators(BrakeStop):
    """Generators ended or fell silent: the load was not what was meant."""

    def __init__(self, seen: str) -> None:
        super().__init__(
            "generators", seen, f"see why on their machine, or measure with fewer; {RESUMES}"
        )


class Timeline(Protocol):
    """Successes so far, by time; `Recorder` is one."""

    @property
    def bin_seconds(self) -> float:
        """Width of a bin."""

    @property
    def completions(self) -> NDArray[np.int64]:
        """Successes by bin."""


class Source(Protocol):
    """Where load comes from: this process, or a fleet of them."""

    @property
    def calls(self) -> int:
        """Calls that the load under way, or the last one, has begun."""

    async def send(
        self, target: Target, load: Load, on_progress: Callable[[float, int, float], None]
    ) -> Sent:
        """Send the load.

        Args:
            on_progress: called about four times a second with s so far, calls finished and calls/s
                lately.

        Raises:
            Cancelled: `cancel` was called.
            PoolkitError: the pool could not be opened.
        """

    def cancel(self) -> None:
        """End the load under way now."""

    async def close(self) -> None:
        """End what it started."""


class ThisProcess:
    """One generator, in this process.

    Args:
        begin: awaited with the pool open: returns the moment (s, on the timer's clock) at which
            the load begins, once it is there; None: at once. For pools that begin empty, the
            moment at which they begin; once more where they are to be ready before the load.
        is_enough: asked whether a closed loop has seen enough; None: where its rate is narrow.
        on_chunk: sees the raw call records.

    State: the generator under way, or the last one; the task that waits for something else.
    """

    def __init__(
        self,
        begin: Callable[[Timer], Awaitable[float]] | None = None,
        is_enough: Callable[[Recorder, float], bool] | None = None,
        on_chunk: Callable[[Columns], None] | None = None,
    ) -> None:
        self._begin = begin
        self._is_enough = is_enough
        self._on_chunk = on_chunk
        self._generator: Generator | None = None
        self._task: asyncio.Task[Any] | None = None
        self._warm_calls = 0  # by which pools dialled before the load

    @property
    def calls(self) -> int:
        """Calls that were begun."""
        return self._warm_calls + (0 if self._generator is None else self._generator.calls)

    def cancel(self) -> None:
        """End the load now, or what is waited for before and after it."""
        if self._task is not None:
            self._task.cancel()
        elif self._generator is not None:
            self._generator.cancel()

    async def close(self) -> None:
        """Nothing is left here."""

    def finish(self) -> None:
        """End the load now, and keep what it was until then."""
        if self._generator is not None and self._task is None:
            self._generator.finish()

    async def send(
        self, target: Target, load: Load, on_progress: Callable[[float, int, float], None]
    ) -> Sent:
        """Open the pool of the plan, send the load through it, close the pool."""
        plan = load.plan
        self._generator, self._task, self._warm_calls = None, asyncio.current_task(), 0
        strain = Strain(plan, load.light) if plan.purpose == "approach" else None
        is_enough: Callable[[Recorder, float], bool] | None = strain
        if plan.purpose in CURVE_PURPOSES:
            is_enough = self._is_enough or partial(is_narrow, plan.callers)
        # The climb has far more room than it needs: connections are dialled as they are needed.
        own = target if strain is None else dialled_by_need(target)
        pool: Pool
        starting = None if plan.cold is None else StartingService(own, plan, load.seed)
        changing = None if plan.change is None else ChangingService(own, plan, load.seed)
        if changing is not None:
            pool = changing
        elif starting is None:
            pool = make_service_pool(
                own, plan.pool_size, pools=plan.pools, seed=load.seed, gated=plan.gated
            )
        else:
            pool, self._warm_calls = starting, starting.warm_calls
        timer = best_timer(asyncio.get_running_loop())
        # Collections pause the loop; what lives already need not be scanned again.
        gc.collect()
        gc.freeze()
        try:
            await check_names(target)
            generator = self._generator = Generator(
                pool,
                load.as_plan,
                timer,
                brakes=Brakes(
                    max_calls=load.max_calls,
                    max_rate=None if target.max_rate is None else target.max_rate * load.share,
                    max_connections=most_connections(target, plan),
                    max_held_p99=held_limit(target.response_p99),
                    work=target.work,
                ),
                is_enough=is_enough,
                on_progress=on_progress,
                on_chunk=self._on_chunk,
            )
            if starting is None:
                await pool.open()
                begin = await self._agreed(timer)
            else:
                begin = await self._opened(starting, plan, timer)
            self._task = None
            if changing is not None:
                changing.begin(0.0 if begin is None else begin - timer.now())
            measurement = await generator.run(begin)
            return Sent(
                measurement,
                generator.stopped,
                None if strain is None else strain.seen,
                start=None if starting is None else starting.seen(measurement.seconds),
            )
        finally:
            self._task = asyncio.current_task()
            timer.close()
            gc.unfreeze()
            await close_pool(pool)

    async def _agreed(self, timer: Timer) -> float | None:
        return None if self._begin is None else await self._begin(timer)

    async def _opened(
        self, starting: StartingService, plan: TrialPlan, timer: Timer
    ) -> float | None:
        """When the load begins whose pools begin with it, or are ready before it."""
        await starting.look()
        begin = await self._agreed(timer)
        await starting.open(begin)
        if begins(plan) == 1:
            return begin
        begin = await self._agreed(timer)
        if begin is not None:
            starting.calls_begin(begin)
        return begin


def begins(plan: TrialPlan) -> int:
    """Moments that generators agree on: 2 where pools are to be ready before the load begins."""
    return 2 if plan.cold is not None and plan.cold.is_warm else 1


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
    if plan.change is not None:
        (first, then), at = plan.change.rates, plan.change.at
        phases = [
            (first, plan.warm_up),
            (first, at - plan.warm_up),
            (then, plan.seconds - at),
        ]
    if plan.calm:
        phases.append((verify.calm_rate(rate), plan.calm))
    return steps(phases, seed)


def is_narrow(callers: int | None, timeline: Timeline, at: float) -> bool:
    """Whether a closed loop's throughput is known well enough at `at` s to end the trial."""
    width = timeline.bin_seconds
    bins = int(at / width)
    first = min(bins, int(WARM_UP / width))
    completions = timeline.completions[first:bins].astype(float)
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
