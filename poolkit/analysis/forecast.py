"""Weekly peaks of demand, some weeks ahead, with an interval that earlier forecasts have earned.

    found = forecast(demand.rates)      # -> Forecast, or TooShort below 40 weeks

The middle is a line: Theil-Sen's slope over the last year (the median of the slopes between any two
weeks; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"), from the level
of the last eight weeks on. The interval comes from no model of noise: the same line was drawn from
every earlier week on (rolling origin), and the interval of a step ahead holds the share asked of
the errors that were made so many weeks ahead (conformal: Vovk, Gammerman and Shafer 2005).

Errors are shares of the level that they were made from. On made series that fares better than
calls/s, whose interval is too narrow once demand has doubled (it held 48 % of the truth on steady
growth in per cent over two years), and no worse than a line through logarithms, whose end runs away
after a step and where growth slows. `make bench ARGS=forecast` prints what is held.

What it misses: whatever the last year has not shown. Growth that slows is drawn on too high, though
its level is caught up with; a season of the year, a launch or a new customer are not in a line; and
demand that wanders (a random walk) is held less often than is meant, the more so the further ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray
from pydantic import Field

from poolkit.records import LARGEST, Amount, Count, Record

Floats = NDArray[np.float64]

NOMINAL = 0.8  # share of the truth that an interval is meant to hold
LEAST_ERRORS = 9  # the fewest of which the 10 % at either end can be told
SHORTEST = 40  # weeks
# The first week that a line is drawn from has so many before it: a quarter of a year ahead leaves
# `LEAST_ERRORS` of the shortest series.
QUARTER = 13
FIRST = SHORTEST - QUARTER - LEAST_ERRORS + 1
LONGEST = 26  # weeks ahead
YEAR = 52  # weeks that a slope is of
LEVEL = 8  # weeks that a level is of


class TooShort(Record):
    """No forecast can be made; `because` tells why."""

    weeks: Count  # known
    needed: Count = SHORTEST
    because: str


class Forecast(Record):
    """Weekly peaks of demand (calls/s) 1, 2, ... weeks after the last one known."""

    nominal: Annotated[float, Field(gt=0, lt=1)] = NOMINAL  # share the interval is meant to hold
    middle: tuple[Amount, ...]
    lower: tuple[Amount, ...]
    upper: tuple[Amount, ...]
    slope: float  # calls/s a week
    weeks: Count  # known
    # Forecasts as they would have been made, each from what was known then, and how many of the
    # peaks that followed were inside.
    origins: Count
    judged: Count
    inside: Count

    @property
    def horizon(self) -> int:
        """Weeks ahead that can be told."""
        return len(self.middle)

    @property
    def coverage(self) -> float:
        """The share of the past forecasts whose interval held the truth."""
        return self.inside / self.judged


def forecast(peaks: Sequence[float | None], weeks: int = LONGEST) -> Forecast | TooShort:
    """The demand of the coming weeks.

    Args:
        peaks: calls/s, one a week, more than 0; None or NaN: not known.
        weeks: ahead, 1 to 26; fewer are answered where fewer can be told.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 1 <= weeks <= LONGEST:
        raise ValueError(f"weeks must be 1 to {LONGEST}, got {weeks}")
    series = np.array([np.nan if peak is None else peak for peak in peaks], dtype=float)
    known = ~np.isnan(series)
    if not np.all((series[known] > 0) & np.isfinite(series[known])):
        raise ValueError("peaks must be finite and more than 0, or None where not known")
    count = int(known.sum())
    if count < SHORTEST:
        because = f"{count} weeks with a peak, and a forecast needs {SHORTEST}"
        return TooShort(weeks=count, because=because)
    series = series[: int(np.flatnonzero(known)[-1]) + 1]
    errors = past_errors(series, weeks)
    low, high = interval(errors)
    line = _line(series, len(low))
    if line is None or not len(low):
        because = f"the gaps leave fewer than {LEAST_ERRORS} earlier weeks to try a forecast from"
        return TooShort(weeks=count, because=because)
    level, middle = line
    origins, judged, inside = backtest(errors)
    if not judged:
        because = "the gaps leave no earlier week from which an interval can be tried"
        return TooShort(weeks=count, because=because)
    return Forecast(
        middle=_in_bounds(middle),
        lower=_in_bounds(middle + level * low),
        upper=_in_bounds(middle + level * high),
        slope=float(middle[0] - level),
        weeks=count,
        origins=origins,
        judged=judged,
        inside=inside,
    )


