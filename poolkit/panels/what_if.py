"""The what-if panel: sliders over a sweep, and what the pool would need."""

from __future__ import annotations

import functools
import math
import threading
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from poolkit.analysis.what_if import Answer, Planner, Question, what_if
from poolkit.errors import BadInput
from poolkit.panels.findings import Findings
from poolkit.panels.look import alert, bundle, column, framed, grid, pages, picture, piece
from poolkit.panels.painter import Painter
from poolkit.panels.sweep import SweepPanel
from poolkit.records import Sweep
from poolkit.show import charts
from poolkit.show.tables import Table
from poolkit.units import NONE, milliseconds, number, plural, rate, share

CAPTION = "Predicted from the sweep"
WIDTH, HEIGHT = 900, 560  # px

PER_SECOND = 10.0  # pictures, at most; each takes some 50 ms


@dataclass(frozen=True)
class Asked:
    """One question, its answer, and the answer to what is asked today."""

    findings: Findings
    today: Answer
    answer: Answer

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.answer.question


class WhatIfPanel:
    """Answers what a pool would need if the rate, the upstream or the fleet were different.

    Nothing is measured: answers come from the curve of one sweep. In JupyterLab the panel has
    sliders; wherever widgets cannot run it shows the last answer as HTML. Methods may be called
    from any thread.

    State: the findings, fitted once; the last answer; the last mistake; the view.

    Args:
        findings: of a sweep, or the panel that makes them: then later sweeps are followed.
    """

    def __init__(self, findings: Findings | SweepPanel) -> None:
        self._lock = threading.RLock()
        self._problem: Exception | None = None
        self._view: Any = None
        self._painter: Painter[Question] = Painter(self._paint, self._note, PER_SECOND)
        if isinstance(findings, SweepPanel):
            findings.when_done(self.take)
            findings = findings.result()
        self.take(findings)

    def __repr__(self) -> str:
        return f"WhatIfPanel: {sentence(self.asked)}"

    @property
    def asked(self) -> Asked:
        """The last question and its answer."""
        return self._asked

    def take(self, findings: Findings) -> None:
        """Answer from this sweep from now on, beginning with what its target asks today."""
        with self._lock:
            self._planner = planner_of(findings)
            self._asked = today(findings, self._planner)
        if self._view is not None:
            self._view.reset(self._asked)

    def ask(self, **changes: float | int | None) -> Answer:
        """The answer with these parts of the last question changed, for cells and tests.

        Args:
            changes: as in `poolkit.analysis.what_if.Question`.

        Raises:
            BadInput: the question cannot be meant.
        """
        self._answer(self._asked.question | changes)
        if self._view is not None:
            self._view.reset(self._asked)
        return self._asked.answer

    def follow(self, question: Question) -> None:
        """Answer soon and show it; a slider's move. Only the latest of many is answered."""
        self._painter.show(question)

    def result(self) -> Answer:
        """The last answer; raises what went wrong in a slider's move, if something did."""
        if self._problem is not None:
            raise self._problem
        return self._asked.answer

    def wait_shown(self, timeout: float = 10.0) -> bool:
        """Wait until the page shows the latest; whether that came within `timeout` (s)."""
        return self._painter.wait_idle(timeout)

    def html(self) -> str:
        """The panel without widgets."""
        return framed(self.problem_html(), words(self._asked), svg(self._asked))

    def problem_html(self) -> str:
        """The alert of the last move that failed; empty where none did."""
        problem = self._problem
        if problem is None:
            return ""
        if isinstance(problem, BadInput):
            return alert(problem.cause, problem.remedy)
        return alert(f"{type(problem).__name__}: {problem}", "result() raises it again")

    def widget(self) -> Any:
        """The live widget; ImportError where ipywidgets is not installed."""
        with self._lock:
            if self._view is None:
                self._view = WhatIfView(self)
        return self._view.box

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return bundle(self.widget, self.html, repr(self))

    def _answer(self, question: Question) -> None:
        with self._lock:
            try:
                self._asked = replace(self._asked, answer=what_if(self._planner, question))
            except ValueError as error:
                raise BadInput(str(error), "move the slider to where it makes sense") from error
            self._problem = None

    def _paint(self, question: Question) -> None:
        self._answer(question)
        if self._view is not None:
            self._view.show(self._asked)

    def _note(self, error: Exception) -> None:
        self._problem = error
        if self._view is not None:
            self._view.show_problem()


