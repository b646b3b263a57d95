"""Verification where nothing is asked of the times, in simulated trials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolkit.analysis.sizing import size
from poolkit.measure import verify
from poolkit.measure.sweep import TrialPlan
from poolkit.measure.verify.as_soon import served_as_soon
from poolkit.records import Sizing, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Upstream, Workers
from tests.analysis.synthetic import simulated_open_trial, simulated_trial
from tests.simulated_service import verified

SERVICE, AT = Workers(7, 0.025, 0.5), Objective(target_rate=224.0)
BUSY, AT_BUSY = Workers(7, 0.025, 0.5), Objective(target_rate=252.0)
PARALLEL, AT_PARALLEL = Workers(24, 0.025, 0.5), Objective(target_rate=600.0)
SIZES = (1, 2, 4, 6, 7, 8, 10, 12, 16, 18, 20, 22, 24, 32, 48)


def sized(upstream: Upstream, objective: Objective) -> Sizing:
    trials = tuple(simulated_trial(upstream, n, seconds=3.0, seed=3) for n in SIZES)
    return size(Sweep(target="simulated", trials=trials), objective)


def at_rate(
    upstream: Upstream, pool_size: int, objective: Objective, seed: int, purpose: str = "verify"
) -> Trial:
    plan = TrialPlan("verify", pool_size, 1.0, 9.0, "", pools=1, rate=objective.rate)
    trial = simulated_open_trial(upstream, plan, seed, None)
    return trial.model_copy(update={"purpose": purpose})


@pytest.mark.parametrize(
    ("upstream", "objective", "small"),
    [(SERVICE, AT, 6), (BUSY, AT_BUSY, 6), (PARALLEL, AT_PARALLEL, 16)],
)
def test_a_size_that_is_too_small_is_told(
    upstream: Upstream, objective: Objective, small: int
) -> None:
    """Of 20 trials at the right size nearly all pass, of 20 at a small one nearly none."""
    sizing = sized(upstream, objective)
    assert sizing.size is not None

    def passes(pool_size: int) -> int:
        return sum(
            served_as_soon(
                [at_rate(upstream, pool_size, objective, seed)], pool_size, objective, sizing
            ).passed
            for seed in range(20)
        )

    assert passes(sizing.size) >= 17
    assert passes(small) <= 3


@pytest.mark.parametrize(
    ("upstream", "objective", "least", "most"),
    [(SERVICE, AT, 7, 9), (BUSY, AT_BUSY, 7, 12), (PARALLEL, AT_PARALLEL, 19, 23)],
)
def test_whole_verifications(
    upstream: Upstream, objective: Objective, least: int, most: int
) -> None:
    """A right size stays, in two trials or fewer as a rule; one that is too small grows."""
    sizing = sized(upstream, objective)
    found = [verified(upstream, objective, sizing, seed=seed, budget=40.0) for seed in range(10)]
    assert all(least <= chosen <= most for chosen, _, _ in found)
    assert sum(len(trials) <= 2 for _, trials, _ in found) >= 7
    small = sizing.model_copy(update={"size": least - 4 if least > 9 else least - 1})
    right = next(row for row in sizing.predictions if row.pool_size == sizing.size)
    assert small.size is not None
    # The curve promised at the small size what only the right one holds.
    promised = right.model_copy(update={"pool_size": small.size})
    small = small.model_copy(update={"predictions": (promised,)})
    grown = [verified(upstream, objective, small, seed=seed, budget=80.0)[0] for seed in range(5)]
    assert all(chosen > small.size for chosen in grown)


def test_a_slower_upstream_asks_for_no_larger_pool() -> None:
    """Calls a fifth longer than the curve said: a roomy pool at the rate shows that none helps."""
    sizing, slower = sized(SERVICE, AT), replace(SERVICE, service_time=0.029)
    assert sizing.size is not None
    roomy = [at_rate(slower, 32, AT, 9, "approach")]
    own = [at_rate(slower, sizing.size, AT, seed) for seed in range(3)]
    assert not served_as_soon(own, sizing.size, AT, sizing).passed
    assert served_as_soon([*roomy, *own], sizing.size, AT, sizing).passed


def test_the_signs_say_so() -> None:
    """The sign of a right size names what was seen and what is the best known."""
    sizing = sized(SERVICE, AT)
    assert sizing.size is not None
    trials = [at_rate(SERVICE, sizing.size, AT, 4)]
    found = verify.verification(trials, sizing.size, AT, sizing)
    assert found is not None
    sign = next(signal for signal in found.signals if signal.name == "response_in_time")
    assert sign.passed
    assert "mean response" in sign.seen
    assert "the best known is" in sign.seen
