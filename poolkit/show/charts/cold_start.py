"""What first callers waited, and when the server had to take new connections, from the start on."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from poolkit.analysis.cold import SLICE
from poolkit.records import ColdAdvice, ColdStart
from poolkit.show import cold
from poolkit.show.charts import style
from poolkit.show.charts.figures import new_figure, set_margins, title_lines
from poolkit.units import listed, milliseconds, number, plural

HEIGHT = 4.8  # inches
_LEFT, _RIGHT = 118, 20  # px beside the axes
_LEAST = 1e-4  # s, the shortest wait that is drawn: below it callers do not wait
_LOOKS = ((style.VERMILION, "o", "-"), (style.PURPLE_INK, "^", "--"), (style.BLUE, "s", "-"))


def cold_finding(advice: ColdAdvice) -> str:
    """The finding as a sentence: the p99 waits of the first second of what is drawn."""
    shown = cold.shown(advice)
    said = listed([f"{_waited(start)} with {_words(start)}" for start in shown])
    allowed = milliseconds(shown[0].wait_limit)
    return f"p99 wait of the first second: {said} ({allowed} allowed)"


def _words(start: ColdStart) -> str:
    if not start.min_size:
        return "empty pools"
    return f"{start.min_size} dialled {'before the first call' if start.is_warm else 'at once'}"


def _waited(start: ColdStart) -> str:
    return "no connection in time" if start.wait_p99 is None else milliseconds(start.wait_p99)


def cold_alt(advice: ColdAdvice) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [cold_finding(advice) + "."]
    for start in cold.shown(advice):
        busiest = max(start.dials_by_slice, default=0)
        said.append(
            f"{cold.sentence(start)}; {plural(start.dials, 'dial')}, at most {busiest} in 100 ms."
        )
    return " ".join(said)


def cold_start(advice: ColdAdvice) -> Axes:
    """Draw p99 waits since the first call above, dials since the start below; the top axes."""
    shown = cold.shown(advice)
    with style.house():
        figure = new_figure((style.FIGURE_SIZE[0], HEIGHT), layout=None)
        waits, dials = figure.subplots(2, 1)
        lines = title_lines(cold_finding(advice), figure.bbox.width, _LEFT)
        set_margins(figure, len(lines) + 3, _LEFT, _RIGHT, bottom=44)
        figure.subplots_adjust(hspace=0.62)
        for start, look in zip(shown, _LOOKS, strict=False):
            _draw(waits, dials, start, look)
        limit = shown[0].wait_limit
        waits.axhline(limit, color=style.MUTED, ls=":", lw=1.2)
        waits.set_yscale("log")
        low, high = waits.get_ylim()
        waits.set_ylim(min(low, limit / 2), max(high, limit * 3))
        waits.yaxis.set_major_formatter(lambda value, _: number(1000 * value))
        waits.annotate(
            f"{milliseconds(limit)} allowed", (1.0, limit), (0, 3), ha="right", color=style.MUTED,
            xycoords=waits.get_yaxis_transform(), textcoords="offset points",
            fontsize=style.NOTE_SIZE,
        )  # fmt: skip
        _name(waits, "p99 wait\n(ms)", "s since the first call")
        _name(dials, "dials\nin 100 ms", "s since the pools began to open")
        dials.set_ylim(0, None)
        dials.locator_params(axis="y", nbins=3, integer=True)
        waits.legend(loc="lower left", bbox_to_anchor=(0.0, 1.02), ncols=len(shown))
        waits.text(0, 1.32, "\n".join(lines), transform=waits.transAxes, va="bottom", **style.TITLE)
    top: Axes = waits
    return top


def _draw(waits: Axes, dials: Axes, start: ColdStart, look: tuple[str, str, str]) -> None:
    colour, marker, dash = look
    kw: Any = {"color": colour, "ls": dash, "lw": 1.4}
    drawn = [(SLICE * (i + 0.5), w) for i, w in enumerate(start.waits) if w is not None]
    if drawn:
        at, heights = zip(*((at, max(_LEAST, wait)) for at, wait in drawn), strict=True)
        waits.plot(
            at, heights, marker=marker, ms=3.8, mec=style.PAPER, mew=0.5, label=cold.how(start),
            **kw,
        )  # fmt: skip
    counts = (*start.dials_by_slice, 0)
    edges = [SLICE * number for number in range(len(counts) + 1)]
    dials.stairs(counts, edges, baseline=None, **kw)


def _name(axes: Axes, label: str, below: str) -> None:
    axes.set_ylabel(label, rotation=0, ha="right", va="center", ma="right")
    axes.set_xlabel(below)
    axes.set_xlim(0, None)
