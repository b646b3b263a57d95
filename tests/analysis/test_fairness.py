"""Starvation is told apart from waiting, and from having nobody to wait for."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.checks import fairness_check, jains_index
from poolkit.histogram import Histogram
from poolkit.records import Check


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
