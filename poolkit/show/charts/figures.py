"""Figures without pyplot, and their bytes: the same bytes for the same data."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.textpath import text_to_path
from matplotlib.ticker import LogLocator

from poolkit.show.charts import style
from poolkit.show.charts.points import add_titles, marked
from poolkit.units import number

Drawn = Figure | Axes
Layout = Literal["constrained"] | None
_FONTS = "DejaVu Sans, Verdana, sans-serif"  # Verdana: its sister, on machines without it
_TOO_FAINT = (style.FAINT, style.DARK[style.FAINT])  # to be read as text

# px around the axes of a chart with a legend beside them.
LEFT, RIGHT, BOTTOM = 72, 218, 46
_EDGE = 20  # px, the least right of the axes: half a number at their end
_TITLE_LINE = 22  # px
_CHARACTER = 10.4  # px that a character of a title needs on average


def new_figure(
    size: tuple[float, float] = style.FIGURE_SIZE, layout: Layout = "constrained"
) -> Figure:
    """An empty figure of `size` (inches) that no global state knows of."""
    figure = Figure(figsize=size, dpi=style.DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def set_margins(
    figure: Figure, lines: int, left: float = LEFT, right: float = RIGHT, bottom: float = BOTTOM
) -> None:
    """Leave room (px) around the axes, at the top for a title of some lines.

    Fixed margins in place of a layout engine, which takes as long again as the drawing.
    """
    width, height = figure.bbox.size
    top = 10 + _TITLE_LINE * lines
    figure.subplots_adjust(
        left / width, bottom / height, 1 - right / width, 1 - top / height, hspace=0.09
    )


def title_lines(words: str, width: float, left: float = LEFT, **kw: Any) -> list[str]:
    """A title that begins `left` px from the edge of a figure of `width` px."""
    room = int((width - left) / _CHARACTER)
    return textwrap.wrap(words, room, break_on_hyphens=False, **kw)


def set_title(axes: Axes, title: str, wrap: bool = True) -> None:
    """The title of axes; matplotlib wraps it where their place is not known yet."""
    axes.set_title(title, wrap=wrap, **style.TITLE)


@contextlib.contextmanager
def single_axes(
    axes: Axes | None,
    height: float,
    title: str,
    left: float = LEFT,
    right: float = RIGHT,
    bottom: float = BOTTOM,
) -> Iterator[Axes]:
    """Axes below a title, in the house's style: those of a caller, or of a new figure.

    Args:
        axes: of a caller, who lays out the figure that they are in.
        height: of the new figure, inches.
        left, right, bottom: px around the axes of the new figure.
    """
    with style.house():
        if axes is None:
            figure = new_figure((style.FIGURE_SIZE[0], height), layout=None)
            axes = figure.subplots()
            lines = title_lines(title, figure.bbox.width, left)
            set_margins(figure, len(lines), left, right, bottom)
            set_title(axes, "\n".join(lines), wrap=False)
        else:
            set_title(axes, title)
        yield axes


@contextlib.contextmanager
def row_axes(
    axes: Axes | None,
    names: Sequence[str],
    title: str,
    below: str,
    *,
    row: float = 0.4,
    right: float = _EDGE,
) -> Iterator[Axes]:
    """As `single_axes`, a row of `row` inches for each name, from the top; `below` is the label."""
    is_own = axes is None
    left = 18 + max((_px(name, style.LABEL_SIZE) for name in names), default=0.0)
    with single_axes(axes, 1.15 + row * len(names), title, left, right) as axes:
        axes.set_yticks(range(len(names)), labels=names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, pad=7)
        axes.set_xlabel(below)
        yield axes
        if is_own:
            _make_room(axes, left, right)


def _make_room(axes: Axes, left: float, right: float) -> None:
    """Make the axes so narrow that what is written beside points of the data ends on the paper."""
    total = axes.bbox.width + left + right
    wide = axes.bbox.width
    for words in axes.texts:  # those of `beside`
        if isinstance(words, Annotation) and words.get_horizontalalignment() == "left":
            share = (axes.transData.transform(words.xy)[0] - axes.bbox.x0) / axes.bbox.width
            long = _px(words.get_text(), float(words.get_fontsize()), words.get_fontweight())
            needs = words.xyann[0] * style.DPI / 72 + 1.05 * long + 6  # hinted, words are longer
            if share > 0:
                wide = min(wide, (total - left - needs) / share)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.subplots_adjust(right=(left + wide) / total)


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
    """Write words right of a point of the data; `row_axes` keeps room for them beyond the axes."""
    place: Any = {"xytext": (9, 0), "va": "center", "fontsize": style.LABEL_SIZE - 0.5, **kw}
    axes.annotate(words, at, textcoords="offset points", color=colour, zorder=6, **place)


def legend_beside(axes: Axes, named: Sequence[tuple[Artist, str]], ink: str = style.INK) -> Legend:
    """What each artist is, right of the axes, where nothing is drawn: it covers no line.

    Words have the colour of the line that they name; those of an area are of `ink`.
    """
    legend = axes.legend(
        [artist for artist, _ in named],
        [words for _, words in named],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    for (artist, _), text in zip(named, legend.get_texts(), strict=True):
        colour = artist.get_color() if isinstance(artist, Line2D) else ink
        text.set_color(ink if colour in _TOO_FAINT else colour)
    return legend


def png(figure: Figure, *, dpi: int = 2 * style.DPI) -> bytes:
    """The figure as PNG on white paper; the same bytes each time."""
    return _saved(figure, "white", ["Software"], format="png", dpi=dpi)


def svg(figure: Figure) -> str:
    """The figure as a stand-alone SVG file on white paper; the same text each time."""
    return _svg(figure, "white")


def _svg(figure: Figure, paper: str, fonttype: str = "path") -> str:
    unsaid = ["Date", "Creator", "Format", "Type"]
    return _saved(figure, paper, unsaid, fonttype, format="svg").decode()


def _saved(
    figure: Figure, paper: str, unsaid: Sequence[str], fonttype: str = "path", **kw: Any
) -> bytes:
    target = io.BytesIO()
    engine = figure.get_layout_engine()
    with style.house(), mpl.rc_context({"svg.fonttype": fonttype}):
        if engine is not None:
            # Once: with an engine in place matplotlib would draw everything twice.
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(target, facecolor=paper, metadata=dict.fromkeys(unsaid), **kw)
        figure.set_layout_engine(engine)
    return target.getvalue()


def inline_svg(drawn: Drawn, *, alt: str, label: str = "chart") -> str:
    """A figure (or that of some axes) as an <svg> that scales, speaks and takes the page's theme.

    The page may set the custom properties of `show.charts.style.THEME` (`--pk-ink` ...); where
    it does not, the light colours stand. `label` keeps ids apart where a page holds several. Words
    are text, which can be searched; each is as wide as it was placed, whatever font a machine has.
    Points with words of their own (`points.name_points`) show them under the pointer.
    """
    figure = drawn.get_figure(root=True)
    assert figure is not None
    with marked(figure) as named:
        text = _svg(figure, "none", fonttype="none").replace("xlink:href", "href")
    drawing = ElementTree.fromstring(text.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
    add_titles(drawing, named)
    box = drawing.get("viewBox", "")
    # Short ids that no other chart of the page has, and none where nothing refers to it.
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", label)
    used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    ids = {name: f"{prefix}-{count:x}" for count, name in enumerate(used)}
    for element in drawing.iter():
        element.attrib = dict(_for_a_page(element.attrib, ids))
        element.tail = "\n"
        if element.tag == "text":
            _fit(element)
        else:
            element.text = (element.text or "").strip() or None
    for group in drawing.iter("g"):
        _share_style(group)
    drawing.attrib = {
        "class": "pk-chart",
        "role": "img",
        "aria-label": alt,
        "width": "100%",
        "font-family": _FONTS,
        "viewBox": box,
    }
    drawing.tail = None
    return ElementTree.tostring(drawing, encoding="unicode")


def _share_style(group: ElementTree.Element) -> None:
    """Markers of one style have it from their group, once."""
    markers = [each for each in group if each.tag == "use"]
    css = {marker.get("style", "") for marker in markers}
    if len(css) == 1 and len(markers) > 1 and not group.get("style"):
        group.set("style", css.pop())
        for marker in markers:
            marker.attrib.pop("style", None)


def _for_a_page(attributes: dict[str, str], ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Attributes with a page's ids and colours, and places no finer than 0.01 pt."""
    for name, value in attributes.items():
        if name == "id":
            if value in ids:
                yield name, ids[value]
            continue
        if name == "href":
            value = f"#{ids[value.removeprefix('#')]}"
        value = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{ids[found[1]]})", value)
        value = _rounded(value).strip()
        if name == "style":
            value = re.sub(r" ?font-family: [^;]*;", "", value)  # the drawing has it once for all
            value = re.sub(r"\b(fill|stroke): (#\w{6})\b", _themed, value)
        if value and not value.startswith("rotate(-0 "):
            yield name, value


