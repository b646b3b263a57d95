"""The what-if panel's widgets: sliders that become a question, and two pieces of page."""

from __future__ import annotations

import functools
import math
import threading
from typing import TYPE_CHECKING, Any

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
        self._question = panel.asked.question
        self._is_resetting = False
        self._showing = threading.Lock()
        self.rate = widgets.FloatSlider(
            description="Target rate (/s)", style=_STYLE, layout=_layout(), readout_format=".0f"
        )
        self.growth = widgets.FloatSlider(
            description="Growth (×)", step=0.05, style=_STYLE, layout=_layout()
        )
        self.hold = widgets.FloatSlider(
            description="Hold time (×)", step=0.05, style=_STYLE, layout=_layout()
        )
        self.wait = widgets.FloatLogSlider(
            description="Wait p99 (ms)",
            step=0.05,
            style=_STYLE,
            layout=_layout(),
            readout_format=".1f",
        )
        self.replicas = widgets.IntSlider(description="Replicas", style=_STYLE, layout=_layout())
        self.lost = widgets.IntSlider(description="Lost replicas", style=_STYLE, layout=_layout())
        self.most = widgets.IntSlider(description="Max connections", style=_STYLE, layout=_layout())
        self.sliders = (
            *(self.rate, self.growth, self.hold, self.wait),
            *(self.replicas, self.lost, self.most),
        )
        self.alert, self.words, self.chart = (
            widgets.HTML(layout=widgets.Layout(width="auto", max_width="60rem")) for _ in range(3)
        )
        for slider, name in (
            (self.rate, "target_rate"),
            (self.growth, "growth"),
            (self.hold, "hold_factor"),
            (self.wait, "wait_p99"),
            (self.replicas, "replicas"),
            (self.lost, "lost_replicas"),
            (self.most, "max_connections"),
        ):
            slider.observe(functools.partial(self._moved, name), names="value")
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
        """Put the sliders where the findings and the question say, with room on either side."""
        today, objective, question = (
            asked.findings.objective,
            asked.answer.objective,
            asked.question,
        )
        wait, rate, replicas = objective.wait_p99, objective.target_rate, objective.replicas
        given = question.get("lost_replicas")
        lost = today.lost if given is None else given
        self._is_resetting = True
        try:
            self._question = question
            top = _round_up(2.0 * max(asked.today.plateau or 0.0, today.target_rate, rate))
            self.rate.step = top / 200
            _set(self.rate, min(top / 200, rate), top, rate)
            for slider, factor in (
                (self.growth, objective.growth),
                (self.hold, question.get("hold_factor") or 1.0),
            ):
                _set(slider, min(0.5, factor), max(4.0, _round_up(factor)), factor)
            # Where no wait is asked for there is none to move: a slider's place would ask for one.
            self.wait.layout.display = "none" if wait is None else None
            exponent = math.log10(1000 * (wait or 0.01))
            _set(self.wait, min(-1.0, exponent - 1), max(3.0, exponent + 1), 10**exponent)
            _set(self.replicas, 1, max(32, 2 * replicas), replicas)
            _set(self.lost, 0, max(8, 2 * lost), lost)
            most = objective.max_size
            _set(self.most, 1, max(4 * today.max_size, most), most)
        finally:
            self._is_resetting = False
        self.show(asked)

    def question(self) -> Question:
        """What is asked: the panel's question, but for the sliders that were moved since."""
        return self._question

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

    def _moved(self, name: str, change: Any) -> None:
        if not self._is_resetting:
            value = change["new"] / 1000 if name == "wait_p99" else change["new"]
            self._question = self._question | {name: value}
            self._panel.follow(self._question)


def _set(slider: Any, low: float, high: float, value: float) -> None:
    """Another range and value; never a lower end above the upper one on the way there."""
    slider.min = min(slider.min, low)
    slider.max = high
    slider.min = low
    slider.value = value


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... that is not below the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)
