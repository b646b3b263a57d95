"""Schedules are pure, ordered, and arrive at the rate they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.load.arrivals import constant, poisson


@given(st.floats(0.1, 2000), st.floats(0, 5), st.integers(0, 1000))
def test_due_times_are_ordered_and_within_the_trial(rate: float, seconds: float, seed: int) -> None:
    """0 <= due < seconds, never going back."""
    for schedule in (constant(rate, seconds), poisson(rate, seconds, seed)):
        due = np.array(list(schedule))
        assert (np.diff(due) >= 0).all()
        assert ((due >= 0) & (due < seconds)).all()


def test_constant_is_evenly_spaced() -> None:
    """10 calls/s for a second are ten calls, 0.1 s apart."""
    due = list(constant(10, 1.0))
    assert due == pytest.approx([i / 10 for i in range(10)])


def test_poisson_has_its_rate_and_the_spread_of_exponential_gaps() -> None:
    """The count is within 4 standard errors, and gaps have a coefficient of variation of 1."""
    due = np.array(list(poisson(500, 60.0, 3)))
    assert abs(due.size - 30_000) < 4 * np.sqrt(30_000)
    gaps = np.diff(due)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)


def test_the_same_seed_gives_the_same_schedule() -> None:
    """A trial can be repeated exactly; another seed gives another schedule."""
    first = list(itertools.islice(poisson(100, 10, 1), 50))
    assert first == list(itertools.islice(poisson(100, 10, 1), 50))
    assert first != list(itertools.islice(poisson(100, 10, 2), 50))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    """A rate is more than 0 and finite; the message names rule and value."""
    with pytest.raises(ValueError, match="rate must be more than 0"):
        list(constant(rate, 1.0))
    with pytest.raises(ValueError, match="rate must be more than 0"):
        list(poisson(rate, 1.0, 1))