def _themed(found: re.Match[str]) -> str:
    name = style.THEME.get(found[2])
    return found[0] if name is None else f"{found[1]}: var({name}, {found[2]})"


def _rounded(text: str) -> str:
    def shorter(found: re.Match[str]) -> str:
        value = float(found[0])
        rounded = f"{value:.2f}".rstrip("0").rstrip(".")
        return rounded if float(rounded) else f"{value:.3g}"  # scales of glyphs are small

    return re.sub(r"\d+\.\d{3,}", shorter, text)


def _fit(text: ElementTree.Element) -> None:
    """Give a text its width in the font that it was placed with, for machines without it."""
    css, words = text.get("style", ""), text.text or ""
    size = re.search(r"([\d.]+)px", css)
    if size is not None and len(words) >= 3:
        weight = "bold" if re.search(r"font(-weight)?: (bold|700)", css) else "normal"
        text.set("textLength", f"{_width(words, float(size[1]), weight):.1f}")
        text.set("lengthAdjust", "spacingAndGlyphs")


def _px(words: str, size: float, weight: str | int = "normal") -> float:
    return max(_width(line, size, weight) for line in words.split("\n")) * style.DPI / 72


@functools.cache
def _width(words: str, size: float, weight: str | int) -> float:
    """The width (pt) of words in the house's font at `size` (pt)."""
    font = FontProperties(family=style.RC["font.sans-serif"], size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(words, font, ismath=False)
    return float(width)
