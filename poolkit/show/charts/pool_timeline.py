"""A pool over time: connections in use, those that never come back, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, single_axes
from poolkit.units import number, plural

HEIGHT = 3.4  # inches


@dataclass(frozen=True, slots=True)
class PoolMoment:
    """A pool `at` s after the begin; `lost` of the connections in use will not come back."""

    at: float
    in_use: int
    waiting: int
    lost: int


def pool_timeline_finding(moments: Sequence[PoolMoment], pool_size: int) -> str:
    """The finding as a sentence: when the last connection was lost, and who waits then."""
    last = moments[-1]
    emptied = next((m.at for m in moments if m.lost >= pool_size), None)
    if emptied is not None:
        return (
            f"After {number(emptied, 2)} s the last of {plural(pool_size, 'connection')} is lost, "
            f"and {last.waiting} wait for none"
        )
    if last.lost:
        return f"{last.lost} of {plural(pool_size, 'connection')} are lost, {last.waiting} wait"
    return f"No connection is lost, and {last.waiting} wait in the end"


def pool_timeline_alt(moments: Sequence[PoolMoment], pool_size: int) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    last = moments[-1]
    said = [
        f"{pool_timeline_finding(moments, pool_size)}.",
        f"{number(last.at)} s of a pool of {plural(pool_size, 'connection')}.",
    ]
    for lost in range(1, last.lost + 1):
        at = next(m.at for m in moments if m.lost >= lost)
        said.append(f"{lost} lost from {number(at, 2)} s on.")
    most = max(moments, key=lambda m: m.waiting)
    if most.waiting:
        said.append(f"Most callers waiting: {most.waiting}, at {number(most.at, 2)} s.")
    return " ".join(said)


def pool_timeline(
    moments: Sequence[PoolMoment], pool_size: int, *, axes: Axes | None = None
) -> Axes:
    """Draw steps over time (s); without `axes` a figure is made.

    Raises:
        ValueError: there is no moment.
    """
    if not moments:
        raise ValueError("moments must be 1 or more, got 0")
    times = [m.at for m in moments]
    with style.house():
        axes = single_axes(axes, HEIGHT, pool_timeline_finding(moments, pool_size))
        axes.set_xlim(0, times[-1] or 1.0)
        axes.set_ylim(0, 1.05 * max([pool_size, *(m.waiting for m in moments)]))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("time (s)", loc="left")
        axes.set_ylabel("connections, callers")
        area: Any = {"facecolor": style.PURPLE, "edgecolor": style.INK, "hatch": "\\\\", "lw": 0}
        lost = axes.fill_between(times, [m.lost for m in moments], step="post", alpha=0.45, **area)
        size = axes.axhline(pool_size, color=style.INK, lw=1.1, ls=":", zorder=3)
        in_use, waiting = (
            axes.step(times, steps, where="post", color=colour, lw=1.7, ls=dash, zorder=4)[0]
            for steps, colour, dash in (
                ([m.in_use for m in moments], style.BLUE, "-"),
                ([m.waiting for m in moments], style.VERMILION, (0, (4, 1.5))),
            )
        )
        legend_beside(
            axes,
            [
                (waiting, "callers that wait"),
                (size, f"pool size, {pool_size}"),
                (in_use, "in use"),
                (lost, "lost: dropped,\nnever released"),
            ],
        )
    return axes
