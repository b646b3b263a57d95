"""The sweep's decisions, driven by simulated upstreams of known truth."""

from __future__ import annotations

import math

import pytest

from poolkit.analysis.curve import relative_error
from poolkit.analysis.disturbed import marked
from poolkit.analysis.sizing import size
from poolkit.measure.sweep import SweepLimits, TrialPlan, next_trial, refinements, spent
from poolkit.records import Check, Outcome, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import CpuBound, Upstream, Workers
from tests.analysis.synthetic import drawn_trial, simulated_trial

LIMITS = SweepLimits(max_size=64, budget=22.0)


def objective(rate: float = 300.0, max_size: int = 64) -> Objective:
    return Objective(target_rate=rate, wait_p99=0.010, max_size=max_size)


def measured(upstream: Upstream, plan: TrialPlan, seed: int) -> Trial:
    return simulated_trial(
        upstream,
        plan.pool_size,
        warm_up=plan.warm_up,
        seconds=plan.seconds,
        seed=seed,
        purpose=plan.purpose,
        ends_early=True,
    )


def drive(
    upstream: Upstream, limits: SweepLimits, asked: Objective, begin: tuple[Trial, ...] = ()
) -> list[Trial]:
    """Run the sweep to its end; it must end."""
    trials = list(begin)
    while (plan := next_trial(trials, asked, limits)) is not None:
        trials.append(measured(upstream, plan, seed=len(trials)))
        assert len(trials) < 100
    return trials


def workers(count: int = 12, hold: float = 0.02, cv: float = 0.5) -> Upstream:
    return Workers(count, hold, cv)


def ramp_of(trials: list[Trial]) -> list[int]:
    return [trial.pool_size for trial in trials if trial.purpose == "ramp"]


def test_the_ramp_doubles_until_throughput_stops_rising() -> None:
    """Twelve workers: 1, 2, 4, 8, 16, and 32 shows that nothing more comes."""
    assert ramp_of(drive(workers(), LIMITS, objective())) == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("max_size", "sizes"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 2, 3]),
        (5, [1, 2, 5]),
        (8, [1, 2, 4, 8]),
        (10, [1, 2, 4, 10]),
        (12, [1, 2, 4, 8, 12]),
        (40, [1, 2, 4, 8, 16, 40]),
    ],
)
def test_no_trial_is_larger_than_max_size(max_size: int, sizes: list[int]) -> None:
    """The ramp ends at max_size itself, without a last step that would hardly differ."""
    limits = SweepLimits(max_size=max_size, budget=15.0)
    trials = drive(workers(count=100), limits, objective(rate=40.0, max_size=max_size))
    assert ramp_of(trials) == sizes
    assert max(trial.pool_size for trial in trials) == max_size


def test_after_the_ramp_it_looks_next_to_the_answer() -> None:
    """The recommended size, or one within a connection of it, was measured itself."""
    trials = drive(workers(), LIMITS, objective())
    answer = size(Sweep(target="t", trials=tuple(trials)), objective()).size
    assert answer is not None
    assert min(abs(trial.pool_size - answer) for trial in trials) <= 1


def test_the_budget_is_kept() -> None:
    """Beyond the ramp no trial begins that does not fit into what is left."""
    for budget in (10.0, 15.0, 30.0):
        limits = SweepLimits(max_size=64, budget=budget)
        trials = drive(workers(), limits, objective())
        ramp = spent([trial for trial in trials if trial.purpose == "ramp"])
        assert spent(trials) <= max(budget, ramp)


def test_it_ends_before_the_budget_when_every_size_was_repeated_often() -> None:
    """A budget without end is not spent: repeats are bounded."""
    limits = SweepLimits(max_size=4, budget=1000.0)
    trials = drive(workers(count=3), limits, objective(rate=50.0, max_size=4))
    assert spent(trials) < 60.0


def test_the_sizes_that_the_user_names_are_measured_and_no_others() -> None:
    """Once each in order, then repeats."""
    limits = SweepLimits(max_size=64, budget=14.0, sizes=(8, 2, 4))
    trials = drive(workers(), limits, objective())
    assert [trial.pool_size for trial in trials[:3]] == [2, 4, 8]
    assert {trial.pool_size for trial in trials} == {2, 4, 8}
    assert len(trials) > 3


