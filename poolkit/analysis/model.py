"""One pool in front of the upstream as it was measured: the queue that sizes are read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from poolkit.analysis.curve import Curve, SharedCurve, is_clean, points
from poolkit.analysis.knee import has_plateau, is_falling
from poolkit.analysis.limits import (
    ENOUGH_CALLS,
    FITS_QUOTA,
    first_refused,
    limits,
    quota,
    turned_away,
)
from poolkit.analysis.queueing import WaitPrediction, waits
from poolkit.analysis.response import HoldTimes, as_soon, exceedance, gains_by_more
from poolkit.analysis.saturation import dispersion_of_holds, plateau_factor, pooled_dispersion
from poolkit.analysis.state_curve import CAUTION, fit, held, joint_curve, open_loops, strained
from poolkit.analysis.states import state_points, together
from poolkit.records import CurvePoint, StatePoint, Sweep, Trial
from poolkit.targets.objective import Objective

# P(W > w) comes out of the formula right to about this share where the curve is known exactly, and
# the error costs more on one side: a size is taken when the prediction stays below this part of
# what is allowed (see the table in CONTRIBUTING.md).
PRUDENCE = 0.85
# On a plateau throughput is taken to stay up to this many times the largest size measured.
BEYOND = 4
# "seen": the curve is one of states, and nothing is known beyond the connections seen in use.
Ending = Literal["flat", "rising", "falling", "refused", "seen"]
SLOWER = 0.5  # standard errors by which the upstream is taken to be slower than measured


@dataclass(frozen=True)
class Model:
    """One pool in front of the upstream as it was measured."""

    curve: SharedCurve  # what the pool sees while its sisters are as busy as itself
    dispersion: float  # Cd2 of the departures that the pool sees
    factor: float  # v of the queue on the plateau (see `saturation`)
    holds: HoldTimes
    objective: Objective
    most: int  # largest size of one pool that may be answered
    # Whether a size beyond `most` serves callers no worse than `most` does, as far as is known: no
    # refusals were met and throughput was not seen to fall.
    may_grow: bool
    quota: float | None = None  # calls/s of all pools that the server takes; None: it counts none
    seen_to: int = 0  # connections of one pool up to which production told X (see `queueing`)

    def predictions(self, rate: float | None = None) -> tuple[WaitPrediction, ...]:
        """What callers meet at sizes 1 .. most, at `rate` or the objective's (calls/s)."""
        if self.most < 1:
            return ()
        rate = self.objective.rate_per_pool if rate is None else rate
        sizes = range(1, self.most + 1)
        return waits(self.curve, rate, sizes, self.dispersion, self.factor, self.seen_to)

    @property
    def cautious_rate(self) -> float:
        """The rate (calls/s) for an upstream that is slower than measured, by half an error.

        Near saturation the needed size hangs on the last per cent of throughput, and a pool that is
        too small costs its callers more than one that is too large.
        """
        return self.objective.rate_per_pool * (1.0 + SLOWER * self.curve.whole.error)

    @cached_property
    def cautious(self) -> tuple[WaitPrediction, ...]:
        """What callers meet at sizes 1 .. most, at the cautious rate."""
        return self.predictions(self.cautious_rate)

    def at(self, pool_size: int) -> WaitPrediction:
        """What `cautious` says of one size, 1 .. most."""
        rate, sizes = self.cautious_rate, (pool_size,)
        return waits(self.curve, rate, sizes, self.dispersion, self.factor, self.seen_to)[0]

    @cached_property
    def as_soon(self) -> frozenset[int]:
        """The sizes with which callers are served as soon as with the best that may be answered.

        None where throughput still rises at the largest size measured and a larger one, which the
        cap leaves room for, might serve them sooner.
        """
        whole, predictions = self.curve.whole, self.cautious
        is_rising = self.may_grow and whole.largest == whole.measured
        has_room = bool(predictions) and self.most < self.objective.largest
        if is_rising and has_room and gains_by_more(predictions[-1], self.holds, self.curve.pools):
            return frozenset()
        return as_soon(predictions, self.holds, self.curve.pools)

    @property
    def is_within_quota(self) -> bool:
        """Whether the rate asked is one that the server does not turn away."""
        return self.quota is None or self.objective.rate <= FITS_QUOTA * self.quota

    def meets_wait(self, prediction: WaitPrediction) -> bool:
        """Whether few enough calls wait longer than allowed; where no wait is asked, stability."""
        limit = self.objective.wait_p99
        if limit is None:
            return prediction.is_stable
        return prediction.exceedance(limit) <= PRUDENCE * self.objective.allowance

    def meets_response(self, prediction: WaitPrediction) -> bool:
        """Whether few enough calls take longer than allowed; always, where that is not asked."""
        return self.late_responses(prediction) <= self.objective.allowance

    def late_responses(self, prediction: WaitPrediction) -> float:
        """The share of the calls (0 to 1) that take longer than allowed; 0: it is not asked."""
        limit = self.objective.response_p99
        if limit is None:
            return 0.0
        return exceedance(prediction, self.holds, limit, self.curve.pools)

    def meets(self, prediction: WaitPrediction) -> bool:
        """Whether everything that is asked of the times is met; give it a `cautious` one."""
        if not self.is_within_quota:
            return False
        if self.objective.asks_as_soon:
            return prediction.pool_size in self.as_soon
        return self.meets_wait(prediction) and self.meets_response(prediction)

    def is_enough(self, pool_size: int) -> bool:
        """Whether a size (1 or more) meets what is asked.

        Beyond `most` nothing is known: such a size holds where `most` does and may grow.
        """
        if self.most < 1 or (pool_size > self.most and not self.may_grow):
            return False
        return self.meets(self.at(min(pool_size, self.most)))

    def carries(self, pool_size: int) -> bool:
        """Whether a size (1 or more) carries the rate; beyond `most`, whether that one does."""
        return self.most >= 1 and self.at(min(pool_size, self.most)).is_stable

    def is_extrapolated(self, pool_size: int) -> bool:
        """Whether no size as large, or none as small, was measured on the upstream."""
        whole, asked = self.curve.whole, pool_size * self.curve.pools
        return not whole.smallest <= asked <= whole.measured

    def smallest(self, predictions: Sequence[WaitPrediction]) -> WaitPrediction | None:
        """The smallest size that meets the objective, the floor apart; give it `cautious` ones."""
        return next((prediction for prediction in predictions if self.meets(prediction)), None)


