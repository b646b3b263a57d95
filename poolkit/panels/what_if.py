"""The what-if panel: sliders over a sweep, and what the pool would need."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from poolkit.analysis.what_if import Answer, Planner, Question, what_if
from poolkit.errors import BadInput
from poolkit.panels.painter import Painter
from poolkit.panels.panel import Panel, column, grid, moving, pages, piece, still
from poolkit.panels.story import Findings
from poolkit.panels.sweep import SweepPanel
from poolkit.records import Plateau, Sweep
from poolkit.show import charts
from poolkit.show.tables import Table
from poolkit.show.trust import same_response
from poolkit.units import NONE, milliseconds, number, plural, rate, share

PER_SECOND = 10.0  # pictures, at most; each takes some 50 ms


@dataclass(frozen=True)
class Asked:
    """One question, its answer, and the answer to what is asked today."""

    findings: Findings
    today: Answer  # to the target as it is asked for
    answer: Answer
    plateau: Plateau | None  # that sentence, table and chart quote, before a slider slows it

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.answer.question


class WhatIfPanel(Panel):
    """Answers what a pool would need if the rate, the upstream or the fleet were different.

    Nothing is measured: answers come from the curve of one sweep. In JupyterLab the panel has
    sliders; wherever widgets cannot run it shows the last answer as HTML. Methods may be called
    from any thread.

    State: the findings, fitted once; `asked`, the last question and its answer; the last mistake;
    the view.

    Args:
        findings: of a sweep, or the panel that makes them: then later sweeps are followed.
    """

    def __init__(self, findings: Findings | SweepPanel) -> None:
        super().__init__()
        self._painter: Painter[Question] = Painter(self._paint, self._note, PER_SECOND)
        if isinstance(findings, SweepPanel):
            findings.when_done(self.take)
            findings = findings.result()
        self.take(findings)

    def __repr__(self) -> str:
        return f"WhatIfPanel: {sentence(self.asked)}"

    def take(self, findings: Findings) -> None:
        """Answer from this sweep from now on, beginning with what its target asks today."""
        with self._lock:
            self._planner = planner_of(findings)
            today = what_if(self._planner, Question())
            self.asked = Asked(findings, today, today, self._planner.plateau)
        self._show()

    def ask(self, **changes: float | int | None) -> Answer:
        """The answer with these parts of the last question changed, for cells and tests.

        Args:
            changes: as in `poolkit.analysis.what_if.Question`.

        Raises:
            BadInput: the question cannot be meant.
        """
        self._answer(self.asked.question | changes)
        self._show()
        return self.asked.answer

    def follow(self, question: Question) -> None:
        """Answer soon and show it; a slider's move. Only the latest of many is answered."""
        self._painter.show(question)

    def result(self) -> Answer:
        """The last answer; raises what went wrong in a slider's move, if something did."""
        if self._problem is not None:
            raise self._problem
        return self.asked.answer

    def wait_shown(self, timeout: float = 10.0) -> bool:
        """Wait until the page shows the latest; whether that came within `timeout` (s)."""
        return self._painter.wait_idle(timeout)

    def page(self) -> str:
        """Alert, sentence, table and chart."""
        return self.problem_html() + words(self.asked) + still(scene(self.asked), "what-if")

    def _make_view(self) -> _WhatIfView:
        return _WhatIfView(self)

    def _show(self) -> None:
        if self._view is not None:
            self._view.reset(self.asked)

    def _answer(self, question: Question) -> None:
        with self._lock:
            try:
                self.asked = replace(self.asked, answer=what_if(self._planner, question))
            except ValueError as error:
                raise BadInput(str(error), "move the slider to where it makes sense") from error
            self._problem = None

    def _paint(self, question: Question) -> None:
        self._answer(question)
        if self._view is not None:
            self._view.show(self.asked)

    def _note(self, problem: Exception) -> None:
        self._problem = problem
        if self._view is not None:
            self._view.show_problem()


# Key of the question -> the slider's class in ipywidgets, its label, and the rest.
_SLIDERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "target_rate": ("FloatSlider", "Target rate (/s)", {"readout_format": ".0f"}),
    "growth": ("FloatSlider", "Growth (×)", {"step": 0.05}),
    "hold_factor": ("FloatSlider", "Hold time (×)", {"step": 0.05}),
    "wait_p99": ("FloatLogSlider", "Wait p99 (ms)", {"step": 0.05, "readout_format": ".1f"}),
    "replicas": ("IntSlider", "Replicas", {}),
    "lost_replicas": ("IntSlider", "Lost replicas", {}),
    "max_connections": ("IntSlider", "Max connections", {}),
}