@pytest.mark.parametrize(
    ("upstream", "asked", "seconds", "trials"),
    [
        (workers(count=8, hold=0.01, cv=0.0), 480.0, 17.0, 13),
        (CpuBound(0.004, 0.0025, 0.3), 320.0, 17.0, 12),
    ],
)
def test_it_ends_early_where_everything_is_narrow(
    upstream: Upstream, asked: float, seconds: float, trials: int
) -> None:
    """Steady upstreams need no repeats to be known: seconds are left of the 30."""
    limits = SweepLimits(max_size=64, budget=30.0)
    done = drive(upstream, limits, objective(asked))
    assert spent(done) <= seconds
    assert len(done) <= trials
    assert done[-1].purpose == "sentinel"


def test_what_is_known_worst_is_repeated_until_the_budget_is_spent() -> None:
    """Of the sizes that matter, the one with the widest interval, while nothing is narrow."""
    asked, limits = objective(240.0, max_size=32), SweepLimits(max_size=32, budget=30.0)
    trials = drive(workers(count=8, hold=0.02, cv=2.0), limits, asked)
    assert spent(trials) >= 0.85 * limits.budget
    # The ramp's own repeats come before any refinement.
    first = next(index for index, trial in enumerate(trials) if trial.purpose == "refine")
    repeats = [n for n, trial in enumerate(trials) if n > first and trial.purpose == "repeat"]
    assert len(repeats) >= 2
    before = size(Sweep(target="t", trials=tuple(trials[: repeats[0]])), asked)
    errors = {point.pool_size: relative_error(point) for point in before.points}
    # A size whose only trial failed a check is not among the points: nothing is known worse.
    unknown = {trial.pool_size: math.inf for trial in trials[: repeats[0]]} | errors
    matters = {1, max(unknown), *refinements(before, limits.max_size)} & set(unknown)
    assert unknown[trials[repeats[0]].pool_size] == max(unknown[n] for n in matters)


def test_a_plateau_near_the_end_of_the_range_is_looked_at() -> None:
    """Forty workers and 64 connections: after 32 and 64 only a size between shows it is flat."""
    trials = drive(workers(count=40, hold=0.012), LIMITS, objective(2000.0))
    assert 48 in {trial.pool_size for trial in trials}
    sizing = size(Sweep(target="t", trials=tuple(trials)), objective(2000.0))
    knee = next(one for one in sizing.knees if one.rule == "littles_law")
    assert knee.size == pytest.approx(40.0, rel=0.1)


def test_a_fleet_is_refined_at_the_connections_of_all_its_pools() -> None:
    """A pool of 5 in each of 4 processes is 20 connections of the curve, max_size permitting."""
    answer = size(Sweep(target="t", trials=()), objective()).model_copy(update={"size": 5})
    assert 20 in refinements(answer, 64, pools=4)
    assert max(refinements(answer, 18, pools=4)) == 18


@pytest.mark.parametrize("share", [0.55, 0.45])
@pytest.mark.parametrize("index", [0, 3, 6])
def test_one_disturbed_trial_does_not_end_the_ramp(index: int, share: float) -> None:
    """24 workers, one trial of the ramp read low: the plateau is found, and a size named."""
    upstream, asked = workers(count=24, hold=0.025), objective(600.0)
    limits = SweepLimits(max_size=64, budget=30.0)
    trials: list[Trial] = []
    while (plan := next_trial(trials, asked, limits)) is not None:
        trial = measured(upstream, plan, seed=len(trials))
        if sum(t.purpose == "ramp" for t in trials) == index and plan.purpose == "ramp":
            trial = trial.model_copy(update={"throughput": share * trial.throughput})
        trials.append(trial)
        assert len(trials) < 100
    assert max(trial.pool_size for trial in trials) == 64
    assert spent(trials) <= limits.budget
    answer = size(Sweep(target="t", trials=tuple(trials)), asked)
    assert answer.size is not None, answer.because
    assert 19 <= answer.size <= 24


