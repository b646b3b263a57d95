"""The peak of each week: what a finer series of rates is reduced to before it is forecast.

A week's peak is the largest mean over a window of five minutes. What is asked of the times (such as
a p99 wait) is asked of the busiest minutes too; the 99th percentile of a week leaves 100 minutes
out, which is the whole of a peak that comes once a week. A week with one outlier moves no median,
and a forecast from weekly peaks is made of medians.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from poolkit.records import LARGEST, Moment, Record
from poolkit.units import plural

Floats = NDArray[np.float64]

WEEK = 7 * 86_400  # s
WINDOW = 300.0  # s
# A week in which a whole day was not seen may have had its peak then.
MOST_MISSING = 1 / 7
MOST_WEEKS = 1040  # 20 years
MONDAY = 4 * 86_400  # s: 1970 began on a Thursday

Peak = Annotated[float, Field(gt=0, le=LARGEST)]  # calls/s


class WeeklyPeaks(Record):
    """The peak demand of each week in a row, the first and the last of them known."""

    first_day: Moment  # ISO date of the first week's first day
    # Calls/s of the whole service, a week each; None: not known.
    rates: Annotated[tuple[Peak | None, ...], Field(min_length=1, max_length=MOST_WEEKS)]
    source: str = ""  # where they were read from
    remarks: tuple[str, ...] = ()  # what was left out, and why

    @property
    def gaps(self) -> tuple[int, ...]:
        """Positions of the weeks that are not known."""
        return tuple(index for index, rate in enumerate(self.rates) if rate is None)


def weekly_peaks(at: ArrayLike, rates: ArrayLike, source: str = "") -> WeeklyPeaks:
    """The peaks of the whole weeks (Monday to Sunday, UTC) of a finer series.

    A first or last week that was not seen whole is left out. A week in between in which a day or
    more is missing, or in which nothing was served, is a gap.

    Args:
        at: moments (Unix time, s), ascending; of samples further apart than five minutes each
            counts as its own window.
        rates: calls/s of the whole service from each moment on, 0 or more; NaN: not known.

    Raises:
        ValueError: an argument is out of range, or no week was seen whole.
    """
    moments, values = np.asarray(at, dtype=float), np.asarray(rates, dtype=float)
    if moments.shape != values.shape or moments.ndim != 1:
        raise ValueError(
            f"at and rates must be of one length, got {moments.size} and {values.size}"
        )
    if len(moments) < 2 or not np.all(np.diff(moments) > 0):
        raise ValueError("at must be two moments or more, ascending, each once")
    known = ~np.isnan(values)
    if not np.all((values[known] >= 0) & (values[known] <= LARGEST)):
        raise ValueError("rates must be finite and 0 or more, or NaN where not known")
    width = max(WINDOW, float(np.median(np.diff(moments))))
    slots, means = _windows(moments[known], values[known], width)
    weeks = (slots * width + WEEK - MONDAY) // WEEK
    found: dict[int, float] = {}
    for week in np.unique(weeks):
        inside = weeks == week
        if np.count_nonzero(inside) * width > (1 - MOST_MISSING) * WEEK:
            found[int(week)] = float(means[inside].max())
    whole = {week: peak for week, peak in found.items() if peak > 0}
    if not whole:
        raise ValueError(
            f"no week from Monday to Sunday (UTC) was seen whole and served calls: the series "
            f"spans {(moments[-1] - moments[0]) / 86_400:.1f} days"
        )
    first, last = min(whole), max(whole)
    if last - first >= MOST_WEEKS:
        raise ValueError(f"at must span {MOST_WEEKS} weeks or less, got {last - first + 1}")
    cut = len(set(weeks.tolist()) - set(range(first, last + 1)))
    remarks = [f"{plural(cut, 'week')} at the ends not seen whole"] if cut else []
    missing = sum(week not in whole for week in range(first, last + 1))
    if missing:
        remarks.append(f"{plural(missing, 'week')} in between with a day or more missing")
    day = np.datetime64(first * WEEK + MONDAY - WEEK, "s").astype("datetime64[D]")
    return WeeklyPeaks(
        first_day=str(day),
        rates=tuple(whole.get(week) for week in range(first, last + 1)),
        source=source,
        remarks=tuple(remarks),
    )


def _windows(moments: Floats, values: Floats, width: float) -> tuple[Floats, Floats]:
    """The number of each window that has samples, and their mean."""
    slots, where, count = np.unique(
        np.floor(moments / width), return_inverse=True, return_counts=True
    )
    return slots, np.bincount(where, weights=values, minlength=len(slots)) / count