class _WhatIfView:
    """The sliders and what they lead to.

    State: the question (the panel's, but for the sliders moved since), and the threads on which the
    panel itself moves them: what a person moves meanwhile comes on another.
    """

    def __init__(self, panel: WhatIfPanel) -> None:
        import ipywidgets

        self._panel = panel
        self._question = panel.asked.question
        self._moving: set[int] = set()
        self._showing = threading.Lock()
        self.sliders: dict[str, Any] = {}
        for key, (kind, label, options) in _SLIDERS.items():
            # A layout of its own each: one may be hidden.
            slider = getattr(ipywidgets, kind)(
                description=label,
                layout={"width": "auto"},
                style={"description_width": "10rem"},
                **options,
            )
            slider.observe(functools.partial(self._moved, key), names="value")
            self.sliders[key] = slider
        self.alert, self.words, self.chart = pages(3)
        sliders = grid(list(self.sliders.values()), "24rem")
        self.box = column(sliders, self.alert, self.words, self.chart, _naming())
        self.box.add_class(PANEL)
        self.reset(panel.asked)

    def reset(self, asked: Asked) -> None:
        """Put the sliders where the findings and the question say, with room on either side."""
        with self._by_itself():
            self._question = asked.question
            ranges = _ranges(asked)
            self.sliders["target_rate"].step = ranges["target_rate"][1] / 200
            for key, (low, high, value) in ranges.items():
                slider = self.sliders[key]
                # Never a lower end above the upper one on the way there.
                slider.min = min(slider.min, low)
                slider.max = high
                slider.min = low
                slider.value = value
            # Where no wait is asked for there is none to move: a slider's place would ask for one.
            is_asked = asked.answer.objective.wait_p99 is not None
            self.sliders["wait_p99"].layout.display = None if is_asked else "none"
        self.show(asked)

    def show(self, asked: Asked) -> None:
        """Put an answer on the page; from any thread."""
        with self._showing:
            if asked.question == self._question:  # no slider has moved since
                self._follow_lost(asked.answer.objective.lost)
            self.words.value = piece(words(asked))
            self.chart.value = piece(moving(scene(asked)))
            self.alert.value = ""

    def _follow_lost(self, lost: int) -> None:
        """Have the slider say how many replicas the answer takes for lost: a fleet of one none."""
        with self._by_itself():
            self.sliders["lost_replicas"].value = lost

    @contextlib.contextmanager
    def _by_itself(self) -> Iterator[None]:
        """While it lasts, what this thread moves is no question."""
        thread = threading.get_ident()
        self._moving.add(thread)
        try:
            yield
        finally:
            self._moving.discard(thread)

    def show_problem(self) -> None:
        """Put the mistake of the last move on the page."""
        with self._showing:
            self.alert.value = piece(self._panel.problem_html())

    def _moved(self, key: str, change: Any) -> None:
        if threading.get_ident() not in self._moving:
            value = change["new"] / 1000 if key == "wait_p99" else change["new"]
            self._question = self._question | {key: value}
            self._panel.follow(self._question)


def _ranges(asked: Asked) -> dict[str, tuple[float, float, float]]:
    """Lower end, upper end and value of each slider; the ends of the log scale are exponents."""
    today, objective, question = asked.findings.objective, asked.answer.objective, asked.question
    rate, replicas, most = objective.target_rate, objective.replicas, objective.max_size
    top = _round_up(2.0 * max(asked.today.plateau or 0.0, today.target_rate, rate))
    exponent = math.log10(1000 * (objective.wait_p99 or 0.01))
    lost, growth, hold = objective.lost, objective.growth, question.get("hold_factor") or 1.0
    return {
        "target_rate": (min(top / 200, rate), top, rate),
        "growth": (min(0.5, growth), max(4.0, _round_up(growth)), growth),
        "hold_factor": (min(0.5, hold), max(4.0, _round_up(hold)), hold),
        "wait_p99": (min(-1.0, exponent - 1), max(3.0, exponent + 1), 10**exponent),
        "replicas": (1, max(32, 2 * replicas), replicas),
        "lost_replicas": (0, max(8, 2 * lost), lost),
        "max_connections": (1, max(4 * today.max_size, most), most),
    }


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... that is not below the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


PANEL = "pk-sliders"
# A handle is an element of its own (role=slider) that a screen reader would call just "slider",
# and whose value on a log scale would be read as its exponent. What stands beside it says it right.
_NAMING = """
const found = () => {
  const panel = element.closest('.%s');
  if (!panel) { if (tries-- > 0) setTimeout(found, 50); return; }
  const say = () => panel.querySelectorAll('.widget-slider').forEach(slider => {
    const handle = slider.querySelector('[role=slider]');
    const words = {
      'aria-label': slider.querySelector('.widget-label'),
      'aria-valuetext': slider.querySelector('.widget-readout'),
    };
    for (const [name, beside] of Object.entries(words)) {
      const text = beside?.textContent;
      if (handle && text && handle.getAttribute(name) !== text) handle.setAttribute(name, text);
    }
  });
  new MutationObserver(say).observe(panel,
    { subtree: true, childList: true, attributeFilter: ['aria-valuenow', 'aria-valuetext'] });
  say();
};
let tries = 200;
found();
"""


