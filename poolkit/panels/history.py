"""The history panel: each target's reviews over time, their steps, and when its size runs out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

from poolkit.panels.panel import Panel, column, pages, piece
from poolkit.review.demand import read_demands
from poolkit.review.history import read_history
from poolkit.review.kept import HISTORY
from poolkit.review.trend import History, Trend
from poolkit.show import charts, over_time, tables
from poolkit.show.outlook import MISSES
from poolkit.show.words import sentence

ALL = "all targets"


class HistoryPanel(Panel):
    """Shows what the records of reviews in some folders come to.

    In JupyterLab a list picks one target; wherever widgets cannot run all are shown as HTML.

    State: the history or why there is none, the target shown (None: all), the view.

    Args:
        folders: of reviews, of records, or of these; one or several.
        demand: TARGET=FILE each, a CSV of weekly peaks, or TARGET=prometheus (see
            `poolkit.review.demand`).
        targets: the targets.toml that names that Prometheus.
    """

    def __init__(
        self,
        folders: Path | str | Sequence[Path | str] = HISTORY,
        demand: Sequence[str] = (),
        targets: Path | None = None,
    ) -> None:
        super().__init__()
        several = [folders] if isinstance(folders, Path | str) else folders
        self.folders = [Path(each) for each in several]
        self._demands = partial(read_demands, tuple(demand), file=targets)
        self.target: str | None = None
        self._history: History | None = None
        self.guarded(self._read)

    def __repr__(self) -> str:
        if self._history is None:
            return f"HistoryPanel: {self._problem}"
        return f"HistoryPanel: {charts.history_finding(self._history)}"

    @property
    def targets(self) -> tuple[str, ...]:
        """Those that the reviews tell of."""
        return () if self._history is None else tuple(t.target for t in self._history.trends)

    def result(self) -> History:
        """The history; raises why there is none."""
        if self._history is None:
            assert self._problem is not None, "reading either finds something or fails"
            raise self._problem
        return self._history

    def show(self, target: str | None) -> None:
        """Show this target alone from now on; all of them for None."""
        with self._lock:
            self.target = target
            self._show()

    def refresh(self) -> None:
        """Read the folders again."""
        with self._lock:
            self.guarded(self._read)

    def page(self) -> str:
        """The finding, the chart, for each target its steps, its demand, and its reviews."""
        if self._history is None:
            return self.problem_html()
        return words(self._chosen(self._history))

    def _read(self) -> None:
        self._history = None
        self._history = read_history(self.folders, demand_of=self._demands)

    def _chosen(self, history: History) -> History:
        chosen = tuple(t for t in history.trends if self.target in (None, t.target))
        return history.model_copy(update={"trends": chosen or history.trends})

    def _make_view(self) -> _HistoryView:
        return _HistoryView(self)

    def _show(self) -> None:
        if self._view is not None:
            self._view.show()


class _HistoryView:
    """The list of targets, and what the chosen one comes to."""

    def __init__(self, panel: HistoryPanel) -> None:
        import ipywidgets

        self._panel = panel
        layout = {"width": "auto", "max_width": "36rem"}
        self.target = ipywidgets.Dropdown(description="Target", layout=layout)
        self.refresh = ipywidgets.Button(
            description="Look again", tooltip="Read the reviews that were made meanwhile"
        )
        (self.page,) = pages(1)
        self.target.observe(self._chosen, names="value")
        self.refresh.on_click(lambda _: panel.refresh())
        self.box = column(self.target, self.refresh, self.page)
        self.show()

    def show(self) -> None:
        """Put the targets that there are into the list, and what is known of them on the page."""
        panel = self._panel
        known = panel.targets
        options = (ALL, *known)
        if self.target.options != options:
            self.target.options = options
        self.target.value = panel.target if panel.target in known else ALL
        self.page.value = piece(panel.page())

    def _chosen(self, _change: object) -> None:
        chosen = None if self.target.value == ALL else self.target.value
        if chosen != self._panel.target:
            self._panel.show(chosen)


def words(history: History) -> str:
    """Finding, chart, steps, demand, what was skipped, and each target's reviews folded."""
    drawn, alt = charts.history(history), charts.history_alt(history)
    chart = f"<figure>{charts.inline_svg(drawn, alt=alt, label='over-time')}</figure>"
    said = "".join(
        f"<li><strong>{escape(trend.target)}</strong>: {escape(line)}.</li>"
        for trend in history.trends
        for line in over_time.said(trend)
    )
    skipped = "".join(
        f'<p class="pk-small">Skipped {escape(one.path)}: {escape(one.cause)}; '
        f"{escape(one.remedy)}.</p>"
        for one in history.skipped
    )
    rows = "".join(tables.history(trend).folded() for trend in history.trends)
    finding = escape(charts.history_finding(history))
    fans = "".join(_ahead(trend) for trend in history.trends)
    misses = f'<p class="pk-small">{escape(sentence(MISSES))}</p>' if history.outlooks else ""
    return f'<p role="status">{finding}.</p>{chart}<ul>{said}</ul>{fans}{misses}{skipped}{rows}'


def _ahead(trend: Trend) -> str:
    """The fan of a target's demand and what it comes to; nothing where none was given."""
    lines = [escape(sentence(line)) for line in over_time.ahead(trend)]
    if trend.outlook is None:
        return "".join(f"<p>{escape(trend.target)}: {line}</p>" for line in lines)
    drawn, alt = charts.demand_fan(trend.outlook), charts.demand_alt(trend.outlook)
    fan = charts.inline_svg(drawn, alt=alt, label=f"demand-{trend.target}")
    # The first is the chart's title.
    return (
        f"<p><strong>{escape(trend.target)}</strong></p><figure>{fan}</figure>"
        f"<p>{' '.join(lines[1:])}</p>"
    )
