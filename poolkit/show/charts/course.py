"""How each verification went over time: rate, connections in use, and when none was free."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from poolkit.records import Recommendation, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import new_figure, set_margins, title_lines
from poolkit.show.charts.points import name_points
from poolkit.show.charts.time_budget import in_service
from poolkit.show.course import Slice, slices, trial_name, verifications
from poolkit.units import milliseconds, number, plural, share, short_rate

HEIGHT = 4.6  # inches
_WIDTH = 0.9  # of a trial's place, which is 1 wide
_LEFT, _RIGHT = 118, 20  # px beside the axes


class _Row(NamedTuple):
    """One of the quantities that are drawn below each other."""

    label: str
    marker: str
    colour: str
    value: Callable[[Slice], float]
    said: Callable[[Slice], str]
    # What a trial is held against, and its colour: the rate that was sent, its connections.
    limit: Callable[[Trial], float] | None = None
    limit_colour: str = ""


_ROWS = (
    _Row(
        "rate\n(calls/s)",
        "o",
        style.BLUE,
        lambda s: s.rate,
        lambda s: f"{number(s.rate)} calls/s",
        lambda t: t.arrival_rate or 0.0,
        style.VERMILION,
    ),
    _Row(
        "in use\n(mean)",
        "s",
        style.PURPLE_INK,
        lambda s: s.in_use,
        lambda s: f"{number(s.in_use)} in use, at most {s.most_in_use}",
        lambda t: float(t.connections),
        style.GREEN,
    ),
    _Row(
        "none free\n(% of time)",
        "^",
        style.VERMILION,
        lambda s: 100 * s.all_busy,
        lambda s: f"none free for {share(s.all_busy)} of the time",
    ),
)


def course_finding(trials: Sequence[Trial], recommendation: Recommendation | None = None) -> str:
    """The finding as a sentence: how even the rate was, and how often no connection was free."""
    shown = verifications(trials)
    served = in_service(shown, recommendation)
    trial = served if served is not None else shown[-1]
    parts = slices(trial)
    low, high = (number(end(part.rate for part in parts)) for end in (min, max))
    busy = sum(p.all_busy * (p.end - p.begin) for p in parts) / sum(p.end - p.begin for p in parts)
    sizes = plural(trial.connections, "connection")
    carried = low if low == high else f"{low} to {high}"
    return (
        f"At {short_rate(trial.arrival_rate)} {sizes} carried {carried}/s from slice to slice; "
        f"none was free for {share(busy)} of the time"
    )


def course_alt(trials: Sequence[Trial], recommendation: Recommendation | None = None) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [course_finding(trials, recommendation) + "."]
    for trial in verifications(trials):
        parts = slices(trial)
        most = max(part.most_in_use for part in parts)
        said.append(
            f"{trial_name(trial)}, {number(parts[-1].end)} s: "
            f"{_range(p.rate for p in parts)} calls/s, "
            f"{_range(p.in_use for p in parts)} in use (at most {most}), none free for "
            f"{_range(100 * p.all_busy for p in parts)} % of a slice, "
            f"wait p99 {milliseconds(trial.wait_time.p99)}."
        )
    return " ".join(said)


def course(trials: Sequence[Trial], recommendation: Recommendation | None = None) -> Axes:
    """Draw the trials of a size in service side by side, on a figure of its own; the top axes.

    Raises:
        ValueError: no such trial has slices.
    """
    shown = verifications(trials)
    if not shown:
        raise ValueError("a trial in service with slices must be there, got none")
    with style.house():
        figure = new_figure((style.FIGURE_SIZE[0], HEIGHT), layout=None)
        rows: Any = figure.subplots(len(_ROWS), 1, sharex=True)
        lines = title_lines(course_finding(trials, recommendation), figure.bbox.width, _LEFT)
        set_margins(figure, len(lines) + 2, _LEFT, _RIGHT, bottom=44)
        for axes, row in zip(rows, _ROWS, strict=True):
            tops = [1e-9, *_limits(axes, row, shown)]
            for place, trial in enumerate(shown):
                parts = slices(trial)
                _draw(axes, place, parts, row)
                tops += [row.value(part) for part in parts]
            axes.set_ylim(0, max(tops) * 1.15)
            axes.set_ylabel(row.label, rotation=0, ha="right", va="center", ma="right")
            axes.locator_params(axis="y", nbins=3)
            axes.yaxis.set_major_formatter(lambda height, _: number(height))
        _name_trials(rows[0], rows[-1], shown)
        rows[0].text(
            0, 1.5, "\n".join(lines), transform=rows[0].transAxes, va="bottom", **style.TITLE
        )
    first: Axes = rows[0]
    return first


def _draw(axes: Axes, place: int, parts: Sequence[Slice], row: _Row) -> None:
    """One trial at its place: a step for each slice, and a mark that says what it was."""
    whole = parts[-1].end
    edges = [place + _WIDTH * edge / whole for edge in (0.0, *(part.end for part in parts))]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    heights = [row.value(part) for part in parts]
    axes.stairs(heights, edges, color=row.colour, lw=1.4, baseline=None)
    kw: Any = {"ls": "", "ms": 3.8, "color": row.colour, "mec": style.PAPER, "mew": 0.5}
    (marks,) = axes.plot(middles, heights, marker=row.marker, zorder=5, **kw)
    name_points(marks, [f"{number(p.begin)} to {number(p.end)} s: {row.said(p)}" for p in parts])


def _limits(axes: Axes, row: _Row, shown: Sequence[Trial]) -> list[float]:
    """Draw what each trial is held against, where the row has it; the heights."""
    heights = [] if row.limit is None else [row.limit(trial) for trial in shown]
    for place, height in enumerate(heights):
        line: Any = {"color": row.limit_colour, "lw": 1.1, "ls": ":", "zorder": 2}
        axes.hlines(height, place, place + _WIDTH, **line)
    return heights


def _name_trials(upper: Axes, lower: Axes, shown: Sequence[Trial]) -> None:
    """Above each trial its size and rate, below its seconds and the p99 of its waits."""
    size = style.LABEL_SIZE - 0.5
    for place, trial in enumerate(shown):
        words = trial_name(trial).replace(" calls/s", "/s").replace(" at ", "\nat ")
        upper.text(
            place + _WIDTH / 2, 1.06, words, ha="center", va="bottom", fontsize=size,
            transform=upper.get_xaxis_transform(),
        )  # fmt: skip
    lower.set_xticks(
        [place + _WIDTH / 2 for place in range(len(shown))],
        labels=[
            f"{number(slices(t)[-1].end, 2)} s\nwait p99 {milliseconds(t.wait_time.p99)}"
            for t in shown
        ],
    )
    lower.tick_params(axis="x", length=0)
    lower.set_xlim(-0.04, len(shown) - 1 + _WIDTH + 0.04)


def _range(values: Iterable[float]) -> str:
    found = sorted(values)
    low, high = number(found[0], 2), number(found[-1], 2)
    return low if low == high else f"{low} to {high}"
