"""The climb to the target rate: open loop, a roomy pool, in steps that all tell of the upstream.

An open loop does not hold itself back as a closed one does, so the rate climbs from a quarter of
the target, and no step is begun once the server strains: calls in use keep growing, or are held
several times as long as at the first step. Then the target is near what the server can do, or
above it, and the rate at which that began is the finding. The steps share the budget's first ten
seconds or so; their states (see `analysis.states`) give the first size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.limits import limits, turned_away
from poolkit.analysis.state_curve import strained
from poolkit.analysis.verdict import FEWEST_CALLS
from poolkit.load.recorder import Recorder
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Trial
from poolkit.targets.objective import Objective

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the target rate, growth included
WINDOW, LAST_WINDOW = 1.2, 4.5  # s of a step, and of the last one
WINDOW_HOLDS = 20.0  # the same in mean hold times
WARM_UP, WARM_UP_HOLDS = 0.4, 3.0  # s, hold times: a step begins with an empty pool

SLOWER = 3.0  # times the mean hold of the first step: the server strains
GROWN = 2.0  # times the calls in use at the begin of a step, and ...
GROWN_CALLS = 20.0  # ... more than so many: they keep growing
NOISE = 3.0  # standard deviations of a Poisson number
LOOK = 0.5  # s over which the calls in use are averaged


def next_trial(trials: Sequence[Trial], objective: Objective, left: float) -> TrialPlan | None:
    """The step to run now, or None when the climb is over.

    Args:
        trials: of the target so far, of every purpose.
        left: s of load that may still be spent.
    """
    climb = [trial for trial in trials if trial.purpose == "approach"]
    size = objective.largest
    if away := turned_away(climb):
        # A limit below the roomy pool leaves the target rate to be tried within it.
        known = [int(one.value) for one in limits(trials) if one.kind != "rate"]
        size = min([size, *(most // objective.pools_left for most in known)])
        if objective.push or any(t.stopped and t.pool_size <= size for t in away):
            return None
        climb = [trial for trial in climb if trial.pool_size <= size or trial not in away]
    if size < 1 or left <= 0 or strained(climb) is not None:
        return None
    # A step that this machine may have cut short is measured again.
    done = max((t.arrival_rate or 0.0 for t in climb if t.cut_short is None), default=0.0)
    share = next((s for s in SHARES if s * objective.rate > 1.001 * done), None)
    if share is None:
        return None
    rate, hold = share * objective.rate, max((t.mean_hold for t in climb), default=0.0)
    warm_up, window = _step(share, hold)
    if share == 1.0:
        calls = sum(trial.outcomes.get("ok", 0) for trial in climb)
        # Some are cut off at the edges.
        window = max(window, (1.1 * FEWEST_CALLS - calls) / rate)
    return TrialPlan(
        "approach",
        size,
        warm_up,
        min(warm_up + window, max(left, warm_up + WINDOW)),
        f"target first: {units.share(share)} of the target rate",
        pools=objective.pools_left,
        rate=rate,
    )


def seconds(objective: Objective, hold: float) -> float:
    """The seconds of load that the whole climb needs where a call takes `hold` s."""
    *steps, (warm_up, last) = (_step(share, hold) for share in SHARES)
    return sum(map(sum, steps)) + warm_up + max(last, FEWEST_CALLS / objective.rate)


def _step(share: float, hold: float) -> tuple[float, float]:
    """Warm-up and window (s) of the step to this share of the rate."""
    window = LAST_WINDOW if share == 1.0 else WINDOW
    return max(WARM_UP, WARM_UP_HOLDS * hold), max(window, WINDOW_HOLDS * hold)


class Strain:
    """Asked while a step runs whether the server strains; `seen` then says how.

    Args:
        plan: the step.
        light: s, the mean hold of the first step; None: this is the first.
    """

    def __init__(self, plan: TrialPlan, light: float | None) -> None:
        self.seen: str | None = None
        self._plan = plan
        self._light = light
        self._begun: float | None = None  # calls in use on average when the step was young
        self._is_doubted = False  # at the last look: a pause of this machine is over at the next

    def __call__(self, recorder: Recorder, at: float) -> bool:
        """Whether the step has seen enough of it; the recorder is folded up to `at` s."""
        in_use = recorder.mean_in_use(max(self._plan.warm_up / 2, at - LOOK), at)
        seen = self._growing(in_use) or self._crowded(in_use)
        if seen is not None and self._is_doubted:
            self.seen = seen
        self._is_doubted = seen is not None
        return self.seen is not None

    def _growing(self, in_use: float) -> str | None:
        if self._begun is None:
            self._begun = in_use
        begun = max(self._begun, GROWN_CALLS / GROWN)
        if in_use <= GROWN * begun + NOISE * math.sqrt(begun):
            return None
        return f"calls in use kept growing, from {self._begun:.0f} to {in_use:.0f} within the step"

    def _crowded(self, in_use: float) -> str | None:
        if self._light is None or self._plan.rate is None:
            return None
        # Little's Law: so many are in use where calls are held as long as at a light load.
        usual = self._plan.rate * self._light
        most = SLOWER * usual + NOISE * math.sqrt(usual) + 1.0
        room = self._plan.pool_size * self._plan.pools
        if in_use <= min(most, 0.95 * room) or room <= 1.5 * usual:
            return None
        return (
            f"{in_use:.0f} calls were in use at once, where {usual:.0f} would be if each held its "
            f"connection as long as at a light load ({units.milliseconds(self._light)})"
        )
