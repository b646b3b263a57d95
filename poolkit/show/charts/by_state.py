"""Throughput by connections in use, as points of their own kind over those of the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from poolkit.records import StatePoint
from poolkit.show.charts import curve_words, style
from poolkit.show.charts.points import name_points
from poolkit.show.charts.scene import CurveAxes, Scene

_ROOM = 0.9  # of the height of the axes: the rest is for the names of the regions


class StateMarks:
    """The artists of the states; `show` moves them to a scene.

    Where there is no sweep, the lower axes have their mean hold times, n / X(n).
    """

    def __init__(self, axes: CurveAxes, colour: Callable[[str], str]) -> None:
        upper, lower = axes
        self._upper = upper
        kw: Any = {"color": colour(style.PURPLE_INK), "mec": colour(style.PAPER), "ls": ""}
        self._bars = upper.plot([], [], color=kw["color"], lw=1.1, alpha=0.65, zorder=6.4)[0]
        self._known = upper.plot([], [], marker="s", ms=4.8, mew=0.7, zorder=6.6, **kw)[0]
        self._vague = upper.plot([], [], marker="s", ms=3.4, mew=0, alpha=0.4, zorder=5, **kw)[0]
        self._hold = lower.plot([], [], marker="s", ms=5.2, mew=0.8, zorder=5, **kw)[0]
        self._shown: tuple[Sequence[StatePoint], Sequence[StatePoint]] = ((), ())

    def show_rates(self, scene: Scene) -> list[tuple[Artist, str]]:
        """Throughput and its intervals; what the legend calls them."""
        _move(self._known, scene.states)
        # What few calls say is not worth a place among the names at the top.
        top = _ROOM * self._upper.get_ylim()[1]
        vague = [s for s in scene.vague_states if s.throughput <= top]
        _move(self._vague, vague)
        self._shown = (scene.states, vague)
        ends = [(s.in_use, s.interval95) for s in scene.states if s.interval95 is not None]
        gap = float("nan")
        same = "the same, " if scene.states else "by connections in use,\n"
        self._bars.set_data(
            [x for n, _ in ends for x in (n, n, n)],
            [y for _, (low, high) in ends for y in (low, high, gap)],
        )
        return [
            (self._known, "by connections in use" if scene.states else ""),
            (self._vague, f"{same}seldom seen" if vague else ""),
        ]

    def name_points(self) -> None:
        """Say of each state that is shown what was seen of it."""
        for line, states in zip((self._known, self._vague), self._shown, strict=True):
            name_points(line, curve_words.states(states))

    def show_holds(self, scene: Scene) -> list[tuple[Artist, str]]:
        """Mean hold times (ms) where no sweep measured any; what the legend calls them."""
        holds = scene.state_holds
        self._hold.set_data([x for x, _ in holds], [y for _, y in holds])
        return [(self._hold, "mean hold,\nby connections in use" if holds else "")]


def _move(line: Line2D, states: Sequence[StatePoint]) -> None:
    line.set_data([s.in_use for s in states], [s.throughput for s in states])