def fit_points(sweep: Sweep) -> tuple[CurvePoint, ...]:
    """The points that a size may be read off: usable, and below every size that met refusals.

    What a server does while it turns calls away is no part of the curve, at any larger size either.
    """
    refused = first_refused(sweep.trials)
    return tuple(
        point for point in points(sweep.trials) if refused is None or point.pool_size < refused
    )


def _beside_refusals(sweep: Sweep) -> list[CurvePoint]:
    """X(n) = n / hold time at the refused sizes, from the calls that got through a quota."""
    largest = max((point.pool_size for point in fit_points(sweep)), default=0)
    held: dict[int, Trial] = {}
    for trial in turned_away(sweep.trials):
        enough = trial.hold_time.count >= ENOUGH_CALLS and trial.mean_hold > 0
        if trial.is_of_curve and enough and trial.connections > largest:
            held[trial.connections] = trial
    return [
        CurvePoint(
            pool_size=n,
            throughput=n / trial.mean_hold,
            interval95=None,
            hold_time=trial.mean_hold,
            repeats=1,
        )
        for n, trial in sorted(held.items())
    ]


def _taken(sweep: Sweep) -> int | None:
    """Connections at which the server was seen to turn no call away; None: it did at none.

    A quota is met at any size, but only where a paced trial showed that it is one. A server that
    had as many in use before, and refused none of them, has no limit there: it went away.
    """
    refused = first_refused(sweep.trials)
    if refused is None or quota(sweep.trials) is not None:
        return None
    served = together([t for t in open_loops(sweep.trials) if not t.outcomes.get("rejected")])
    if refused <= max(served, default=0):
        return None
    known = [int(limit.value) for limit in limits(sweep.trials) if limit.kind != "rate"]
    return min([refused - 1, *known])


