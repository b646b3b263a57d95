"""A sentinel size, measured first and last, tells whether the endpoint changed in between."""

from __future__ import annotations

import pytest

from poolkit.analysis.checks import drift_check, sentinel_size
from tests.analysis.synthetic import drawn_sweep, drawn_trial, workers_curve

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
