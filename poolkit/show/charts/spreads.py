"""Times of several cases side by side: the median, 95 %, 99 % and the longest of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from poolkit.records import Distribution
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.units import milliseconds, number

_ROW = 0.6  # inches
_LEAST = 1e-5  # s: a shorter time is drawn here, at the left edge
_ROOM = 0.3  # of the width, for the words right of the longest


@dataclass(frozen=True, slots=True)
class Spread:
    """One row: a case and its times; `is_focus` the one that the title speaks of."""

    name: str
    times: Distribution
    is_focus: bool = False


def spreads_alt(rows: Sequence[Spread], title: str) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [
        f"{row.name}: half {milliseconds(row.times.p50)} or less, 99 % "
        f"{milliseconds(row.times.p99)} or less, the longest {milliseconds(row.times.longest)}."
        for row in rows
    ]
    return " ".join([f"{title}.", *said])


def spreads(rows: Sequence[Spread], title: str, what: str, *, axes: Axes | None = None) -> Axes:
    """Draw a line a case on a log axis of `what` (ms); without `axes` a figure is made.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("rows must be 1 or more, got 0")
    given = axes
    with style.house():
        axes = single_axes(axes, 1.2 + _ROW * len(rows))
        ends = [value for row in rows for value in _points(row.times)]
        low, high = min(ends) / 1.5, max(ends) * 1.15
        axes.set_xscale("log")
        axes.set_xlim(low, high * (high / low) ** (_ROOM / (1 - _ROOM)))
        axes.minorticks_off()
        axes.xaxis.set_major_locator(LogLocator(subs=_steps(low, high)))
        axes.xaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_yticks(range(len(rows)), labels=[row.name for row in rows])
        axes.set_ylim(len(rows) - 0.45, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"{what} (ms): median, 95 % (thick), 99 %, longest (mark)", loc="left")
        entitle(axes, title, given)
        for position, row in enumerate(rows):
            _draw(axes, position, row)
    return axes


def _steps(low: float, high: float) -> tuple[float, ...]:
    """Numbers named in each decade: more of them where there are few decades."""
    return (1.0,) if math.log10(high / low) > 2.5 else (1.0, 2.0, 5.0)


def _points(times: Distribution) -> tuple[float, float, float, float]:
    """Median, 95 %, 99 % and the longest (ms)."""
    p50, p95, p99, longest = (
        max(value or 0.0, _LEAST) * 1000
        for value in (times.p50, times.p95, times.p99, times.longest)
    )
    return p50, p95, p99, longest


def _draw(axes: Axes, position: int, row: Spread) -> None:
    p50, p95, p99, longest = _points(row.times)
    colour, marker = (style.VERMILION, "^") if row.is_focus else (style.BLUE, "o")
    axes.plot([p50, longest], [position, position], color=colour, lw=1.4, zorder=3)
    axes.plot([p50, p95], [position, position], color=colour, lw=6, alpha=0.45, zorder=3)
    axes.plot([p50], [position], "|", color=colour, ms=14, mew=2.2, zorder=4)
    axes.plot([p99], [position], "|", color=colour, ms=10, mew=1.4, zorder=4)
    axes.plot([longest], [position], marker, color=colour, ms=7.0, zorder=5)
    axes.annotate(
        f"half ≤ {milliseconds(row.times.p50)}\n99 % ≤ {milliseconds(row.times.p99)}",
        (longest, position),
        (9, 0),
        textcoords="offset points",
        va="center",
        color=style.INK,
        fontsize=style.LABEL_SIZE - 0.5,
    )
