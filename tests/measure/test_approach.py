"""The climb to the target rate: in steps, and not on where the server strains."""

from __future__ import annotations

import pytest

from poolkit.analysis.sizing import size
from poolkit.measure.approach import SHARES, Strain, next_trial
from poolkit.measure.sweep import SweepLimits, spent
from poolkit.records import Check, Sizing, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import CpuBound, Upstream, Workers
from tests.analysis.synthetic import simulated_open_trial
from tests.measure.test_sweep import drive

ASKED = Objective(target_rate=400.0, growth=1.25, wait_p99=0.010, max_size=64)
QUICK = Workers(40, 0.02, 0.5)


def climbed(upstream: Upstream, asked: Objective = ASKED, *, left: float = 45.0) -> list[Trial]:
    """The trials of a climb on a simulated upstream."""
    trials: list[Trial] = []
    while plan := next_trial(trials, asked, left - spent(trials)):
        light = next((trial.mean_hold for trial in trials), None)
        trials.append(simulated_open_trial(upstream, plan, len(trials), asked.wait_p99, light))
        assert len(trials) < 20
    return trials


def sized(trials: list[Trial], asked: Objective = ASKED) -> Sizing:
    return size(Sweep(target="drawn", trials=tuple(trials)), asked)


def test_the_climb_takes_ten_seconds_and_never_more_than_the_rate_asked() -> None:
    """Four steps, growth included, in a pool of all that is allowed."""
    trials = climbed(QUICK)
    assert [trial.arrival_rate for trial in trials] == [share * 500.0 for share in SHARES]
    assert {trial.pool_size for trial in trials} == {64}
    assert spent(trials) <= 12.0


def test_the_climb_alone_gives_a_size() -> None:
    """500 calls of 20 ms keep 10 busy; brute force with this simulator needs 14."""
    found = sized(climbed(QUICK))
    assert found.size is not None
    assert 14 <= found.size <= 16
    assert found.verdict.name == "not_pushed"
    assert not found.knees
    assert found.plateau is None


@pytest.mark.parametrize("rate", [700.0, 1100.0])
def test_the_climb_ends_where_calls_in_use_keep_growing(rate: float) -> None:
    """A CPU that carries 500 calls/s: nothing beyond the step that was too much, cut short."""
    asked = ASKED.but(target_rate=rate, growth=1.0)
    trials = climbed(CpuBound(0.010, 0.002), asked)
    *before, last = trials
    assert last.cut_short is not None
    assert not any(trial.cut_short for trial in before)
    assert last.arrival_rate == next(s * rate for s in SHARES if s * rate > 500.0)
    assert last.window < 1.2
    found = sized(trials, asked)
    assert found.out_of_reach
    assert found.reachable_rate is not None
    assert 400.0 < found.reachable_rate < last.arrival_rate
    assert f"at {last.arrival_rate:.0f} calls/s" in found.verdict.evidence


def test_a_sweep_after_a_climb_that_ended_early_looks_between_one_and_the_most() -> None:
    """8 of 12 ms at once, asked for 900/s: a queue's time is not a call's, or 64 follow on 1.

    With these two alone throughput seems to rise, and the remedy would be a larger pool.
    """
    asked, upstream = ASKED.but(target_rate=900.0, growth=1.0), Workers(8, 0.012, 0.1)
    climb = climbed(upstream, asked)
    assert climb[-1].cut_short is not None
    trials = drive(upstream, SweepLimits(max_size=64, budget=20.0), asked, tuple(climb))
    sizes = [trial.pool_size for trial in trials if trial.purpose == "ramp"]
    assert sizes[0] == 1
    assert 4 <= sizes[1] <= 16
    found = sized(trials, asked)
    assert found.verdict.name == "server_bound"
    assert "is beyond what any size carries" in found.because


def test_a_step_that_this_machine_cut_short_is_measured_once_more() -> None:
    """A generator that was late itself says nothing of the server; twice it is believed."""
    first = climbed(QUICK)[0]
    late = Check(name="lag", passed=False, seen="late", why="", next="")
    doubtful = first.model_copy(
        update={"arrival_rate": 250.0, "cut_short": "grew", "checks": (late,)}
    )
    again = next_trial([first, doubtful], ASKED, 40.0)
    assert again is not None
    assert again.rate == 250.0
    assert next_trial([first, doubtful, doubtful], ASKED, 40.0) is None


def test_a_slow_trickle_gets_the_seconds_that_it_needs() -> None:
    """200 calls at 8/s: 22 s for the last step; with less left it takes what there is."""
    asked = ASKED.but(target_rate=8.0, growth=1.0)
    upstream = Workers(4, 0.05, 0.5)
    trials = climbed(upstream, asked)
    assert sum(trial.outcomes["ok"] for trial in trials) >= 195
    assert sized(trials, asked).size in (3, 4)  # brute force needs 3
    short = climbed(upstream, asked, left=12.0)
    assert spent(short) <= 13.0
    found = sized(short, asked)
    assert found.size is None
    assert "are needed" in found.because
    assert "--budget" in found.because


def test_a_cap_below_the_offered_load_is_named() -> None:
    """500 calls/s of 20 ms through 6 connections: the cap is in the way, not the server."""
    asked = ASKED.but(max_size=6)
    trials = climbed(QUICK, asked)
    found = sized(trials, asked)
    assert found.size is None
    assert "max_size = 6" in found.because


def test_one_look_is_no_strain() -> None:
    """A pause of the machine fills the pool for a moment: it must be seen twice in a row."""
    plan = next_trial([], ASKED, 40.0)
    assert plan is not None

    class Seen:
        def __init__(self, *in_use: float) -> None:
            self._in_use = iter(in_use)

        def mean_in_use(self, _begin: float, _end: float) -> float:
            return next(self._in_use)

    strain = Strain(plan, 0.02)
    looks = Seen(3.0, 40.0, 3.0, 40.0, 40.0)
    assert [strain(looks, at / 4) for at in range(5)] == [False, False, False, False, True]
