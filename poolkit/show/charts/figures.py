"""Figures without pyplot, and their bytes: the same bytes for the same data."""

from __future__ import annotations

import functools
import html
import io
import re
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import LogLocator

from poolkit.show.charts import style
from poolkit.units import number

Drawn = Figure | Axes
Layout = Literal["constrained"] | None
_FONTS = "DejaVu Sans, Verdana, sans-serif"  # Verdana: its sister, on machines without it

_TOO_FAINT = (style.FAINT, style.DARK[style.FAINT])  # to be read as text


def new_figure(
    size: tuple[float, float] = style.FIGURE_SIZE, layout: Layout = "constrained"
) -> Figure:
    """An empty figure of `size` (inches) that no global state knows of."""
    figure = Figure(figsize=size, dpi=style.DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def single_axes(axes: Axes | None, height: float, title: str) -> Axes:
    """The axes that a caller gave, or those of a new figure of `height` (inches), below a title."""
    if axes is None:
        axes = new_figure((style.FIGURE_SIZE[0], height)).subplots()
        axes.patch.set_alpha(0.0)  # the page's own paper, light or dark
    axes.set_title(title, loc="left", pad=9, wrap=True, **style.TITLE)
    return axes


def row_axes(
    axes: Axes | None, names: Sequence[str], title: str, below: str, *, row: float = 0.4
) -> Axes:
    """As `single_axes`, a row of `row` inches for each name, from the top; `below` is the label."""
    axes = single_axes(axes, 1.15 + row * len(names), title)
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.set_xlabel(below, loc="left")
    return axes


def log_times(axes: Axes, ends: Sequence[float]) -> None:
    """A log axis of times (ms) from the shortest to the longest of `ends`, with some air."""
    low, high = min(ends), max(ends)
    air = max(high / low, 10.0) ** 0.04
    axes.set_xscale("log")
    axes.set_xlim(low / air, high * air)
    axes.minorticks_off()
    is_short = high / low < 10**2.5
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_short else (1.0,)))
    axes.xaxis.set_major_formatter(lambda value, _: number(value))


def beside(
    axes: Axes, words: str, at: tuple[float, float], colour: str = style.INK, **kw: Any
) -> None:
    """Write words right of a point of the data; the layout keeps room for them beyond the axes."""
    place: Any = {"xytext": (9, 0), "va": "center", "fontsize": style.LABEL_SIZE - 0.5, **kw}
    axes.annotate(words, at, textcoords="offset points", color=colour, zorder=6, **place)


def legend_beside(
    axes: Axes,
    named: Sequence[tuple[Artist, str]],
    ink: str = style.INK,
) -> Legend:
    """What each artist is, right of the axes, where nothing is drawn: it covers no line.

    Words have the colour of the line that they name; those of an area are of `ink`.
    """
    legend = axes.legend(
        [artist for artist, _ in named],
        [words for _, words in named],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=style.LABEL_SIZE - 0.5,
        handlelength=1.9,
        handletextpad=0.6,
        labelspacing=0.45,
        borderaxespad=0.0,
    )
    for (artist, _), text in zip(named, legend.get_texts(), strict=True):
        colour = artist.get_color() if isinstance(artist, Line2D) else ink
        text.set_color(ink if colour in _TOO_FAINT else colour)
    return legend


def png(figure: Figure, *, dpi: int = 2 * style.DPI) -> bytes:
    """The figure as PNG on white paper; the same bytes each time."""
    target = io.BytesIO()
    with style.house():
        figure.savefig(
            target, format="png", dpi=dpi, facecolor="white", metadata={"Software": None}
        )
    return target.getvalue()


def svg(figure: Figure) -> str:
    """The figure as a stand-alone SVG file on white paper; the same text each time."""
    return _svg(figure, "white")


def inline_svg(drawn: Drawn, *, alt: str, label: str = "chart") -> str:
    """A figure (or that of some axes) as an <svg> that scales, speaks and takes the page's theme.

    The page may set the custom properties of `show.charts.style.THEME` (`--pk-ink` ...); where
    it does not, the light colours stand. `label` keeps ids apart where a page holds several. Words
    are text, which can be searched; each is as wide as it was placed, whatever font a machine has.
    """
    figure = drawn.get_figure(root=True)
    assert figure is not None
    text = _svg(figure, "none", fonttype="none")
    body = text[text.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]+"', body)
    drawing = body[body.index(">") + 1 : body.rindex("</svg>")]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<text style="([^"]*)"([^>]*)>([^<]*)</text>', _fitted, drawing)
    drawing = _shorter(_with_own_ids(drawing, label))
    for colour, name in style.THEME.items():
        drawing = re.sub(rf"\b(fill|stroke): {colour}\b", rf"\1: var({name}, {colour})", drawing)
    name = html.escape(alt, quote=True)
    return (
        f'<svg class="pk-chart" role="img" aria-label="{name}" width="100%" '
        f'font-family="{_FONTS}" {view_box.group(0) if view_box else ""}>{drawing}</svg>'
    )


def _svg(figure: Figure, paper: str, fonttype: str = "path") -> str:
    target = io.StringIO()
    with style.house(), mpl.rc_context({"svg.fonttype": fonttype}):
        figure.savefig(
            target,
            format="svg",
            facecolor=paper,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return target.getvalue()


def _fitted(found: re.Match[str]) -> str:
    """A <text> with its width in the font that it was placed with, for machines without it."""
    css, place, words = found.groups()
    css = re.sub(r" ?font-family: [^;]*;", "", css)
    place = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", place)
    size = re.search(r"font-size: ([\d.]+)px", css) or re.search(r"font: .*?([\d.]+)px", css)
    if size is None or len(words) < 3:
        return f'<text style="{css}"{place}>{words}</text>'
    weight = "bold" if re.search(r"font-weight: (bold|700)|font: (bold|700)", css) else "normal"
    wide = _width(html.unescape(words), float(size[1]), weight)
    fit = f' textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text style="{css}"{place}{fit}>{words}</text>'


@functools.cache
def _width(words: str, size: float, weight: str) -> float:
    """The width (pt) of words in the house's font at `size` (pt)."""
    font = FontProperties(family=style.RC["font.sans-serif"], size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(words, font, ismath=False)
    return float(width)


def _with_own_ids(drawing: str, label: str) -> str:
    """Short ids that no other chart of the page has; those that nothing refers to are dropped."""
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", label)
    used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawing))
    short = {name: f"{prefix}-{number:x}" for number, name in enumerate(used)}
    drawing = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{short[found[1]]}"' if found[1] in used else "",
        drawing,
    )
    drawing = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{short[found[1]]})", drawing)
    return re.sub(
        r'(?:xlink:)?href="#([^"]+)"', lambda found: f'href="#{short[found[1]]}"', drawing
    )


def _shorter(drawing: str) -> str:
    """Without what a page does not need: comments, indentation, and places finer than 0.01 pt."""
    drawing = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
    # In tags alone: the words between them are what a reader sees.
    drawing = re.sub(r"<[^>]+>", lambda tag: re.sub(r"\d+\.\d{3,}", _rounded, tag[0]), drawing)
    drawing = re.sub(r" ?style=\"\"| stroke-width: 0$", "", drawing)
    return re.sub(r"\s*\n\s*", "\n", drawing).strip()


def _rounded(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
    return text if float(text) else f"{float(found[0]):.3g}"  # scales of glyphs are small