@dataclass(frozen=True, slots=True)
class Fitted:
    """The upstream as a sweep saw it, whatever is asked of it: fitted once, asked many times."""

    points: tuple[CurvePoint, ...]
    curve: Curve  # throughput over connections of all pools together
    dispersion: float  # Cd2 of the upstream's departures
    factor: float  # v of the queue on the plateau (see `saturation`)
    holds: HoldTimes
    ending: Ending  # what throughput does at the largest sizes measured
    states: tuple[StatePoint, ...] = ()  # X(n) by connections in use, of the open loops
    quota: float | None = None  # calls/s that the server takes; None: it counts none
    taken: int | None = None  # connections of all pools that the server takes; None: no limit seen
    seen_to: int = 0  # connections of all pools up to which production told X

    @classmethod
    def of(cls, sweep: Sweep, caution: float = CAUTION) -> Fitted:
        """From the sweep's usable trials: closed loops at two sizes or more, or open loops.

        `caution`: standard errors by which open loops are taken to flatter the upstream.
        """
        fitted, in_service = fit_points(sweep), open_loops(sweep.trials)
        states = state_points(in_service)
        allowed, taken = quota(sweep.trials), _taken(sweep)
        seen = tuple(one for one in states if taken is None or one.in_use <= taken)
        if len(fitted) < 2:
            return cls._in_service(sweep, in_service, seen, caution, allowed, taken)
        # Below a quota no size is refused, and calls take as long as those that got through it.
        closed = fitted if allowed is None else (*fitted, *_beside_refusals(sweep))
        curve = Curve.fit(closed)
        trials = [
            trial
            for trial in sweep.trials
            if is_clean(trial) and trial.connections <= curve.measured
        ]
        pooled = pooled_dispersion(trials)
        dispersion = 1.0 if pooled is None else pooled
        factor = plateau_factor(trials, dispersion)
        if seen:
            curve = joint_curve(closed, seen, max(1.0, dispersion), caution)
        ending: Ending
        if taken is not None:
            ending = "refused"  # nothing is known to stay beyond the largest size
        elif allowed is None and is_falling(fitted):
            ending = "falling"
        elif allowed is not None or has_plateau(fitted):
            ending = "flat"
            curve = curve.held_flat(BEYOND * curve.measured)
        elif curve.measured > fitted[-1].pool_size:
            ending = "seen"
            curve = curve.held_flat(held(curve.measured))
        else:
            ending = "rising"
        holds = HoldTimes.of(trials, curve)
        return cls(fitted, curve, dispersion, factor, holds, ending, states, allowed, taken)

    @classmethod
    def _in_service(
        cls,
        sweep: Sweep,
        trials: Sequence[Trial],
        states: tuple[StatePoint, ...],
        caution: float,
        allowed: float | None,
        taken: int | None,
    ) -> Fitted:
        """From open loops alone, whose states hold the upstream as it serves at the target rate."""
        dispersion = dispersion_of_holds(trials)
        curve = fit(states, dispersion, caution)
        factor = (1.0 + dispersion) / 2.0
        ending: Ending = "flat" if strained(sweep.trials) else "seen"
        if taken is not None:
            ending = "refused"
        holds = HoldTimes.of(trials, curve)
        told = all(trial.purpose == "production" for trial in trials)
        seen = curve.measured if told else 0
        return cls((), curve, dispersion, factor, holds, ending, states, allowed, taken, seen)

    @property
    def measured(self) -> tuple[CurvePoint, ...]:
        """What was measured by size, in closed loops; without any by connections in use."""
        return self.points or tuple(
            CurvePoint(
                pool_size=state.in_use,
                throughput=state.throughput,
                interval95=state.interval95,
                hold_time=state.in_use / state.throughput,
                repeats=1,
            )
            for state in self.states
            if state.throughput > 0
        )

    @property
    def may_grow(self) -> bool:
        """Whether more connections than were measured serve no worse, as far as is known."""
        return self.ending in ("flat", "rising", "seen")

    def slowed(self, factor: float) -> Fitted:
        """The same upstream with every call taking `factor` times as long (more than 0).

        H(n) = n / X(n) and the hold times are multiplied, so throughput is divided: the same queue
        in other units of time. Right where the upstream itself is slow (a cold cache, a smaller
        machine); a longer way to it lengthens calls and leaves the plateau alone, so there this is
        on the safe side.
        """
        if factor == 1.0:
            return self
        cycles = tuple(factor * cycle for cycle in self.curve.cycles)
        curve = replace(self.curve, cycles=cycles, hold=factor * self.curve.hold)
        return replace(self, curve=curve, holds=self.holds.slowed(factor))

    def model(self, objective: Objective) -> Model:
        """The queue model of one pool of those that are left."""
        shared = SharedCurve(self.curve, objective.pools_left)
        # Of a stream of departures each pool gets a random share, which is closer to Poisson.
        own = max(self.dispersion, 1.0 + (self.dispersion - 1.0) / shared.pools)
        factor = max(self.factor, 1.0 + (self.factor - 1.0) / shared.pools)
        most = min(objective.largest, shared.largest)
        if self.taken is not None:
            most = min(most, self.taken // objective.pools_left)
        may_grow, allowed, seen = self.may_grow, self.quota, self.seen_to // shared.pools
        return Model(shared, own, factor, self.holds, objective, most, may_grow, allowed, seen)


def model(sweep: Sweep, objective: Objective) -> Model:
    """The queue model of one pool, from the sweep's usable trials (two sizes or more)."""
    return Fitted.of(sweep).model(objective)
