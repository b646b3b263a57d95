"""What a cell shows: a data frame as a table, a drawing with its words, times side by side.

    ax = axes()
    ax.plot(curve.pool_size, curve.throughput)
    plotted(ax, "Throughput stops growing", curve[["pool_size", "throughput"]])

The axes are matplotlib's and the frames pandas': what a cell does with them needs nothing of ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from html import escape
from numbers import Real
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Text

from poolkit.panels.panel import alert, framed
from poolkit.records import Distribution
from poolkit.report.page import Part
from poolkit.report.pictures import figure
from poolkit.show import charts
from poolkit.show.charts import style
from poolkit.show.charts.figures import set_title
from poolkit.show.tables import Table
from poolkit.units import NONE, number

_YES, _NO = "✓ yes", "✗ no"


def table(frame: pd.DataFrame, caption: str, mark: str = "") -> Table:
    """The frame as a table: its index first unless it only counts, floats to three figures.

    Args:
        mark: the row to look at first, by the words in its first cell; empty: none.
    """
    rows = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    numeric = [i for i, dtype in enumerate(rows.dtypes) if dtype.kind in "iuf"]
    cells = [tuple(_cell(value) for value in row) for row in rows.astype(object).to_numpy()]
    return Table(
        caption,
        tuple(str(name) for name in rows.columns),
        tuple(cells),
        frozenset(numeric),
        frozenset(i for i, row in enumerate(cells) if mark and row[0] == mark),
    )


def axes(height: float = 3.4) -> Axes:
    """Empty axes in the house's style; series differ by marker as well as by colour.

    Args:
        height: of the figure, inches.
    """
    with style.house():
        made = charts.new_figure((style.FIGURE_SIZE[0], height)).subplots()
    colours = [style.BLUE, style.VERMILION, style.GREEN, style.PURPLE]
    made.set_prop_cycle(color=colours, marker=["o", "^", "s", "D"])
    return made


def plotted(ax: Axes, title: str, data: pd.DataFrame | pd.Series) -> Part:
    """What a cell has drawn, under the claim that it shows; `data` is read to who cannot see it."""
    drawn = ax.get_figure(root=True)
    assert drawn is not None
    with style.house():
        set_title(ax, title)
        # What matplotlib makes outside the style is black, also on a dark page.
        for text in drawn.findobj(Text):
            if text.get_color() == "black":
                text.set_color(style.INK)
    return chart(ax, f"{title}. {_spoken(data)}")


def chart(drawn: charts.Drawn, alt: str, caption: str = "") -> Part:
    """A chart of `poolkit.show.charts` with its words, which follows the page's theme."""
    html = figure(drawn, alt, f"c{zlib.crc32(alt.encode()):x}", caption)
    return Part(framed(html.replace("\n<figcaption></figcaption>", "")), alt)


def times(rows: Mapping[str, Distribution], title: str, what: str, focus: str = "") -> Part:
    """Times of several cases side by side: median, 95 %, 99 % and the longest of each.

    Args:
        rows: name of a case -> its times.
        what: is timed: "response time".
        focus: the case that the title speaks of.
    """
    spreads = [charts.Spread(name, taken, name == focus) for name, taken in rows.items()]
    return chart(charts.spreads(spreads, title, what), charts.spreads_alt(spreads, title))


def words(sentence: str) -> Part:
    """A sentence in place of a chart or a table that has nothing to show."""
    return Part(framed(f"<p>{escape(sentence)}</p>"), sentence)


def notice(cause: str, remedy: str = "") -> Part:
    """What the reader must not overlook, coloured."""
    return Part(framed(alert(cause, remedy)), f"{cause} {remedy}".strip())


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return _YES if value else _NO
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return NONE
    if isinstance(value, Real):
        return str(value) if isinstance(value, int) else number(float(value))
    return str(value)


def _spoken(data: pd.DataFrame | pd.Series) -> str:
    """The data in words, a sentence a row."""
    frame = data.to_frame() if isinstance(data, pd.Series) else data
    rows = frame.astype(object).to_numpy()
    return " ".join(
        f"{frame.index.name or ''} {_cell(at)}: ".lstrip()
        + ", ".join(f"{name} {_cell(value)}" for name, value in zip(frame, row, strict=True))
        + "."
        for at, row in zip(frame.index, rows, strict=True)
    )
