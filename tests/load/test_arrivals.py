"""Schedules are pure, ordered, and arrive at the rate they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.load.arrivals import constant, poisson, poisson_exact, ramp, replay, steps, thinned


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


@pytest.mark.parametrize(("first", "last"), [(0.0, 400.0), (400.0, 0.0), (100.0, 300.0), (50, 50)])
def test_a_ramp_moves_evenly_from_rate_to_rate(first: float, last: float) -> None:
    """Each tenth of the time holds as many arrivals as its own mean rate asks for."""
    due = np.array(list(ramp(first, last, 100.0, 5)))
    assert (np.diff(due) >= 0).all()
    counts, _ = np.histogram(due, bins=10, range=(0, 100))
    expected = np.array([10 * (first + (last - first) * (i + 0.5) / 10) for i in range(10)])
    assert (np.abs(counts - expected) <= 4.5 * np.sqrt(expected) + 1).all()


def test_steps_follow_each_other() -> None:
    """Each phase has its rate; a phase of rate 0 is silent."""
    due = np.array(list(steps([(300.0, 10.0), (0.0, 5.0), (100.0, 10.0)], 2)))
    assert (np.diff(due) >= 0).all()
    assert ((due >= 10) & (due < 15)).sum() == 0
    assert (due < 10).sum() == 3000
    assert (due >= 15).sum() == 1000
    assert due.max() < 25


def test_a_thinned_stream_has_the_rate_of_each_moment() -> None:
    """Each tenth of a day that falls evenly to nothing holds what its own mean rate asks for."""
    due = np.array(list(thinned(lambda at: 400.0 * (1.0 - at / 100.0), 400.0, 100.0, 5)))
    assert (np.diff(due) >= 0).all()
    counts, _ = np.histogram(due, bins=10, range=(0, 100))
    expected = np.array([4000.0 * (1.0 - (i + 0.5) / 10) for i in range(10)])
    assert (np.abs(counts - expected) <= 4.5 * np.sqrt(expected)).all()


def test_replay_keeps_the_gaps_and_begins_at_zero() -> None:
    """Timestamps of any origin, at any speed."""
    assert list(replay([1e9, 1e9 + 1, 1e9 + 4])) == [0.0, 1.0, 4.0]
    assert list(replay([10.0, 11.0, 14.0], speed=2.0)) == [0.0, 0.5, 2.0]
    assert list(replay([])) == []


@pytest.mark.parametrize(("timestamps", "speed"), [([2.0, 1.0], 1.0), ([1.0], 0.0), ([1.0], -1.0)])
def test_a_replay_that_cannot_be_is_refused(timestamps: list[float], speed: float) -> None:
    """Going back in time, and no speed."""
    with pytest.raises(ValueError, match="must be"):
        list(replay(timestamps, speed))


def test_a_ramp_without_a_rate_is_refused() -> None:
    """From nothing to nothing is no load."""
    with pytest.raises(ValueError, match="not both 0"):
        list(ramp(0.0, 0.0, 1.0, 1))


def test_an_exact_schedule_meets_its_rate_and_is_as_bursty() -> None:
    """The number is given; the gaps are exponential all the same."""
    due = np.array(list(poisson_exact(500, 60.0, 3)))
    assert due.size == 30_000
    gaps = np.diff(due)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)