def _naming() -> Any:
    """A widget whose script names the handles of the sliders, where scripts may run.

    ipywidgets writes a description beside a handle and ties it to nothing: `tooltip` names the
    widget around the handle, not the handle, and no trait reaches its `aria-label`.
    """
    import ipywidgets

    script = {"application/javascript": _NAMING % PANEL}
    shown = {"output_type": "display_data", "data": script, "metadata": {}}
    # Not `display: none`: what is not laid out is not rendered.
    layout = {"height": "0", "margin": "0", "overflow": "hidden"}
    return ipywidgets.Output(outputs=(shown,), layout=layout)


def planner_of(findings: Findings) -> Planner:
    """What the size was read off, fitted once; questions are put to this."""
    sweep = Sweep(target=findings.sizing.target, trials=findings.trials)
    return Planner.of(sweep, findings.objective)


def sentence(asked: Asked) -> str:
    """The answer in one sentence."""
    answer, because = asked.answer, asked.answer.because
    if answer.size is None:
        is_unknown = because.startswith("cannot say")
        return f"C{because[1:]}." if is_unknown else f"No size will do: {because}."
    text = f"{plural(answer.size, 'connection')} in each pool"
    if answer.pools > 1:
        text += f", {number(answer.connections)} in all"
    few = answer.smallest_as_fast
    same = "" if few is None else f"; {same_response(few)}"
    return f"{text}: {because}{same}."


def table(asked: Asked) -> Table:
    """Today and what if, side by side."""
    sides = (asked.today, asked.answer)
    rows = [(name, *(cell(side) for side in sides)) for name, cell in _ROWS]
    if any(side.size != side.pool_size for side in sides):
        rows.insert(1, ("figures below are for", *(number(side.pool_size) for side in sides)))
    source = "the sweep" if asked.findings.sizing.points else "the load up to the target rate"
    columns, caption = ("", "today", "what if"), f"Predicted from {source}"
    return Table(caption, columns, tuple(rows), frozenset({1, 2}), frozenset({0}))


def _left_free(margin: float | None) -> str:
    if margin is not None and margin < 0:
        return f"none, {share(-margin)} above it"
    return share(margin)


def _as_fast(answer: Answer) -> str:
    if answer.size is None:
        return NONE
    return str(answer.smallest_as_fast or answer.size)


_ROWS: tuple[tuple[str, Callable[[Answer], str]], ...] = (
    ("connections needed in one pool", lambda a: NONE if a.size is None else str(a.size)),
    ("fewest with the same response time", _as_fast),
    ("connections of all pools", lambda a: number(a.connections)),
    ("rate of one pool", lambda a: rate(a.rate_per_pool)),
    ("wait p99", lambda a: milliseconds(a.wait_p99)),
    ("calls that wait too long", lambda a: share(a.late, 1)),
    ("mean hold time", lambda a: milliseconds(a.hold_time)),
    ("response p99", lambda a: milliseconds(a.response_p99)),
    ("connections busy", lambda a: share(a.utilisation)),
    ("plateau left free", lambda a: _left_free(a.plateau_margin)),
)


def scene(asked: Asked) -> charts.Scene:
    """What the chart shows: the curve as it would be, the rate, and the size that it takes."""
    answer, findings, objective = asked.answer, asked.findings, asked.answer.objective
    return charts.what_if(
        findings.sizing.model_copy(update={"plateau": asked.plateau}),
        findings.trials,
        size=answer.size,
        smallest_as_fast=answer.smallest_as_fast,
        target_rate=objective.rate,
        wait_p99=objective.wait_p99,
        response_p99=objective.response_p99,
        limited_by=answer.limited_by,
        pools=answer.pools,
        pools_left=answer.pools_left,
        hold_factor=asked.question.get("hold_factor") or 1.0,
    )


def words(asked: Asked) -> str:
    """Sentence and table, and in between what verification made of today's answer."""
    said = f'<p role="status">{escape(sentence(asked))}</p>'
    if moved := _moved(asked):
        said += f'<p class="pk-small">{escape(moved)}</p>'
    return said + table(asked).html()


def _moved(asked: Asked) -> str:
    """How far the size that was verified is from what the curve says; empty: it is the same."""
    verified, curve = asked.findings.recommendation.recommended_size, asked.today.size
    if asked.findings.recommendation.verification is None or verified in (None, curve):
        return ""
    said = "no size" if curve is None else str(curve)
    return (
        f"For today the curve says {said} and load at the target rate moved that to {verified}: "
        "what is predicted here may be off by as much."
    )
