"""Verification in virtual time: open-loop trials of simulated upstreams, and whole searches."""

from __future__ import annotations

from poolkit.measure import verify
from poolkit.records import Sizing, Trial
from poolkit.targets.objective import Objective
from tests.analysis import simulate
from tests.analysis.synthetic import simulated_open_trial

BUDGET = 25.0  # s of load that a sizing has left for its verification


def verified(
    upstream: simulate.Upstream,
    objective: Objective,
    sizing: Sizing,
    *,
    seed: int,
    budget: float = BUDGET,
    gate: bool = True,
) -> tuple[int, list[Trial], float]:
    """The size after verification, the trials at the target rate, and the seconds of load spent."""
    trials: list[Trial] = []
    spent = 0.0
    while True:
        plan = verify.next_trial(trials, objective, sizing, left=budget - spent, gate=gate)
        if plan is None or plan.purpose != "verify":
            break
        assert len(trials) < 50
        seeded = seed * 100 + len(trials)
        trials.append(simulated_open_trial(upstream, plan, seeded, objective.wait_p99))
        spent += plan.seconds
    return verify.chosen_size(trials, objective, sizing), trials, spent
