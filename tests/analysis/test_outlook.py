"""When the size runs out: the fan through the curve, and where nothing can be said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from poolkit.analysis.forecast import Forecast, TooShort
from poolkit.analysis.outlook import Crossing, Needed, Outlook, need, outlook
from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.analysis.what_if import Planner, Question, what_if
from poolkit.records import LARGEST, Sweep
from poolkit.targets.objective import Objective
from tests.analysis.synthetic import drawn_sweep, workers_curve

# 24 workers of 25 ms: 960 calls/s at most.
ASKED = Objective(target_rate=600.0, wait_p99=0.010, max_size=256)
WHOLE = Planner.of(drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12, 16, 24, 32, 48)), ASKED)
PART = Planner.of(drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12, 16)), ASKED)
WEEKS = 60


def demand(first: float, slope: float, weeks: int = WEEKS, seed: int = 1) -> WeeklyPeaks:
    """Weekly peaks from a Monday in 2025 on that rise by a share of the first week."""
    noise = np.random.default_rng(seed).lognormal(0, 0.03, weeks)
    rates = first * (1 + slope * np.arange(weeks)) * noise
    return WeeklyPeaks(first_day="2025-01-06", rates=tuple(float(rate) for rate in rates))


def test_each_week_needs_what_a_what_if_answers() -> None:
    """Growth and headroom apart, whose place the forecast takes."""
    asked = Planner.of(
        drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12, 16, 24, 32, 48)),
        ASKED.but(growth=1.5, headroom=0.3),
    )
    found = outlook(demand(400, 0.008), asked, 24)
    assert isinstance(found.forecast, Forecast)
    for one, rate in list(zip(found.upper, found.forecast.upper, strict=True))[::9]:
        assert one.size == what_if(WHOLE, Question(target_rate=rate)).size


def test_the_dates_are_where_the_fan_crosses_the_size() -> None:
    """The upper end first, the lower end last; until then the size will do."""
    found = outlook(demand(400, 0.012), WHOLE, 24)
    out = found.size_out
    assert out.first is not None
    assert out.middle is not None
    assert out.first < out.middle <= (out.last or 99)
    assert [one.size for one in found.upper[: out.first - 1]] == sorted(
        one.size or 0 for one in found.upper[: out.first - 1]
    )
    assert (found.upper[out.first - 2].size or 0) <= 24 < (found.upper[out.first - 1].size or 25)
    assert found.valid_weeks == out.first - 1
    assert Outlook.model_validate(json.loads(found.model_dump_json())) == found


def test_demand_beyond_the_upstream_is_told_apart() -> None:
    """From there on no pool carries it, whatever its size."""
    found = outlook(demand(500, 0.012), WHOLE, 30)
    assert found.reach_out.first is not None
    assert found.size_out.first is not None
    assert found.size_out.first < found.reach_out.first
    assert found.reach == pytest.approx(900, rel=0.06)
    assert found.limit is not None
    assert found.limit.kind == "upstream"


def test_the_cap_is_not_the_upstream() -> None:
    """More connections than are allowed would carry it."""
    capped = Planner(ASKED.but(max_size=20), WHOLE.verdict, WHOLE.points, WHOLE.upstream)
    one = need(capped, 800.0)
    assert (one.kind, one.size) == ("cap", None)
    assert "max_size = 20" in one.because


def test_above_what_was_measured_nothing_is_drawn_on() -> None:
    """Not even where the answer to a what-if is a size that rests on a plateau."""
    assert need(PART, 300.0).kind == "connections"
    beyond = need(PART, 700.0)
    assert (beyond.kind, beyond.size, beyond.more_than) == ("unknown", None, 16)
    assert "cannot say" in beyond.because
    # That 16 are too few is known; whether 20 would do is not.
    assert (beyond.is_enough(16), beyond.is_enough(20)) == (False, None)
    found = outlook(demand(400, 0.008), PART, 20)
    assert found.unknown_from is not None
    assert found.size_out == Crossing()
    assert found.valid_weeks == found.unknown_from - 1


def test_a_size_on_a_plateau_beyond_those_measured_is_unknown() -> None:
    """What is taken to stay flat is an assumption."""
    flat = Planner.of(drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 16, 24, 32)), ASKED)
    assert (what_if(flat, Question(target_rate=860.0)).size or 0) > 32
    assert (need(flat, 860.0).kind, need(flat, 860.0).more_than) == ("unknown", 32)
    assert need(flat, 1000.0).kind == "upstream"


def test_what_load_has_shown_is_enough() -> None:
    """The curve alone may ask for more than the size that was seen to carry a rate."""
    peaks = demand(600, 0.0)
    assert outlook(peaks, WHOLE, 18).size_out.middle == 1
    assert outlook(peaks, WHOLE, 18, carried=800.0).size_out == Crossing()


def test_no_demand_needs_the_smallest_pool() -> None:
    """A forecast that falls to nothing is no error."""
    found = outlook(demand(400, -0.0165), WHOLE, 16)
    assert isinstance(found.forecast, Forecast)
    assert found.forecast.lower[-1] == 0
    assert found.lower[-1].size == 1


def test_a_curve_that_makes_no_sense_says_nothing() -> None:
    """The reason is that of a sizing."""
    nothing = Planner.of(Sweep(target="a", trials=()), ASKED)
    found = outlook(demand(400, 0.01), nothing, 16)
    assert found.unknown_from == 1
    assert found.valid_weeks == 0
    assert found.upper[0].because


def test_a_demand_from_next_to_nothing_has_an_interval_that_can_be() -> None:
    """Of any width, within what a rate may be."""
    rates = (*[1e-300] * 40, *[5e11] * 12)
    found = outlook(WeeklyPeaks(first_day="2025-01-06", rates=rates), WHOLE, 24)
    assert isinstance(found.forecast, Forecast)
    assert max(found.forecast.upper) == LARGEST
    assert found.upper[0].kind == "upstream"


def test_too_short_a_history_has_no_dates() -> None:
    """An answer, not an exception."""
    found = outlook(demand(400, 0.01, weeks=39), WHOLE, 16)
    assert isinstance(found.forecast, TooShort)
    assert (found.horizon, found.valid_weeks, found.size_out) == (0, 0, Crossing())


def test_a_size_is_more_than_0() -> None:
    """Named as everywhere."""
    with pytest.raises(ValueError, match="pool_size must be 1 or more, got 0"):
        outlook(demand(400, 0.01), WHOLE, 0)


def test_enough_is_the_size_or_more() -> None:
    """Exactly full is enough."""
    assert Needed(kind="connections", size=16).is_enough(16) is True
    assert Needed(kind="connections", size=17).is_enough(16) is False
    assert Needed(kind="upstream").is_enough(1000) is False
    assert Needed(kind="unknown").is_enough(1) is None
