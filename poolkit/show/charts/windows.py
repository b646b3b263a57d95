"""What production counted over time: the rate, and the connections in use, window by window."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from matplotlib import dates
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.averages import Averages
from poolkit.analysis.windows import Windows
from poolkit.records import FromProduction
from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, new_figure, set_margins, title_lines
from poolkit.units import number, plural

HEIGHT = 4.2  # inches
_LEFT, _RIGHT = 118, 196  # px beside the axes
_DATES: Any = dates  # it says nothing of its types
_AREA = 0.22  # of the area up to the most at once
_MISSING = 1.5  # windows between two ends, beyond which one in between is missing

Floats = NDArray[np.float64]


class _Course(NamedTuple):
    """A figure a window, of the whole service; `ends` are Unix times (s)."""

    ends: Floats
    rates: Floats  # calls/s; all nan: not told
    in_use: Floats
    most: Floats | None  # at once; None: not told, or only of each of several pools


def windows_finding(found: FromProduction, windows: Windows | Averages) -> str:
    """The finding as a sentence: between which rates, and how many connections that kept busy."""
    course = _course(windows)
    said = f"{_ends(course.in_use)} connections in use on average"
    if np.isfinite(course.rates).any():
        said = f"{_ends(course.rates)} calls/s kept {said.replace('in use', 'busy')}"
    one = " of one pool" if found.pools > 1 else ""
    most = found.most_in_use if course.most is None else int(course.most.max())
    return said if found.averages else f"{said}, and at most {most}{one} at once"


def windows_alt(found: FromProduction, windows: Windows | Averages) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    course = _course(windows)
    said = [
        f"{windows_finding(found, windows)}.",
        f"{plural(len(course.ends), 'window')} of {number(found.window)} s.",
    ]
    told = np.isfinite(course.rates).any()
    parts = np.array_split(np.arange(len(course.ends)), min(8, len(course.ends)))
    said += [
        f"Part {at} of {len(parts)}: "
        + (f"{number(float(course.rates[part].mean()))} calls/s, " if told else "")
        + f"{number(float(course.in_use[part].mean()))} in use."
        for at, part in enumerate(parts, 1)
    ]
    return " ".join(said)


def windows(found: FromProduction, windows: Windows | Averages, target: float | None) -> Axes:
    """Draw the rate above, the mean connections in use below; the top axes.

    Args:
        target: calls/s asked of the whole service, to hold the rates against; None: nothing.
    """
    course = _course(windows)
    with style.house():
        figure = new_figure((style.FIGURE_SIZE[0], HEIGHT), layout=None)
        top: Axes
        top, below = figure.subplots(2, 1, sharex=True)
        lines = title_lines(windows_finding(found, windows), figure.bbox.width, _LEFT)
        set_margins(figure, len(lines), _LEFT, _RIGHT, bottom=48)
        figure.subplots_adjust(hspace=0.18)
        top.set_title("\n".join(lines), **style.TITLE)
        _draw_rates(top, course, target)
        _draw_in_use(below, course, found)
        locator = _DATES.AutoDateLocator(minticks=3, maxticks=7)
        below.xaxis.set_major_locator(locator)
        below.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator, show_offset=False))
        below.set_xlabel(f"time (UTC), windows of {number(found.window)} s")
        for axes in (top, below):
            axes.margins(x=0.01)
            axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
            axes.locator_params(axis="y", nbins=4)
            axes.yaxis.set_major_formatter(lambda height, _: number(height))
    return top


def _draw_rates(axes: Axes, course: _Course, target: float | None) -> None:
    axes.set_ylabel("rate\n(calls/s)", rotation=0, ha="right", va="center", ma="right")
    if not np.isfinite(course.rates).any():
        axes.text(0.5, 0.5, "not counted", transform=axes.transAxes, ha="center", va="center")
        return
    (line,) = axes.plot(*_broken(course.ends, course.rates), color=style.BLUE, lw=1.3)
    named: list[tuple[Artist, str]] = [(line, "calls that asked for\na connection")]
    if target is not None:
        asked = axes.axhline(target, color=style.VERMILION, lw=1.3, ls="-.")
        named.append((asked, f"target,\n{units.rate(target)}"))
    legend_beside(axes, named)


def _draw_in_use(axes: Axes, course: _Course, found: FromProduction) -> None:
    axes.set_ylabel("connections\nin use", rotation=0, ha="right", va="center", ma="right")
    (line,) = axes.plot(*_broken(course.ends, course.in_use), color=style.PURPLE_INK, lw=1.3)
    named: list[tuple[Artist, str]] = [(line, "mean of a window")]
    if course.most is not None:
        at, most = _broken(course.ends, course.most)
        _, mean = _broken(course.ends, course.in_use)
        area = axes.fill_between(at, mean, most, color=style.PURPLE_INK, alpha=_AREA, lw=0)
        named.append((area, "up to the most\nat once"))
    if found.size_now is not None:
        size = axes.axhline(found.pools * found.size_now, color=style.GREEN, lw=1.6)
        of = "the pool" if found.pools == 1 else f"the {found.pools} pools"
        named.append((size, f"size of {of},\n{found.pools * found.size_now}"))
    legend_beside(axes, named)


def _course(windows: Windows | Averages) -> _Course:
    whole = windows.whole()
    if isinstance(whole, Windows):
        seen = np.where(whole.held > 0, np.array(whole.levels, dtype=float), 0.0)
        most = seen.max(axis=1) if whole.fleet == 1 else None
        return _Course(whole.ends, whole.rates, whole.in_use, most)
    return _Course(whole.ends, whole.calls / whole.seconds, whole.busy, None)


def _broken(ends: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Dates and values of a line that is broken where windows are missing."""
    gaps = 1 + np.flatnonzero(np.diff(ends) > _MISSING * np.median(np.diff(ends)))
    at = _DATES.date2num([datetime.fromtimestamp(end, UTC) for end in ends])
    return np.insert(at, gaps, np.nan), np.insert(values, gaps, np.nan)


def _ends(values: Floats) -> str:
    low, high = number(float(np.nanmin(values)), 2), number(float(np.nanmax(values)), 2)
    return low if low == high else f"{low} to {high}"
