"""Which finished trials of a target still count when it is measured once more; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit.measure.at_limit import whole
from poolkit.measure.verify import OVERLOAD, calm_rate
from poolkit.records import Resumed, Trial
from poolkit.targets.objective import Objective

_TOLERANCE = 1e-6  # of a rate: what its way through JSON and a product may cost


def is_of_question(trial: Trial, objective: Objective) -> bool:
    """Whether a trial helps to answer what is asked.

    One of the curve always does; one that tried a size in service does not at another rate, or with
    another number of pools.
    """
    rate = objective.rate
    asked = {
        "verify": rate,
        "overload": OVERLOAD * rate,
        "recovery": calm_rate(OVERLOAD * rate),
        "cold": rate,
        "lost_replica": rate,
        "surge": rate,
    }.get(trial.purpose)
    if asked is None or trial.arrival_rate is None:
        return True

    def same_wait(limit: float) -> bool:
        return objective.wait_p99 is None or math.isclose(limit, objective.wait_p99)

    same_rate = math.isclose(trial.arrival_rate, asked, rel_tol=_TOLERANCE)
    if trial.cold is not None:
        return same_rate and same_wait(trial.cold.wait_limit) and trial.pools == objective.pools
    if trial.change is not None:
        then = objective.pools_rolling if trial.purpose == "surge" else objective.pools_left
        pools = trial.change.pools_before, trial.change.pools_after
        return same_rate and same_wait(trial.change.wait_limit) and pools == (objective.pools, then)
    return same_rate and trial.pools == objective.pools_left


def counting(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """The trials that a measurement goes on from.

    One that a brake ended is measured again: the endpoint may be well by now. Not where a limit of
    the server stopped it, which is a finding.
    """
    return [trial for trial in whole(trials) if is_of_question(trial, objective)]


def resumed(trials: Sequence[Trial]) -> Resumed | None:
    """How many trials there are and from when; None where there is none."""
    if not trials:
        return None
    # All in UTC and of one form, so that their order as texts is that of time.
    began = [trial.started for trial in trials]
    return Resumed(trials=len(trials), oldest=min(began), newest=max(began))
