"""The what-if panel: sliders over a sweep, and what the pool would need."""

from __future__ import annotations

import threading
from typing import Any

from poolkit.analysis.what_if import Answer, Question
from poolkit.errors import BadInput
from poolkit.panels import what_if_page
from poolkit.panels.findings import Findings
from poolkit.panels.look import alert, framed
from poolkit.panels.painter import Painter
from poolkit.panels.sweep import SweepPanel
from poolkit.panels.what_if_page import Asked

PER_SECOND = 10.0  # pictures, at most; each takes some 50 ms


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
        return f"WhatIfPanel: {what_if_page.sentence(self.asked)}"

    @property
    def asked(self) -> Asked:
        """The last question and its answer."""
        return self._asked

    def take(self, findings: Findings) -> None:
        """Answer from this sweep from now on, beginning with what its target asks today."""
        with self._lock:
            self._planner = what_if_page.planner_of(findings)
            self._asked = what_if_page.today(findings, self._planner)
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
        return framed(
            self.problem_html(), what_if_page.words(self._asked), what_if_page.svg(self._asked)
        )

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
        from poolkit.panels.what_if_view import WhatIfView

        with self._lock:
            if self._view is None:
                self._view = WhatIfView(self)
        return self._view.box

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        from poolkit.panels.mime import bundle

        return bundle(self.widget, self.html, repr(self))

    def _answer(self, question: Question) -> None:
        with self._lock:
            try:
                self._asked = what_if_page.ask(self._asked, self._planner, question)
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
