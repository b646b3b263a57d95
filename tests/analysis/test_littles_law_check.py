"""Little's Law as a check: silent about a window's edges, loud where stamps are wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolkit.analysis.checks import Evidence, run_checks
from poolkit.measure.sweep import WINDOW_HOLDS
from tests.analysis.simulate import CpuBound, Workers
from tests.analysis.synthetic import simulated_trial

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
