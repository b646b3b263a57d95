"""The history of each target as small multiples: size, plateau over the rate asked, hold time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.review.trend import History, Stepped, Trend
from poolkit.show import over_time
from poolkit.show.charts import style
from poolkit.show.charts.figures import new_figure
from poolkit.show.charts.points import name_points
from poolkit.units import listed, plural

# What a column shows, and by what its values are multiplied.
_COLUMNS = (
    ("recommended_size", "size (connections)", 1.0),
    ("plateau", "plateau, rate asked (calls/s)", 1.0),
    ("hold_time.at_recommended", "hold time at the size (ms)", 1000.0),
)
_UNTYPED: Any = dates
_ROW, _TOP = 1.55, 1.0  # inches


def history_finding(history: History) -> str:
    """The finding as a sentence: which targets took a step that lasts."""
    stepped = [trend.target for trend in history.trends if trend.steps]
    reviews = plural(history.reviews, "review")
    if stepped:
        return f"Over {reviews}: steps that last in {listed(stepped)}"
    if all(trend.too_few for trend in history.trends):
        return f"Over {reviews}: too few to tell a step from noise"
    return f"Over {reviews}: no step that lasts"


def history_alt(history: History) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [f"{history_finding(history)}."]
    for trend in history.trends:
        said.append(f"{trend.target}: {over_time.from_to(trend)}.")
        said += [f"{over_time.step(step)}." for step in trend.steps]
    return " ".join(said)


def history(history: History) -> Figure:
    """Draw a row of small charts for each target that has two reviews, or else for all."""
    # One review is no trend; its figures stand in the tables.
    trends = [trend for trend in history.trends if len(trend.reviews) > 1] or history.trends
    rows, columns = len(trends), _columns(trends)
    ends = _ends(trends)
    with style.house():
        figure = new_figure((style.FIGURE_SIZE[0], _TOP + _ROW * rows), layout=None)
        grid = figure.subplots(rows, len(columns), squeeze=False, sharex=True)
        height = figure.bbox.height / style.DPI
        figure.subplots_adjust(
            left=0.07, right=0.985, top=1 - 0.85 / height, bottom=0.42 / height, hspace=0.5
        )
        kw: Any = {"x": 0.012, "y": 1 - 0.1 / height, "ha": "left", "va": "top"}
        figure.suptitle(history_finding(history), **kw, **style.TITLE)
        for row, trend in enumerate(trends):
            for column, (quantity, name, times) in enumerate(columns):
                axes = grid[row][column]
                _draw(axes, trend, quantity, times)
                head = f"{trend.target}\n{name}" if column == 0 else name
                axes.set_title(head, fontsize=style.LABEL_SIZE, loc="left", pad=4)
        for axes in grid[-1]:
            axes.set_xlim(ends)
            ticks = _UNTYPED.AutoDateLocator(minticks=3, maxticks=6)
            axes.xaxis.set_major_locator(ticks)
            axes.xaxis.set_major_formatter(_UNTYPED.ConciseDateFormatter(ticks))
    return figure


def _columns(trends: Sequence[Trend]) -> Sequence[tuple[str, str, float]]:
    """Those of quantities that some review has: production tells no plateau."""
    known = {name for trend in trends for one in trend.reviews for name in one.figures}
    return [column for column in _COLUMNS if column[0] in known] or _COLUMNS


def _ends(trends: Sequence[Trend]) -> tuple[float, float]:
    """Of the axis of time, in days: half a day around the reviews of one moment, not years."""
    days = [_day(one.measured) for trend in trends for one in trend.reviews]
    first, last = min(days), max(days)
    room = 0.04 * (last - first) or 0.5
    return first - room, last + room


def _draw(axes: Axes, trend: Trend, quantity: str, times: float) -> None:
    """One quantity of one target: values with intervals, the levels around each step."""
    there = [one for one in trend.reviews if quantity in one.figures]
    axes.tick_params(labelsize=style.NOTE_SIZE)
    axes.margins(y=0.2)
    if not there:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center")
        return
    days = [_day(one.measured) for one in there]
    figures = [one.figures[quantity] for one in there]
    values = [f.value * times for f in figures]
    for day, figure in zip(days, figures, strict=True):
        if figure.interval95 is not None:
            ends = [end * times for end in figure.interval95]
            axes.plot([day, day], ends, color=style.FAINT, lw=2.4, solid_capstyle="butt", zorder=1)
    is_size = quantity == "recommended_size"
    line: Any = {"drawstyle": "steps-post"} if is_size else {}
    axes.plot(days, values, color=style.BLUE, lw=1.1, zorder=2, **line)
    (marks,) = axes.plot(days, values, "o", color=style.BLUE, ms=3.6, zorder=3)
    name_points(
        marks,
        [
            f"{trend.target}, {one.measured[:10]}: {over_time.figure(quantity, figure)}"
            for one, figure in zip(there, figures, strict=True)
        ],
    )
    if quantity == "plateau":
        asked = [one.figures["target_rate"].value for one in there]
        axes.plot(
            days, asked, color=style.VERMILION, lw=1.1, ls=(0, (4, 2)), drawstyle="steps-post"
        )
    for at in (_day(one.measured) for one in there if one.caution):
        axes.axvline(at, color=style.MUTED, lw=0.9, ls=":", zorder=0)
    _mark([s for s in trend.steps if s.quantity == quantity], axes, times)


def _mark(steps: Sequence[Stepped], axes: Axes, times: float) -> None:
    for step in steps:
        at = _day(step.measured)
        axes.axvline(at, color=style.VERMILION, lw=1.3, zorder=1)
        axes.annotate(
            over_time.step_in_short(step),
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -2),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=style.NOTE_SIZE,
            fontweight="bold",
            color=style.VERMILION,
        )


def _day(moment: str) -> float:
    """A moment (ISO 8601) on the axis, in days."""
    return float(_UNTYPED.date2num(datetime.fromisoformat(moment)))