def past_errors(series: Floats, weeks: int) -> Floats:
    """What the line missed by, as a share of its level: row o, column h - 1 is of the forecast h
    weeks ahead from the first o weeks. NaN: there was none, or the truth is not known.
    """
    errors = np.full((len(series), weeks), np.nan)
    for origin in range(FIRST, len(series)):
        ahead = min(weeks, len(series) - origin)
        line = _line(series[:origin], ahead)
        if line is not None:
            level, middle = line
            with np.errstate(over="ignore"):  # from next to nothing any step is endless
                errors[origin, :ahead] = (series[origin : origin + ahead] - middle) / level
    return errors


def interval(errors: Floats) -> tuple[Floats, Floats]:
    """The lower and upper error of each step ahead for which there are enough.

    With k errors the j-th smallest is below the next one with probability j / (k + 1), so these
    leave out the 10 % at either end, rounded to the safe side. No step is told more closely than
    the one before it, and the middle is always inside.
    """
    lower, upper = [], []
    for step in np.sort(errors, axis=0).T:  # NaN last
        count = int(np.count_nonzero(~np.isnan(step)))
        if count < LEAST_ERRORS:
            break
        end = int((count + 1) * (1 - NOMINAL) / 2 + 1e-9)
        lower.append(step[end - 1])
        upper.append(step[count - end])
    return (
        np.minimum.accumulate(np.minimum(lower, 0.0)),
        np.maximum.accumulate(np.maximum(upper, 0.0)),
    )


def backtest(errors: Floats) -> tuple[int, int, int]:
    """How the intervals fared that could have been given before: from how many weeks on, how many
    of them, and how many held the truth. Each is of the errors that were known by then.
    """
    origins = judged = inside = 0
    ahead = np.arange(1, errors.shape[1] + 1)
    for origin in range(FIRST + LEAST_ERRORS, len(errors)):
        # Row o tells of week o + h, the last known one of the origin is `origin`.
        is_known = np.arange(origin)[:, None] + ahead <= origin
        low, high = interval(np.where(is_known, errors[:origin], np.nan))
        seen = errors[origin, : len(low)]
        told = ~np.isnan(seen)
        origins += bool(told.any())
        judged += int(told.sum())
        inside += int(np.count_nonzero((low <= seen) & (seen <= high)))
    return origins, judged, inside


def _line(series: Floats, weeks: int) -> tuple[float, Floats] | None:
    """The level at the end of the series, and the line from there on; None: too few are known."""
    last = series[-YEAR:]
    at = np.flatnonzero(~np.isnan(last))
    if len(at) < FIRST:
        return None
    slope = float(scipy.stats.theilslopes(last[at], at).slope)
    # What these weeks would have been at the end, were it for the slope alone. Of a steep fall the
    # median may be below every week of it: a level is never less than the least of them.
    recent = last[at[-LEVEL:]]
    level = float(np.median(recent + slope * (len(last) - 1 - at[-LEVEL:])))
    level = max(level, float(recent.min()))
    return level, level + slope * np.arange(1.0, weeks + 1)


def _in_bounds(rates: Floats) -> tuple[float, ...]:
    """Rates that can be: a peak from next to nothing leaves an interval of any width."""
    return tuple(float(rate) for rate in np.clip(rates, 0.0, LARGEST))
