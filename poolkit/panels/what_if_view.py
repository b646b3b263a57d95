"""The what-if panel's widgets: sliders that become a question, and two pieces of page."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import ipywidgets as widgets

from poolkit.analysis.what_if import Question
from poolkit.panels import what_if_page
from poolkit.panels.look import STYLE, piece
from poolkit.panels.slider_names import name_sliders
from poolkit.panels.sweep_view import grid
from poolkit.panels.what_if_page import Asked

if TYPE_CHECKING:
    from poolkit.panels.what_if import WhatIfPanel

_STYLE = {"description_width": "10rem"}


def _layout() -> widgets.Layout:
    return widgets.Layout(width="auto")


class WhatIfView:
    """The sliders and what they lead to; shown as often as one likes."""

    def __init__(self, panel: WhatIfPanel) -> None:
        self._panel = panel
        self._is_resetting = False
        self._showing = threading.Lock()
        self.rate = widgets.FloatSlider(
            description="Target rate (/s)", style=_STYLE, layout=_layout(), readout_format=".0f"
        )
        self.growth = widgets.FloatSlider(
            description="Growth (×)", min=0.5, max=4.0, step=0.05, style=_STYLE, layout=_layout()
        )
        self.hold = widgets.FloatSlider(
            description="Hold time (×)", min=0.5, max=4.0, step=0.05, style=_STYLE, layout=_layout()
        )
        self.wait = widgets.FloatLogSlider(
            description="Wait p99 (ms)",
            min=-1.0,
            max=3.0,
            step=0.05,
            style=_STYLE,
            layout=_layout(),
            readout_format=".1f",
        )
        self.replicas = widgets.IntSlider(
            description="Replicas", min=1, max=32, style=_STYLE, layout=_layout()
        )
        self.lost = widgets.IntSlider(
            description="Lost replicas", min=0, max=8, style=_STYLE, layout=_layout()
        )
        self.most = widgets.IntSlider(
            description="Max connections", min=1, style=_STYLE, layout=_layout()
        )
        self.sliders = (
            *(self.rate, self.growth, self.hold, self.wait),
            *(self.replicas, self.lost, self.most),
        )
        self.alert, self.words, self.chart = (
            widgets.HTML(layout=widgets.Layout(width="auto", max_width="60rem")) for _ in range(3)
        )
        for slider in self.sliders:
            slider.observe(self._moved, names="value")
        self.box = widgets.VBox(
            [
                widgets.HTML(STYLE, layout=widgets.Layout(display="none")),
                widgets.Box(
                    list(self.sliders),
                    layout=grid("24rem"),
                ),
                *(self.alert, self.words, self.chart),
            ],
            layout=widgets.Layout(width="100%", overflow="hidden"),
        )
        name_sliders(self.box)
        self.reset(panel.asked)

    def reset(self, asked: Asked) -> None:
        """Put the sliders where the findings and the question say."""
        objective, question = asked.findings.objective, asked.question
        self._is_resetting = True
        try:
            plateau = asked.today.plateau or objective.target_rate
            top = _round_up(2.0 * max(plateau, objective.target_rate))
            self.rate.max, self.rate.step = top, top / 200
            self.rate.min = top / 200
            self.most.max = max(4 * objective.max_size, question.max_connections or 1)
            self.rate.value = question.target_rate or objective.target_rate
            self.growth.value = question.growth or objective.growth
            self.hold.value = question.hold_factor
            self.wait.value = 1000 * (question.wait_p99 or objective.wait_p99 or 0.01)
            self.replicas.value = question.replicas or objective.replicas
            lost = objective.lost if question.lost_replicas is None else question.lost_replicas
            self.lost.value = lost
            self.most.value = question.max_connections or objective.max_size
        finally:
            self._is_resetting = False
        self.show(asked)

    def question(self) -> Question:
        """What the sliders ask."""
        return Question(
            target_rate=self.rate.value,
            growth=self.growth.value,
            hold_factor=self.hold.value,
            wait_p99=self.wait.value / 1000,
            replicas=self.replicas.value,
            lost_replicas=self.lost.value,
            max_connections=self.most.value,
        )

    def show(self, asked: Asked) -> None:
        """Put an answer on the page; from any thread."""
        with self._showing:
            self.words.value = piece(what_if_page.words(asked))
            self.chart.value = piece(what_if_page.chart(asked))
            self.alert.value = ""

    def show_problem(self) -> None:
        """Put the mistake of the last move on the page."""
        with self._showing:
            self.alert.value = piece(self._panel.problem_html())

    def _moved(self, _change: object) -> None:
        if not self._is_resetting:
            self._panel.follow(self.question())


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... that is not below the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)
