"""The sweep panel's widgets: they hold texts and clicks, and decide nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as widgets

from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET
from poolkit.panels import sweep_page
from poolkit.panels.look import STYLE, piece
from poolkit.panels.painter import each_of
from poolkit.panels.request import Request, read_number, read_sizes
from poolkit.panels.story import Story

if TYPE_CHECKING:
    from poolkit.panels.sweep import SweepPanel

_FIELD = {"description_width": "7.5rem"}


def grid(narrowest: str) -> widgets.Layout:
    """As many columns as the page has room for, none narrower than this."""
    return widgets.Layout(
        display="grid",
        grid_template_columns=f"repeat(auto-fit, minmax({narrowest}, 1fr))",
        grid_gap="0 1rem",
        max_width="60rem",
    )


def field(description: str, value: str, placeholder: str, tooltip: str) -> widgets.Text:
    """A labelled line of text that grows and wraps with the page."""
    return widgets.Text(
        value=value,
        description=description,
        placeholder=placeholder,
        tooltip=tooltip,
        style=_FIELD,
        layout=widgets.Layout(width="auto"),
    )


class SweepView:
    """The controls and the pieces of page of one panel; shown as often as one likes."""

    def __init__(self, panel: SweepPanel) -> None:
        self._panel = panel
        asked = panel.request
        self.target = widgets.Dropdown(
            options=list(panel.source.names),
            value=panel.target,
            description="Target",
            style=_FIELD,
            layout=widgets.Layout(width="auto"),
        )
        self.sizes = field(
            "Sizes", ", ".join(map(str, asked.sizes)), "chosen for you", "pool sizes to measure"
        )
        self.budget = field("Budget (s)", _text(asked.budget), "", "seconds of load, at most")
        self.rate = field(
            "Target rate (/s)", _text(asked.target_rate), "as the target asks", "calls per second"
        )
        wait = None if asked.wait_p99 is None else asked.wait_p99 * 1000
        self.wait = field(
            "Wait p99 (ms)", _text(wait), "as the target asks", "longest good p99 wait"
        )
        self.verify = widgets.Checkbox(
            value=asked.verify,
            description="Verify the size under load",
            indent=False,
            layout=widgets.Layout(width="auto"),
        )
        self.start = widgets.Button(
            description="Start", button_style="primary", tooltip="Measure the target now"
        )
        self.cancel = widgets.Button(
            description="Cancel", tooltip="End the measurement; finished trials are kept"
        )
        self.status, self.progress, self.alert, self.chart, self.results, self.exports = (
            widgets.HTML(layout=widgets.Layout(width="auto", max_width="60rem")) for _ in range(6)
        )
        self._drawn: object = None
        self._showing = threading.Lock()
        self.verify.observe(lambda _: self._say_budget(), names="value")
        self._say_budget()
        self.start.on_click(lambda _: panel.guarded(self._start))
        self.cancel.on_click(lambda _: panel.guarded(panel.cancel))
        self.box = self._laid_out()
        self.show(panel.story)

    def _laid_out(self) -> widgets.VBox:
        fields = widgets.Box(
            [self.target, self.sizes, self.budget, self.rate, self.wait, self.verify],
            layout=grid("17rem"),
        )
        buttons = widgets.HBox([self.start, self.cancel])
        return widgets.VBox(
            [
                widgets.HTML(STYLE, layout=widgets.Layout(display="none")),
                *(fields, buttons, self.status, self.progress, self.alert, self.chart),
                *(self.results, self.exports),
            ],
            layout=widgets.Layout(width="100%", overflow="hidden"),
        )

    def show(self, story: Story) -> None:
        """Put a story on the page; from any thread."""
        with self._showing:
            is_busy = not story.is_over
            for control in (self.target, self.sizes, self.budget, self.rate, self.wait):
                _set(control, "disabled", is_busy)
            _set(self.verify, "disabled", is_busy)
            _set(self.start, "disabled", is_busy)
            _set(self.cancel, "disabled", not is_busy)
            # Apart: what a screen reader is told changes with what happens, not with each second.
            _set(self.status, "value", piece(sweep_page.line(story)))
            _set(self.progress, "value", piece(sweep_page.bar(story)))
            self._show_problem(story)
            drawn = (story.trials, story.sizing, story.recommendation, is_busy)
            if drawn != self._drawn:
                self._draw(story)
                self._drawn = drawn  # last: what could not be drawn is tried again

    def show_problem(self) -> None:
        """Put the mistake of the last click on the page."""
        with self._showing:
            self._show_problem(self._panel.story)

    def _show_problem(self, story: Story) -> None:
        _set(self.alert, "value", piece(self._panel.problem_html(), sweep_page.trouble(story)))

    def _draw(self, story: Story) -> None:
        run = self._panel.run
        target = None if run is None else run.target

        def put(place: widgets.HTML, page: Callable[[], str]) -> None:
            place.value = piece(page())

        each_of(
            (
                lambda: put(self.chart, lambda: sweep_page.chart(story)),
                lambda: put(self.results, lambda: sweep_page.results(story)),
                lambda: put(self.exports, lambda: sweep_page.exports(story, target)),
            )
        )

    def _say_budget(self) -> None:
        """What an empty budget means."""
        budget = SIZE_BUDGET if self.verify.value else SWEEP_BUDGET
        _set(self.budget, "placeholder", _text(budget))

    def _start(self) -> None:
        wait = read_number(self.wait.value, "wait target")
        self._panel.start(
            Request(
                target=self.target.value or "",
                sizes=read_sizes(self.sizes.value),
                budget=read_number(self.budget.value, "budget"),
                target_rate=read_number(self.rate.value, "target rate"),
                wait_p99=None if wait is None else wait / 1000,
                verify=self.verify.value,
            )
        )


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _set(control: widgets.Widget, trait: str, value: object) -> None:
    """Set a trait only where it changes: every message costs the page a little."""
    if getattr(control, trait) != value:
        setattr(control, trait, value)
