"""Demand as it was and as it is expected, and below it the connections that it needs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import dates
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from poolkit.analysis.forecast import Forecast
from poolkit.analysis.outlook import Needed, Outlook
from poolkit.show import outlook as words
from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, new_figure, set_margins, title_lines
from poolkit.units import number, plural, share

HEIGHT = 5.6  # inches
_LEFT, _RIGHT = 112, 196  # px beside the axes
_DATES: Any = dates  # it says nothing of its types
_FAN = 0.22  # of the interval's area
# What stands in the place of a number of connections: in words, and hatched.
_BEYOND = (
    (("upstream", "cap"), "no size will do, at\nits upper end", "xx"),
    (("unknown",), "cannot say: more than\nwas measured", "//"),
)


def demand_finding(outlook: Outlook) -> str:
    """When the size runs out, as a sentence."""
    return words.finding(outlook)


def demand_alt(outlook: Outlook) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    known = outlook.demand
    seen = [rate for rate in known.rates if rate is not None]
    weeks, span = plural(len(known.rates), "week"), f"{number(min(seen))} to {number(max(seen))}"
    peaks = f"Weekly peaks of {weeks} from {known.first_day[:10]} on: {span} calls/s."
    finding, *rest = words.sentences(outlook)
    return " ".join([finding, peaks, *rest])


def demand_fan(outlook: Outlook) -> Axes:
    """Draw demand above, connections of one pool below; the top axes.

    A history that is too short is drawn alone, and the title says so.
    """
    found = outlook.forecast
    with style.house():
        figure = new_figure((style.FIGURE_SIZE[0], HEIGHT), layout=None)
        top: Axes
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        lines = title_lines(words.finding(outlook), figure.bbox.width, _LEFT)
        set_margins(figure, len(lines), _LEFT, _RIGHT, bottom=44)
        figure.subplots_adjust(hspace=0.14)
        top.set_title("\n".join(lines), **style.TITLE)
        _draw_demand(top, outlook)
        _draw_needs(below, outlook)
        last = _days(outlook, [0])[0]
        if isinstance(found, Forecast):
            for axes in (top, below):
                axes.axvline(last, color=style.FAINT, lw=0.9, zorder=1)
        locator = _DATES.AutoDateLocator(minticks=4, maxticks=9)
        below.xaxis.set_major_locator(locator)
        below.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator))
        below.set_xlabel("first day of the week")
    return top


def _draw_demand(axes: Axes, outlook: Outlook) -> None:
    rates = outlook.demand.rates
    at = _days(outlook, range(1 - len(rates), 1))
    (seen,) = axes.plot(
        at, [np.nan if rate is None else rate for rate in rates], color=style.BLUE,
        marker="o", ms=3.2, mec=style.PAPER, mew=0.4, lw=1.1, zorder=3,
    )  # fmt: skip
    named: list[tuple[Artist, str]] = [(seen, "weekly peak, seen")]
    found = outlook.forecast
    if isinstance(found, Forecast):
        ahead = _days(outlook, range(1, found.horizon + 1))
        area = axes.fill_between(
            ahead, found.lower, found.upper, color=style.BLUE, alpha=_FAN, lw=0, zorder=1
        )
        (middle,) = axes.plot(ahead, found.middle, color=style.INK, ls="--", lw=1.4, zorder=3)
        named += [
            (middle, "expected"),
            (area, f"{share(found.nominal)} are meant\nto be in here; past\nforecasts: "
             f"{share(found.coverage)} were"),
        ]  # fmt: skip
    if outlook.reach is not None:
        reach = axes.axhline(outlook.reach, color=style.VERMILION, ls="-.", lw=1.4)
        limit = outlook.limit
        is_cap = limit is not None and limit.kind == "cap"
        named.append((reach, f"no size{' allowed' * is_cap}\ncarries more"))
    axes.set_ylim(0, None)
    axes.set_ylabel("demand\n(calls/s)", rotation=0, ha="right", va="center", ma="right")
    legend_beside(axes, named)


def _draw_needs(axes: Axes, outlook: Outlook) -> None:
    size = axes.axhline(outlook.pool_size, color=style.GREEN, lw=1.8, zorder=4)
    named: list[tuple[Artist, str]] = [(size, f"the size of today, {outlook.pool_size}")]
    ends = [_sizes(needed) for needed in (outlook.lower, outlook.middle, outlook.upper)]
    known = [size for end in ends for size in end if not np.isnan(size)]
    over = max([0.0, *known, *(one.more_than or 0 for one in outlook.upper)])
    top = 1.15 * max(outlook.pool_size, over) + 1
    if outlook.horizon:
        ahead = np.array(_days(outlook, range(1, outlook.horizon + 1)))
        low, middle, high = map(np.array, ends)
        # What cannot be had, or said, is above all that can.
        shade: Any = {"color": style.VERMILION, "lw": 0, "step": "mid", "zorder": 1}
        ceiling = np.where(np.isnan(high), top, high)
        area = axes.fill_between(ahead, low, ceiling, alpha=_FAN, **shade)
        (expected,) = axes.step(
            ahead, middle, where="mid", color=style.VERMILION, ls="--", lw=1.6, zorder=3
        )
        if known:
            named += [(expected, "needed, as expected"), (area, "needed, interval")]
        for kind, words_of, hatch in _BEYOND:
            is_kind = np.array([one.kind in kind for one in outlook.upper])
            if is_kind.any():
                beyond = axes.fill_between(
                    ahead, over, top, where=is_kind, step="mid", fc="none", ec=style.FAINT,
                    hatch=hatch, lw=0, zorder=2,
                )  # fmt: skip
                named.append((beyond, words_of))
        _mark_dates(axes, outlook)
    axes.set_ylim(0, top)
    axes.locator_params(axis="y", nbins=5, integer=True)
    label = "connections\nof one pool" if outlook.pools > 1 else "connections"
    axes.set_ylabel(label, rotation=0, ha="right", va="center", ma="right")
    legend_beside(axes, named)


def _mark_dates(axes: Axes, outlook: Outlook) -> None:
    """Mark on the size's line the weeks in which it runs out, and say when that is."""
    out = outlook.size_out
    for week, marker in ((out.first, ">"), (out.last, "<"), (out.middle, "D")):
        if week is not None:
            axes.plot(
                _days(outlook, [week]), [outlook.pool_size], marker=marker, ms=6.5,
                color=style.GREEN, mec=style.PAPER, zorder=5,
            )  # fmt: skip
    if out.first is not None:
        when = textwrap.fill(f"runs out {words.when(outlook, out)}", 40)
        axes.annotate(
            when, (_days(outlook, [0])[0], outlook.pool_size),
            (-7, 4), textcoords="offset points", ha="right", va="bottom", color=style.GREEN,
            fontsize=style.NOTE_SIZE,
        )  # fmt: skip


def _days(outlook: Outlook, weeks: Sequence[int] | range) -> list[float]:
    return [float(_DATES.date2num(words.day_of(outlook, week))) for week in weeks]


def _sizes(needed: Sequence[Needed]) -> list[float]:
    return [np.nan if one.size is None else one.size for one in needed]
