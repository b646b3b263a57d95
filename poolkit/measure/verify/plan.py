"""The trials of a verification: sizes at the target rate, then the chosen one above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.measure.verify.evidence import LEAST_CALLS, latest
from poolkit.measure.verify.search import Search
from poolkit.records import Purpose, Sizing, Trial
from poolkit.targets.objective import Objective

OVERLOAD = 1.2  # times the target rate
LEAST_SECONDS = 4.0
MOST_SECONDS = 12.0
OVERLOAD_SECONDS = 2.5
CALM_SECONDS = 2.0  # of half the target rate after the overload
SETTLED = 0.5  # share of the calm after which the overload's queue should be gone
CROWD = 4  # callers for each connection
CROWD_SECONDS = 1.2
WARM_UP = 1.0  # s: an open loop starts with an empty queue and an empty pool


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """One trial of a size in service: `pools` side by side, each of `pool_size` connections.

    An open loop of `rate` calls/s, for an overload followed by `calm` s of half the target rate;
    or, where `callers` is given, a closed loop of so many per pool. `gated` says whether the
    target's gate stands in front of each pool.
    """

    purpose: Purpose
    pool_size: int
    pools: int
    warm_up: float
    seconds: float
    because: str
    rate: float | None = None
    calm: float = 0.0
    callers: int | None = None
    gated: bool = True


def next_trial(
    trials: Sequence[Trial],
    objective: Objective,
    sizing: Sizing,
    *,
    most: int,
    left: float,
    gate: bool = False,
) -> VerifyPlan | None:
    """The verification to run now, or None when it is finished.

    `trials` are the open-loop trials so far, `most` is the largest size that one pool may have, and
    `left` the seconds of load that may still be spent; the predicted size is verified in any case.
    `gate`: whether the target has a gate, whose effect is then shown.
    """
    if sizing.size is None:
        return None
    search = Search(trials, objective, sizing, most)
    step = search.next_step()
    seconds = trial_seconds(objective)
    is_first = not any(trial.purpose == "verify" for trial in trials)
    has_time = left >= WARM_UP + seconds + _kept_back(gate)
    has_begun = any(trial.purpose == "overload" for trial in trials)
    if step is not None and (is_first or has_time) and not has_begun:
        return VerifyPlan(
            "verify",
            step.pool_size,
            objective.pools_left,
            WARM_UP,
            WARM_UP + seconds,
            f"verify: {step.because}",
            rate=objective.rate,
        )
    chosen = search.chosen()
    if latest(trials, chosen, "overload") is None:
        return VerifyPlan(
            "overload",
            chosen,
            objective.pools_left,
            WARM_UP,
            WARM_UP + OVERLOAD_SECONDS + CALM_SECONDS,
            f"verify: {units.plural(chosen, 'connection')} at {OVERLOAD:g} times the target "
            "rate, then half",
            rate=OVERLOAD * objective.rate,
            calm=CALM_SECONDS,
        )
    return _next_of_gate(trials, chosen) if gate else None


def trial_seconds(objective: Objective) -> float:
    """Length (s) of a trial at the target rate, its warm-up apart."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, LEAST_CALLS / objective.rate))


def _kept_back(gate: bool) -> float:
    """Seconds of load that the trials after those at the target rate take."""
    crowds = 2 * CROWD_SECONDS if gate else 0.0
    return WARM_UP + OVERLOAD_SECONDS + CALM_SECONDS + crowds


def calm_rate(overload_rate: float) -> float:
    """Half the target rate, from the rate of the overload before it (calls/s)."""
    return overload_rate / OVERLOAD / 2.0


def _next_of_gate(trials: Sequence[Trial], chosen: int) -> VerifyPlan | None:
    """More callers than connections, without the gate and with it."""
    gates = {
        t.gate is not None for t in trials if t.purpose == "fairness" and t.pool_size == chosen
    }
    for gated in (False, True):
        if gated not in gates:
            return VerifyPlan(
                "fairness",
                chosen,
                1,
                # Without a warm-up: those who starve began at once and are not to be cut off.
                0.0,
                CROWD_SECONDS,
                f"verify: {CROWD} callers for each of {units.plural(chosen, 'connection')}, "
                f"{'with' if gated else 'without'} the gate",
                callers=CROWD * chosen,
                gated=gated,
            )
    return None


def chosen_size(trials: Sequence[Trial], objective: Objective, sizing: Sizing) -> int:
    """The size to recommend: the smallest that clearly passed, else the one that came closest."""
    return Search(trials, objective, sizing, objective.largest).chosen()
