"""Figures without pyplot, and their bytes: the same bytes for the same data."""

from __future__ import annotations

import html
import io
import re

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from poolkit.charts import style


def new_figure(size: tuple[float, float] = style.FIGURE_SIZE) -> Figure:
    """An empty figure of `size` (inches) that no global state knows of."""
    figure = Figure(figsize=size, dpi=style.DPI)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure, *, dpi: int = 2 * style.DPI) -> bytes:
    """The figure as PNG on white paper; the same bytes each time."""
    target = io.BytesIO()
    with mpl.rc_context(style.RC):
        figure.savefig(
            target, format="png", dpi=dpi, facecolor="white", metadata={"Software": None}
        )
    return target.getvalue()


def svg(figure: Figure) -> str:
    """The figure as a stand-alone SVG file on white paper; the same text each time."""
    return _svg(figure, "white")


def inline_svg(figure: Figure, *, alt: str, label: str = "chart") -> str:
    """The figure as an <svg> element that scales, says `alt` and follows its page's theme.

    The page may set the custom properties of `poolkit.charts.style.THEME` (`--pk-ink` ...); where
    it does not, the light colours stand. `label` keeps ids apart where a page holds several.
    """
    text = _svg(figure, "none")
    body = text[text.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]+"', body)
    drawing = body[body.index(">") + 1 : body.rindex("</svg>")]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = _shorter(_with_own_ids(drawing, label))
    for colour, name in style.THEME.items():
        drawing = re.sub(rf"\b(fill|stroke): {colour}\b", rf"\1: var({name}, {colour})", drawing)
    name = html.escape(alt, quote=True)
    return (
        f'<svg class="pk-chart" role="img" aria-label="{name}" width="100%" '
        f"{view_box.group(0) if view_box else ''}>{drawing}</svg>"
    )


def _svg(figure: Figure, paper: str) -> str:
    target = io.StringIO()
    with mpl.rc_context(style.RC):
        figure.savefig(
            target,
            format="svg",
            facecolor=paper,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return target.getvalue()


def _with_own_ids(drawing: str, label: str) -> str:
    """Ids that no other chart of the page has; those that nothing refers to are dropped."""
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", label)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawing))
    drawing = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "",
        drawing,
    )
    drawing = re.sub(r"url\(#", f"url(#{prefix}-", drawing)
    return re.sub(r'xlink:href="#', f'href="#{prefix}-', drawing)


def _shorter(drawing: str) -> str:
    """Without comments and indentation, which a page does not need."""
    drawing = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", drawing).strip()
