"""A compressed day: from the night's rate to the peak and back, the same for the same seed."""

from __future__ import annotations

import pytest

from poolkit.errors import BadInput
from poolkit.lab.service.day import Day, check_length, live


@pytest.mark.parametrize(
    ("day", "rates"),
    [
        (Day(100.0, 80.0, 0.25), {0.0: 20.0, 25.0: 50.0, 50.0: 80.0, 75.0: 50.0, 99.99: 20.0}),
        (Day(100.0, 80.0, 0.0), {0.0: 0.0, 50.0: 80.0}),
        (
            Day(100.0, 80.0, 0.5, "steps"),
            {0.0: 40.0, 19.9: 40.0, 20.1: 60.0, 40.1: 80.0, 59.9: 80.0, 60.1: 60.0, 99.9: 40.0},
        ),
    ],
)
def test_the_rate_over_a_day(day: Day, rates: dict[float, float]) -> None:
    """Night, the way up, noon, the way down."""
    assert {at: day.rate(at) for at in rates} == pytest.approx(rates, abs=0.01)


def test_a_day_can_be_lived_again() -> None:
    """The same seed is the same day; another one has as many calls, but for chance."""
    day = Day(100.0, 200.0)
    first, again, other = (list(day.arrivals(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert abs(len(first) - 12_500) < 4 * 12_500**0.5 > abs(len(other) - 12_500)
    assert first == sorted(first)
    assert first[-1] < 100.0


def test_a_day_is_sent_to_this_machine_only() -> None:
    """Nothing is sent elsewhere, and no day is endless."""
    with pytest.raises(BadInput, match="not this machine"):
        live("http://192.0.2.1:8800", Day(10.0))
    for seconds in (4.9, 3601.0, float("nan")):
        with pytest.raises(BadInput, match="--day must be from 5 to 3600 s"):
            check_length(seconds)
