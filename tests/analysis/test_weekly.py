"""A finer series becomes weekly peaks: windows, whole weeks, gaps."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from poolkit.analysis.weekly import WEEK, weekly_peaks

MONDAY = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
STEP = 15.0  # s between two samples


def series(weeks: float, begin: float = MONDAY) -> tuple[np.ndarray, np.ndarray]:
    """A rate that is 100 calls/s in the first week, 110 in the second and so on."""
    at = begin + np.arange(0, weeks * WEEK, STEP)
    return at, 100 + 10 * np.floor((at - MONDAY) / WEEK)


def test_each_whole_week_has_its_peak() -> None:
    """Monday to Sunday, UTC."""
    found = weekly_peaks(*series(3))
    assert (found.first_day, found.rates, found.remarks) == ("2026-01-05", (100, 110, 120), ())


def test_weeks_at_the_ends_are_left_out_where_not_seen_whole() -> None:
    """Half a week may have missed its peak."""
    found = weekly_peaks(*series(3, begin=MONDAY - WEEK / 2))
    assert (found.first_day, found.rates) == ("2026-01-05", (100, 110))
    assert found.remarks == ("2 weeks at the ends not seen whole",)


def test_a_peak_is_the_busiest_five_minutes() -> None:
    """Half an hour once a week counts; of a moment only its share of five minutes does."""
    at, rates = series(2)
    hour = (at >= MONDAY + 40_000) & (at < MONDAY + 41_800)
    moment = at == MONDAY + WEEK + 30_000
    rates = rates + 200 * hour + 200 * moment
    assert weekly_peaks(at, rates).rates == pytest.approx((300, 120))


def test_a_coarse_series_is_taken_as_it_is() -> None:
    """A sample a day: each is the peak of its day already."""
    at = MONDAY + 86_400 * np.arange(21)
    found = weekly_peaks(at, np.arange(1.0, 22))
    assert found.rates == (7, 14, 21)


def test_a_week_with_a_day_missing_is_a_gap() -> None:
    """It may have had its peak then; a week without calls tells nothing either."""
    at, rates = series(4)
    lost = (at >= MONDAY + WEEK) & (at < MONDAY + WEEK + 86_400 + 600)
    hour = (at >= MONDAY) & (at < MONDAY + 3600)
    down = (at >= MONDAY + 2 * WEEK) & (at < MONDAY + 3 * WEEK)
    rates = np.where(lost | hour, math.nan, np.where(down, 0.0, rates))
    found = weekly_peaks(at, rates)
    assert (found.rates, found.gaps) == ((100, None, None, 130), (1, 2))
    assert found.remarks == ("2 weeks in between with a day or more missing",)


@pytest.mark.parametrize(
    ("at", "rates", "said"),
    [
        ([MONDAY, MONDAY + 15], [1.0], "one length, got 2 and 1"),
        ([MONDAY + 15, MONDAY], [1.0, 1.0], "ascending"),
        ([MONDAY, MONDAY], [1.0, 1.0], "each once"),
        ([MONDAY, MONDAY + 15], [1.0, -1.0], "0 or more"),
        ([MONDAY, MONDAY + 15], [1.0, math.inf], "finite"),
        ([MONDAY, MONDAY + 15], [1.0, 1.0], "no week"),
        ([MONDAY], [1.0], "two moments"),
        ([MONDAY, MONDAY + 15], [math.nan, math.nan], "no week"),
    ],
)
def test_what_is_no_series_is_refused(at: list[float], rates: list[float], said: str) -> None:
    """Each with its rule."""
    with pytest.raises(ValueError, match=said):
        weekly_peaks(at, rates)
