"""The checks of a trial: silent about what is no fault, loud about what is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poolkit.analysis.checks import (
    Cores,
    Evidence,
    drift_check,
    fairness_check,
    jains_index,
    run_checks,
    sentinel_size,
)
from poolkit.histogram import Histogram
from poolkit.measure.sweep import WINDOW_HOLDS
from poolkit.records import Check
from tests.analysis.simulate import CpuBound, Workers
from tests.analysis.synthetic import drawn_sweep, drawn_trial, simulated_trial, workers_curve

EVIDENCE = Evidence(
    calls=10_000,
    concurrency=16.0,
    littles_law=16.0,
    edges=0.002,
    cpu_share=0.3,
    loop_lag_p90=1e-4,
    halves=(800.0, 801.0),
    half_error=5.0,
    settled=True,
    in_system_halves=None,
    throughput=800.0,
    interval=(790.0, 810.0),
    mean_lag=None,
    lag_p99=None,
)


def passes(evidence: Evidence) -> bool:
    return next(check.passed for check in run_checks(evidence) if check.name == "littles_law")


def failed(evidence: Evidence) -> set[str]:
    return {check.name for check in run_checks(evidence) if not check.passed}


def cores(
    *, others: float = 0.4, stolen: float = 0.0, own: float = 0.15, waited: float | None = 0.01
) -> Cores:
    """Of two: a lab's server takes most of one, this process a third of the other."""
    return Cores(others, stolen, own, waited)


@pytest.mark.parametrize(
    ("lag", "cpu", "seen", "expected"),
    [
        # In time: what others take is no fault, for it may be the endpoint itself.
        (0.005, 0.85, cores(), set()),
        (0.005, 0.20, cores(others=0.85, waited=0.25), set()),
        (0.005, 0.20, cores(others=0.85, waited=0.26), {"machine_quiet"}),
        (0.005, 0.60, cores(others=0.65, waited=0.35), set()),  # it ran for longer than it waited
        # Late: by its own work, for want of a core, or because something in the client blocks it.
        (0.006, 0.90, cores(own=0.45), {"client_bound"}),
        (0.006, 0.90, cores(own=0.45, others=0.5, waited=0.06), {"client_bound"}),
        (0.006, 0.30, cores(others=0.8, waited=0.05), {"machine_quiet"}),
        (0.006, 0.30, cores(others=0.8, waited=0.04), {"client_bound"}),
        # A system that does not count how long a thread stood ready.
        (0.006, 0.30, cores(others=0.76, waited=None), {"machine_quiet"}),
        (0.006, 0.30, cores(others=0.74, waited=None), {"client_bound"}),
        # ... and one that tells nothing: as before.
        (0.006, 0.30, None, {"client_bound"}),
        (0.005, 0.30, None, set()),
        # The host gave the cores to another machine.
        (0.001, 0.30, cores(stolen=0.05), set()),
        (0.001, 0.30, cores(stolen=0.06), {"machine_quiet"}),
    ],
)
def test_a_late_loop_is_the_clients_or_the_machines(
    lag: float, cpu: float, seen: Cores | None, expected: set[str]
) -> None:
    """Which of the two it was, at the limits."""
    evidence = replace(EVIDENCE, loop_lag_p90=lag, cpu_share=cpu, cores=seen)
    assert failed(evidence) == expected
    names = [check.name for check in run_checks(evidence)]
    assert ("machine_quiet" in names) is (seen is not None)


@pytest.mark.parametrize(("callers", "cv"), [(1, 2.0), (4, 2.0), (16, 2.0), (2, 1.0), (24, 0.0)])
def test_calls_that_reach_over_the_edges_are_no_fault(callers: int, cv: float) -> None:
    """Short trials of very different calls, exactly simulated: hardly any is doubted."""
    doubted = 0
    for seed in range(40):
        trial = simulated_trial(Workers(24, 0.025, cv), callers, seed=seed)
        check = next(check for check in trial.checks if check.name == "littles_law")
        doubted += not check.passed
    # One connection has served 70 calls: the rare long ones, which weigh most, may be missing.
    assert doubted <= (6 if callers == 1 else 2)


@pytest.mark.parametrize(("apart", "expected"), [(0.05, True), (0.054, True), (0.06, False)])
def test_more_than_five_per_cent_and_the_edges_fail(apart: float, expected: bool) -> None:
    """5 %, a call in 10,000, and two standard errors of the edges."""
    for sign in (-1.0, 1.0):
        wrong = replace(EVIDENCE, littles_law=16.0 * (1.0 + sign * apart))
        assert passes(wrong) is expected


