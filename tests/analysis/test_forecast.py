"""Forecasts of weekly peaks: what the interval is made of, and when nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.analysis.forecast import (
    FIRST,
    LEAST_ERRORS,
    SHORTEST,
    Forecast,
    TooShort,
    backtest,
    forecast,
    interval,
    past_errors,
)
from tests.bench.forecast import made

lines = st.tuples(
    st.integers(SHORTEST, 70),  # weeks
    st.floats(-0.01, 0.02),  # of the first week, a week
    st.integers(0, 2**32 - 1),
)


def peaks(weeks: int, slope: float, seed: int) -> list[float]:
    noise = np.random.default_rng(seed).lognormal(0, 0.05, weeks)
    return list(300.0 * (1 + slope * np.arange(weeks)) * noise)


def told(series: list[float] | list[float | None], weeks: int = 13) -> Forecast:
    found = forecast(series, weeks)
    assert isinstance(found, Forecast)
    return found


@given(lines)
@settings(max_examples=10, deadline=None)
def test_the_interval_holds_the_middle_and_never_narrows(line: tuple[int, float, int]) -> None:
    """No week is told more closely than the one before it, and none below 0."""
    found = told(peaks(*line))
    low, middle, high = map(np.array, (found.lower, found.middle, found.upper))
    assert np.all(low >= 0)
    assert np.all((low <= middle) & (middle <= high))
    assert np.all(np.diff(high - middle) >= -1e-9 * high[1:])
    is_above_0 = low[1:] > 0
    assert np.all(np.diff(middle - low)[is_above_0] >= -1e-9 * high[1:][is_above_0])


@given(lines, st.floats(1e-3, 1e6))
@settings(max_examples=10, deadline=None)
def test_in_another_unit_it_is_the_same_forecast(
    line: tuple[int, float, int], factor: float
) -> None:
    """Calls a minute in place of calls/s change the unit of the answer and nothing else."""
    series = peaks(*line)
    one, other = told(series), told([factor * peak for peak in series])
    for ours, theirs in zip(
        (one.lower, one.middle, one.upper), (other.lower, other.middle, other.upper), strict=True
    ):
        assert theirs == pytest.approx([factor * rate for rate in ours], rel=1e-6)
    assert (one.origins, one.judged, one.inside) == (other.origins, other.judged, other.inside)


def test_a_straight_line_goes_on_and_nothing_is_in_doubt() -> None:
    """Without noise the forecast is the truth."""
    found = told([100.0 + 2 * week for week in range(54)], 26)
    assert found.middle == pytest.approx([208 + 2 * week for week in range(26)])
    assert found.upper == pytest.approx(found.middle)
    assert found.slope == pytest.approx(2.0)


def test_a_step_moves_the_level_at_once() -> None:
    """Eight weeks after a step the line begins at the new level, not half way up."""
    found = told([100.0] * 40 + [150.0] * 8)
    assert found.middle[0] == pytest.approx(150, rel=0.03)
    assert found.upper[0] > 170  # steps have been seen


def test_the_back_test_is_what_was_known_then() -> None:
    """Counted by brute force: each past forecast from the first weeks of the series alone."""
    series, weeks = np.array(peaks(43, 0.01, 7)), 6
    errors = past_errors(series, weeks)
    origins = judged = inside = 0
    for origin in range(FIRST, len(series)):
        low, high = interval(past_errors(series[:origin], weeks))
        seen = errors[origin, : len(low)]
        seen = seen[~np.isnan(seen)]
        origins += bool(len(seen))
        judged += len(seen)
        inside += sum(a <= x <= b for a, x, b in zip(low, seen, high, strict=False))
    assert (origins, judged, inside) == backtest(errors)
    assert told(list(series), weeks).coverage == inside / judged


def test_an_interval_leaves_out_a_tenth_at_either_end() -> None:
    """Of 19 errors the 2nd and the 18th: one of 20 places is left out twice at each end."""
    errors = np.full((19, 2), np.nan)
    errors[:, 0] = np.random.default_rng(1).permutation(np.arange(-9.0, 10.0))
    errors[: LEAST_ERRORS - 1, 1] = 1.0  # too few of them
    low, high = interval(errors)
    assert (list(low), list(high)) == ([-8.0], [8.0])


def test_of_forty_weeks_a_quarter_can_be_told() -> None:
    """The shortest series: a quarter ahead, and some weeks of back-test."""
    found = told(peaks(SHORTEST, 0.01, 1), 26)
    assert (found.horizon, found.origins) == (13, 12)
    assert told(peaks(53, 0.01, 1), 26).horizon == 26


@pytest.mark.parametrize("count", [0, 1, SHORTEST - 1])
def test_fewer_weeks_are_too_short_to_say(count: int) -> None:
    """An answer, not an exception; gaps are no weeks."""
    series: list[float | None] = [*peaks(count, 0.01, 1), None, math.nan, None]
    found = forecast(series)
    assert isinstance(found, TooShort)
    assert (found.weeks, found.needed) == (count, SHORTEST)


def test_gaps_are_no_demand() -> None:
    """Some weeks without a peak change little; too many leave nothing to try a forecast from."""
    whole: list[float | None] = [*peaks(60, 0.01, 3)]
    holed = [None if week % 9 == 4 else peak for week, peak in enumerate(whole)]
    assert told(holed).middle == pytest.approx(told(whole).middle, rel=0.05)
    apart = [*whole[:20], *[None] * 60, *whole[20:40], None]
    assert isinstance(forecast(apart), TooShort)


@pytest.mark.parametrize("peak", [0.0, -1.0, math.inf])
def test_a_peak_is_more_than_0(peak: float) -> None:
    """A week in which nothing was served is a gap, and says so."""
    with pytest.raises(ValueError, match="more than 0"):
        forecast([peak] * 50)


def test_weeks_ahead_have_an_end() -> None:
    """Half a year, and no further."""
    with pytest.raises(ValueError, match="1 to 26, got 27"):
        forecast([1.0] * 50, 27)


@pytest.mark.parametrize("kind", ["trend", "step"])
def test_the_interval_holds_what_it_is_meant_to(kind: str) -> None:
    """Fewer series than the benchmark's, with room for their noise."""
    held = []
    for seed in range(1000, 1012):
        series = made(kind, seed, 52, 13)
        found = told(list(series[:52]))
        truth = series[52:]
        held.append(((found.lower <= truth) & (truth <= found.upper)).mean())
    assert 0.62 <= np.mean(held) <= 0.97
