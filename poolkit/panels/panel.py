"""What every panel has: its two forms, one style for both themes, pieces of HTML and widgets."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from html import escape
from typing import Any

from poolkit.errors import PoolkitError
from poolkit.show import charts
from poolkit.show.tables.table import NARROW

VIEW = "application/vnd.jupyter.widget-view+json"
PAGE_WIDTH = "60rem"  # of controls and text, at most
CHART_SIZE = 900, 560  # px of a chart that moves

# The colours of charts follow JupyterLab's theme; elsewhere the light ones stand.
STYLE = (
    f"""<style>{NARROW}</style><style>"""
    + """
.pk-panel { color: var(--jp-content-font-color1, #222222); max-width: 60rem; line-height: 1.45;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 14px; }
body[data-jp-theme-light="false"] .pk-panel { --pk-ink: #e3e3e3; --pk-muted: #b0b0b0;
  --pk-faint: #8a8a8a; --pk-blue: #6bb8ea; --pk-vermilion: #f0955c; --pk-green: #4fc79f;
  --pk-purple: #e29bc4; --pk-paper: #111111; --pk-line: #4a4a4a; --pk-strong: #17302a;
  --pk-alert: #4a1f10; --pk-amber: #e6b450; }
.pk-panel p { margin: 0.3rem 0; }
.pk-panel progress { width: 100%; height: 0.7rem; accent-color: var(--pk-blue, #0072b2);
  display: block; margin: 0.2rem 0; }
/* Where there is less room than its words need, a chart scrolls in its own box. */
.pk-panel .pk-chart, .pk-panel img { width: 100%; min-width: 36rem; max-width: 56rem; height: auto;
  display: block; }
/* A picture on white paper becomes one on dark paper, its hues kept. */
body[data-jp-theme-light="false"] .pk-panel img { filter: invert(0.93) hue-rotate(180deg); }
.pk-panel figure { margin: 0; overflow-x: auto; }
.widget-html:has(.pk-panel), .widget-html-content:has(> .pk-panel) { min-width: 0; }
.pk-panel .pk-small { color: var(--jp-content-font-color2, #5c5c5c); font-size: 13px; }
.pk-panel [role=alert] { border-left: 4px solid var(--pk-vermilion, #c95300);
  background: var(--pk-alert, #fdeee6); padding: 0.4rem 0.8rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.pk-panel table.pk-table { border-collapse: collapse; width: 100%; font-size: 13px;
  table-layout: auto; font-variant-numeric: tabular-nums; margin: 0.6rem 0; line-height: 1.4; }
.pk-panel caption { text-align: left; font-weight: 600; padding-bottom: 0.2rem;
  color: inherit; caption-side: top; }
.pk-panel .pk-table td, .pk-panel .pk-table th { text-align: left; vertical-align: top;
  padding: 0.25rem 0.6rem 0.25rem 0; border: 0; white-space: normal; background: none;
  border-bottom: 1px solid var(--pk-line, #d9d9d9); }
.pk-panel .pk-table .pk-number { text-align: right; }
.pk-panel .pk-table tr.pk-emphasis { background: var(--pk-strong, #e8f3ef); }
.pk-panel .pk-bad { color: var(--pk-vermilion, #a63a00); font-weight: 600; }
.pk-panel .pk-warn { color: var(--pk-amber, #855700); font-weight: 600; }
.pk-panel .pk-good { color: var(--pk-green, #00795a); }
.pk-panel .pk-scroll { overflow-x: auto; }
.pk-panel summary { cursor: pointer; }
.pk-panel a.pk-export { display: inline-block; margin: 0.15rem 0.4rem 0.15rem 0;
  padding: 0.2rem 0.8rem; border: 1px solid var(--pk-blue, #0072b2); border-radius: 3px;
  color: var(--pk-blue, #0072b2); text-decoration: none; }
.pk-panel a.pk-export:hover, .pk-panel a.pk-export:focus-visible { text-decoration: underline;
  outline: 2px solid var(--pk-blue, #0072b2); outline-offset: 1px; }
</style>"""
)


# In the alert itself: JupyterLab takes a style sheet out of a notebook that nobody has run yet.
_ALERT = "border-left: 4px solid #c95300; padding: 0.4rem 0.8rem"


class Panel:
    """A live widget in JupyterLab, the same as HTML wherever widgets cannot run.

    State: the last mistake of a click, and the view: made once, its widget (`box`) shown as often
    as one likes.
    """

    def __init__(self) -> None:
        self._view: Any = None
        self._problem: Exception | None = None
        self._lock = threading.RLock()

    def page(self) -> str:
        """What is shown without controls, as HTML."""
        raise NotImplementedError

    def html(self) -> str:
        """The panel without widgets."""
        return framed(self.page())

    def problem_html(self) -> str:
        """The alert of the last click that failed; empty where none did."""
        return failure(self._problem, "result() raises it again, with its traceback")

    def guarded(self, action: Callable[[], object]) -> None:
        """Carry out a click; what it raises is shown, and kept for `result`."""
        with self._lock:
            self._problem = None
            try:
                action()
            except Exception as error:
                self._problem = error
            self._show()

    def widget(self) -> Any:
        """The live widget; ImportError where ipywidgets is not installed."""
        with self._lock:
            if self._view is None:
                self._view = self._make_view()
        return self._view.box

    def _make_view(self) -> Any:
        raise NotImplementedError

    def _show(self) -> None:
        """Have the view show what there is, if there is a view."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        """Without ipywidgets the static forms alone."""
        shown: dict[str, Any] = {"text/plain": repr(self), "text/html": self.html()}
        try:
            live = self.widget()
        except ImportError:
            return shown
        model = {"version_major": 2, "version_minor": 0, "model_id": live.model_id}
        return shown | {VIEW: model}


def framed(*pieces: str) -> str:
    """The pieces as one panel's HTML, its style included."""
    return STYLE + piece(*pieces)


def piece(*pieces: str) -> str:
    """The pieces as part of a panel whose page has the style already; empty for nothing."""
    inside = "".join(pieces)
    return f'<div class="pk-panel">{inside}</div>' if inside else ""


def alert(cause: str, remedy: str = "") -> str:
    """What went wrong and what to do, read out at once by a screen reader; empty for no cause."""
    if not cause:
        return ""
    words = f"<strong>{escape(cause)}</strong>"
    then = f"<br>{escape(remedy)}" if remedy else ""
    return f'<div role="alert" style="{_ALERT}">{words}{then}</div>'


def failure(problem: Exception | None, remedy: str) -> str:
    """The alert of an exception, if any; `remedy` is for those that bring none of their own."""
    if problem is None:
        return ""
    if isinstance(problem, PoolkitError):
        return alert(problem.cause, problem.remedy)
    return alert(f"poolkit itself failed: {type(problem).__name__}: {problem}", remedy)


def moving(scene: charts.Scene) -> str:
    """A scene as an <img> of CHART_SIZE, light to draw, that is replaced without flicker."""
    width, height = CHART_SIZE
    data = base64.b64encode(charts.live_png(scene, width, height)).decode()
    return (
        f'<figure><img decoding="sync" alt="{escape(charts.scene_alt_text(scene), quote=True)}" '
        f'width="{width}" height="{height}" src="data:image/png;base64,{data}"></figure>'
    )


def still(scene: charts.Scene, label: str) -> str:
    """A scene as an <svg> that follows the page's theme, where nothing moves; `label` is its id."""
    figure = charts.scene_curve(scene).figure
    svg = charts.inline_svg(figure, alt=charts.scene_alt_text(scene), label=label)
    return f"<figure>{svg}</figure>"


def download(name: str, words: str, content: str, kind: str) -> str:
    """A link that saves `content` as the file `name`, wherever the page is open."""
    data = base64.b64encode(content.encode()).decode()
    return (
        f'<a class="pk-export" download="{escape(name, quote=True)}" '
        f'href="data:{kind};charset=utf-8;base64,{data}">{escape(words)}</a>'
    )


def pages(count: int) -> list[Any]:
    """Widgets that each hold a piece of page, empty."""
    import ipywidgets

    layout = {"width": "auto", "max_width": PAGE_WIDTH}
    return [ipywidgets.HTML(layout=layout) for _ in range(count)]


def column(*parts: Any) -> Any:
    """The widgets of a panel one below the other, with its style."""
    import ipywidgets

    dressed = ipywidgets.HTML(STYLE, layout={"display": "none"})
    return ipywidgets.VBox([dressed, *parts], layout={"width": "100%", "overflow": "hidden"})


def grid(controls: list[Any], narrowest: str) -> Any:
    """The controls in as many columns as the page has room for, none narrower than this."""
    import ipywidgets

    columns = f"repeat(auto-fit, minmax(min({narrowest}, 100%), 1fr))"
    layout = {"grid_template_columns": columns, "grid_gap": "0 1rem", "max_width": PAGE_WIDTH}
    return ipywidgets.Box(controls, layout={"display": "grid", **layout})