class WhatIfView:
    """The sliders and what they lead to; shown as often as one likes."""

    def __init__(self, panel: WhatIfPanel) -> None:
        import ipywidgets

        self._panel = panel
        self._question = panel.asked.question
        self._is_resetting = False
        self._showing = threading.Lock()
        style: Any = {"style": {"description_width": "10rem"}}

        def slider(kind: Any, description: str, key: str, **kw: Any) -> Any:
            # A layout of its own each: one may be hidden.
            layout = {"width": "auto"}
            made = kind(description=description, layout=layout, **style, **kw)
            made.observe(functools.partial(self._moved, key), names="value")
            return made

        real, whole = ipywidgets.FloatSlider, ipywidgets.IntSlider
        self.rate = slider(
            real,
            "Target rate (/s)",
            "target_rate",
            readout_format=".0f",
        )
        self.growth = slider(real, "Growth (×)", "growth", step=0.05)
        self.hold = slider(real, "Hold time (×)", "hold_factor", step=0.05)
        self.wait = slider(
            ipywidgets.FloatLogSlider,
            "Wait p99 (ms)",
            "wait_p99",
            step=0.05,
            readout_format=".1f",
        )
        self.replicas = slider(whole, "Replicas", "replicas")
        self.lost = slider(whole, "Lost replicas", "lost_replicas")
        self.most = slider(whole, "Max connections", "max_connections")
        self.sliders = (
            *(self.rate, self.growth, self.hold, self.wait),
            *(self.replicas, self.lost, self.most),
        )
        self.alert, self.words, self.chart = pages(3)
        sliders = grid(list(self.sliders), "24rem")
        self.box = column(sliders, self.alert, self.words, self.chart, _naming())
        self.box.add_class(PANEL)
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
            self.words.value = piece(words(asked))
            self.chart.value = piece(chart(asked))
            self.alert.value = ""

    def show_problem(self) -> None:
        """Put the mistake of the last move on the page."""
        with self._showing:
            self.alert.value = piece(self._panel.problem_html())

    def _moved(self, key: str, change: Any) -> None:
        if not self._is_resetting:
            value = change["new"] / 1000 if key == "wait_p99" else change["new"]
            self._question = self._question | {key: value}
            self._panel.follow(self._question)


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
      const said = beside?.textContent;
      if (handle && said && handle.getAttribute(name) !== said) handle.setAttribute(name, said);
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
    """What has the sliders told by their descriptions, where scripts may run.

    ipywidgets writes a description beside a handle and ties it to nothing: `tooltip` names the
    widget around the handle, not the handle, and no trait reaches its `aria-label`.
    """
    import ipywidgets

    script = {"application/javascript": _NAMING % PANEL}
    shown = {"output_type": "display_data", "data": script, "metadata": {}}
    # Not `display: none`: what is not laid out is not rendered.
    layout = {"height": "0", "margin": "0", "overflow": "hidden"}
    return ipywidgets.Output(outputs=(shown,), layout=layout)


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


def planner_of(findings: Findings) -> Planner:
    """The sweep fitted once; questions are put to this."""
    trials = tuple(trial for trial in findings.trials if trial.is_of_curve)
    return Planner.of(Sweep(target=findings.sizing.target, trials=trials), findings.objective)


def today(findings: Findings, planner: Planner) -> Asked:
    """What the target asks now, with nothing different."""
    answer = what_if(planner, Question())
    return Asked(findings, answer, answer)


def sentence(asked: Asked) -> str:
    """The answer in one sentence."""
    answer = asked.answer
    if answer.size is None:
        because = answer.because
        if because.startswith("cannot say"):
            return f"{because[:1].upper()}{because[1:]}."
        return f"No size will do: {because}."
    text = f"{plural(answer.size, 'connection')} in each pool"
    if answer.pools > 1:
        text += f", {number(answer.connections)} in all"
    return f"{text}: {answer.because}."


def table(asked: Asked) -> Table:
    """Today and what if, side by side."""
    sides = (asked.today, asked.answer)
    rows = [
        (name, before, after)
        for (name, before), (_, after) in zip(*map(_cells, sides), strict=True)
    ]
    if any(side.size != side.pool_size for side in sides):
        sizes = [number(side.pool_size) for side in sides]
        rows.insert(1, ("figures below are for", sizes[0], sizes[1]))
    columns = ("", "today", "what if")
    return Table(CAPTION, columns, tuple(rows), frozenset({1, 2}), frozenset({0}))


def _cells(answer: Answer) -> list[tuple[str, str]]:
    return [
        ("connections needed in one pool", NONE if answer.size is None else str(answer.size)),
        ("connections of all pools", number(answer.connections)),
        ("rate of one pool", rate(answer.rate_per_pool)),
        ("wait p99", milliseconds(answer.wait_p99)),
        ("calls that wait too long", share(answer.late)),
        ("mean hold time", milliseconds(answer.hold_time)),
        ("response p99", milliseconds(answer.response_p99)),
        ("connections busy", share(answer.utilisation)),
        ("plateau left free", _margin(answer.plateau_margin)),
    ]


def _margin(margin: float | None) -> str:
    if margin is None:
        return NONE
    return share(margin) if margin >= 0 else f"none, {share(-margin)} above it"


def scene(asked: Asked) -> charts.Scene:
    """What the chart shows: the curve as it would be, the rate, and the size that it takes."""
    answer, findings = asked.answer, asked.findings
    objective = answer.objective
    return charts.what_if(
        findings.sizing,
        findings.trials,
        size=answer.size,
        target_rate=objective.rate,
        wait_p99=objective.wait_p99,
        response_p99=objective.response_p99,
        limited_by=answer.limited_by,
        pools=answer.pools,
        pools_left=answer.pools_left,
        hold_factor=asked.question.get("hold_factor") or 1.0,
    )


def chart(asked: Asked) -> str:
    """The chart as an <img> with its words."""
    drawn = scene(asked)
    png = charts.live_png(drawn, WIDTH, HEIGHT)
    return picture(png, charts.scene_alt_text(drawn), WIDTH, HEIGHT)


def svg(asked: Asked) -> str:
    """The chart as an <svg> element that follows the page's theme, for where nothing moves."""
    drawn = scene(asked)
    axes = charts.throughput_curve(
        drawn.sizing, drawn.trials, drawn.recommendation, pools=drawn.pools
    )
    alt = charts.scene_alt_text(drawn)
    return f"<figure>{charts.inline_svg(axes.figure, alt=alt, label='what-if')}</figure>"


def words(asked: Asked) -> str:
    """Sentence and table."""
    return f'<p role="status">{escape(sentence(asked))}</p>{table(asked).html()}'