def test_long_windows_leave_the_edges_no_weight() -> None:
    """What they add falls with the length, so a lasting fault of 8 % shows."""
    short, long = (
        simulated_trial(Workers(24, 0.025, 1.0), 8, seconds=seconds) for seconds in (1.45, 20.0)
    )
    assert short.hold_time.mean == pytest.approx(0.025, rel=0.2)
    seen = [next(c for c in trial.checks if c.name == "littles_law") for trial in (short, long)]
    assert all(check.passed for check in seen)
    assert not passes(replace(EVIDENCE, littles_law=16.0 * 1.08, edges=1e-3))


@pytest.mark.parametrize("callers", [32, 64])
def test_a_trial_that_ends_early_keeps_its_batches(callers: int) -> None:
    """A busy thread is narrow at once; what MSER-5 then cuts must leave an interval."""
    upstream = CpuBound(delay=0.021, cpu=0.0016, cv=0.4)
    for seed in range(12):
        trial = simulated_trial(
            upstream,
            callers,
            warm_up=max(0.25, 3 * callers / 625),
            seconds=(3 + WINDOW_HOLDS) * callers / 625,
            seed=seed,
            ends_early=True,
        )
        assert trial.throughput_interval95 is not None, seed


def check(waits: list[float], *, crowded: bool, hold: float = 0.02) -> Check | None:
    histogram = Histogram()
    histogram.add(np.array(waits))
    return fairness_check(histogram.distribution(), hold=hold, crowded=crowded)


def test_equal_waits_are_fair_and_one_that_has_all_is_not() -> None:
    """Jain's index is 1 for equal waits and 1/n where one caller waits for all."""
    assert jains_index({100: 50}) == pytest.approx(1.0)
    assert jains_index({0: 49, 900: 1}) == pytest.approx(1 / 50, rel=1e-6)
    assert jains_index({0: 50}) is None
    assert jains_index({}) is None


@pytest.mark.parametrize(
    ("waits", "crowded", "passed"),
    [
        ([0.16] * 500, True, True),
        ([0.0] * 480 + [3.0] * 20, True, False),
        ([0.0] * 980 + [0.1] * 20, False, True),
        ([0.0] * 500 + [0.002] * 499 + [3.0], False, False),
    ],
    ids=["a fair queue", "starved", "a few waits of an open loop", "one overtaken for ever"],
)
def test_which_waits_are_fair(waits: list[float], crowded: bool, passed: bool) -> None:
    """In a crowd all wait alike; in an open loop few wait, and none much longer than the others."""
    made = check(waits, crowded=crowded)
    assert made is not None
    assert made.passed is passed
    assert "gate" in made.next


def test_short_waits_harm_nobody() -> None:
    """Where the longest wait is a few hold times there is nothing to say."""
    assert check([0.0] * 100 + [0.05] * 5, crowded=True) is None
    assert check([], crowded=False) is None


def test_waits_of_a_real_queue_pass() -> None:
    """Exponential waits, as in M/M/c, are not starvation."""
    waits = np.random.default_rng(1).exponential(0.05, 5000).tolist()
    made = check(waits, crowded=False)
    assert made is not None
    assert made.passed


TRIALS = drawn_sweep(workers_curve(12, 0.02), [1, 2, 4, 8, 16, 32]).trials


def test_the_sentinel_is_where_the_curve_is_steep() -> None:
    """The first size of the ramp that reaches half the plateau."""
    assert sentinel_size(TRIALS) == 8
    assert sentinel_size(TRIALS[:1]) is None
    assert sentinel_size(()) is None


@pytest.mark.parametrize(
    ("throughput", "passed"), [(400.0, True), (412.0, True), (300.0, False), (520.0, False)]
)
def test_a_change_beyond_the_noise_is_drift(throughput: float, passed: bool) -> None:
    """Faster and slower alike."""
    check = drift_check(drawn_trial(8, throughput, purpose="sentinel"), TRIALS)
    assert check.passed is passed
    assert "at the end" in check.seen


def test_without_an_earlier_trial_there_is_no_answer() -> None:
    """An unknown is not a pass."""
    assert not drift_check(drawn_trial(5, 100.0, purpose="sentinel"), TRIALS).passed