@pytest.mark.parametrize("purpose", ["ramp", "refine"])
def test_a_disturbed_trial_is_measured_again_and_not_fitted(purpose: str) -> None:
    """24 workers, one trial that somebody else made slow: the answer is as without it."""
    upstream, asked = workers(count=24, hold=0.025), objective(600.0)
    limits = SweepLimits(max_size=64, budget=30.0)
    trials: list[Trial] = []
    again: list[TrialPlan] = []
    while (plan := next_trial(trials, asked, limits)) is not None:
        trial = measured(upstream, plan, seed=len(trials))
        is_disturbed = plan.pool_size >= 12 and trials[-1].purpose == plan.purpose == purpose
        if is_disturbed and not any(t.seed == -1 for t in trials):
            slow = {"throughput": 0.7 * trial.throughput, "seed": -1}
            trial = trial.model_copy(update=slow)
        again += [plan] if plan.because.startswith("again: ") else []
        trials = marked([*trials, trial])
    (disturbed,) = (trial for trial in trials if trial.seed == -1)
    assert [plan.pool_size for plan in again] == [disturbed.pool_size]
    assert again[0].purpose == "repeat"
    assert [check.name for check in disturbed.failed_checks] == ["machine_quiet"]
    assert spent(trials) <= limits.budget
    answer = size(Sweep(target="t", trials=tuple(trials)), asked)
    sound = tuple(trial for trial in trials if trial.seed != -1)
    assert answer.size == size(Sweep(target="t", trials=sound), asked).size


def test_the_ramp_goes_on_where_later_trials_show_no_plateau() -> None:
    """Whatever their purpose: what ended it was not true."""
    begun = [drawn_trial(n, n / 0.02) for n in (1, 2, 4)]
    begun += [drawn_trial(8, 165.0), drawn_trial(8, 165.0, purpose="repeat")]
    ended = next_trial(begun, objective(600.0), LIMITS)
    assert ended is not None
    assert ended.purpose != "ramp"
    more = [drawn_trial(n, n / 0.02, purpose="repeat") for n in (8, 8, 6)]
    on = next_trial([*begun, *more], objective(600.0), LIMITS)
    assert on is not None
    assert (on.pool_size, on.purpose) == (16, "ramp")


def test_the_ramp_does_not_go_on_past_refusals() -> None:
    """Throughput still rises, but the server turns calls away: no more connections."""
    begun = [drawn_trial(n, n / 0.02) for n in (1, 2, 4)]
    refused: dict[Outcome, int] = {"ok": 975, "rejected": 25}
    begun.append(drawn_trial(8, 390.0, outcomes=refused, error_kinds={"http_429": 25}))
    for _ in range(5):
        plan = next_trial(begun, objective(600.0), LIMITS)
        if plan is None:
            break
        assert plan.pool_size <= 8
        begun.append(drawn_trial(plan.pool_size, plan.pool_size / 0.02, purpose=plan.purpose))


def test_a_disturbed_trial_is_not_tried_again_where_calls_were_refused() -> None:
    """However busy the machine was: the server has said that it does not take so many."""
    busy = Check(name="machine_quiet", passed=False, seen="others took 97%", why="", next="")
    refused: dict[Outcome, int] = {"ok": 975, "rejected": 25}
    begun = [drawn_trial(n, n / 0.02) for n in (1, 2, 4)]
    last = drawn_trial(8, 390.0, checks=[busy])
    plan = next_trial([*begun, last], objective(600.0), LIMITS)
    assert plan is not None
    assert (plan.pool_size, plan.because[:6]) == (8, "again:")
    last = last.model_copy(update={"outcomes": refused, "error_kinds": {"http_429": 25}})
    plan = next_trial([*begun, last], objective(600.0), LIMITS)
    assert plan is None or plan.pool_size < 8


def test_a_resumed_sweep_goes_on_where_it_was() -> None:
    """What comes next depends on the finished trials only."""
    whole = drive(workers(), LIMITS, objective())
    resumed = drive(workers(), LIMITS, objective(), begin=tuple(whole[:5]))
    assert [t.pool_size for t in resumed] == [t.pool_size for t in whole]


def test_slow_calls_get_longer_windows() -> None:
    """Half-second calls cannot be measured in a second: the window follows the hold time."""
    upstream = workers(count=4, hold=0.5)
    first = next_trial([], objective(rate=5.0), LIMITS)
    assert first is not None
    begun = [measured(upstream, first, seed=1)]
    second = next_trial(begun, objective(rate=5.0), LIMITS)
    assert second is not None
    assert second.seconds - second.warm_up >= 25 * 0.4
