"""The sweep panel: pick a target, measure it, watch the curve grow, save the result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from poolkit.errors import BadInput
from poolkit.measure.store import prepare_out
from poolkit.panels import running, sweep_page
from poolkit.panels.painter import Painter
from poolkit.panels.panel import Panel, column, failure, pages, piece
from poolkit.panels.request import Request
from poolkit.panels.running import Run
from poolkit.panels.sources import Source, is_page, leave_out_the_rest, read_source
from poolkit.panels.story import Findings, Story
from poolkit.panels.sweep_form import Form
from poolkit.report.temporary import lasting_folder
from poolkit.review.adding import add_results

REPLAYED = "Replayed from a recorded review: nothing was measured now."
RECORDED_LAB = (
    "A recording of the embedded lab. Start measures it now; the text of this page stays about the "
    "recording."
)
UNMEASURED = (
    "Nothing is recorded of this target. Start measures it, and the panel shows what was found; "
    "the tables that the text below speaks of are left out."
)
UNSHOWN = "Start shows what was recorded of the target."
ENDING = 10.0  # s that a cancelled run may take: its child is ended long before
POLL = 0.1  # s between two looks at a run that a cell awaits


class SweepPanel(Panel):
    """Measures one target at growing pool sizes, steered by widgets or by its methods.

    In JupyterLab it is a live widget; wherever widgets cannot run it shows the same as HTML. Load
    runs in a child process, at most one for each `name` in a kernel: a panel that is made again
    while one is under way shows that one. Every method may be called from any thread.

    State: `run`, the measurement that is shown (None before the first, for a recording, and once
    the form has left it behind); the latest of each target; a replayed recording; what
    a cell was given; the last mistake, what could not be drawn, and the view.

    Args:
        source: of the targets; what POOLKIT_SOURCE says where None.
        target: name of the target chosen first; the source's first where empty.
        request: how it is measured unless the controls say otherwise; its target is `target`.
        name: what finds a running sweep again.
        out: folder for the trials; a temporary one for each measurement where None.

    Raises:
        BadInput: the source cannot be read, or has no such target.
    """

    def __init__(
        self,
        source: Source | None = None,
        target: str = "",
        *,
        request: Request | None = None,
        name: str = "sweep",
        out: Path | str | None = None,
    ) -> None:
        super().__init__()
        self.source = read_source() if source is None else source
        names = self.source.names
        chosen = target or (names[0] if names else "")
        if chosen not in names:
            raise BadInput(
                f"no such target: {chosen or '(none)'}", f"there is {', '.join(names) or 'none'}"
            )
        self.name = name
        self.request = replace(request or Request(), target=chosen)
        self.target = chosen
        self._out = None if out is None else Path(out)
        self.run: Run | None = None
        self._latest: dict[str, Run] = {}
        self._replayed: Story | None = None
        self._given: Findings | None = None
        self._undrawn: Exception | None = None
        self._handed_on: Story | None = None
        self._followers: list[Callable[[Findings], object]] = []
        self._painter: Painter[Story] = Painter(self._paint, self._note_undrawn)
        run = running.under_way(name, self.source)
        if run is not None and run.request.target in names:
            self.target, self.run = run.request.target, run
            self._latest[self.target] = run
            run.listen(self._painter.show)

    def __repr__(self) -> str:
        return f"SweepPanel({self.name!r}): {self.story.headline}"

    # -- what it does -------------------------------------------------------------------------

    @property
    def story(self) -> Story:
        """What is shown: the run's story, else a replayed recording's, else nothing yet."""
        if (run := self.run) is not None:  # once: a form that changes sets it aside meanwhile
            return run.story
        idle = "" if self.source.is_live else UNSHOWN
        return self._replayed or Story(target=self.target, doing=idle)

    @property
    def below(self) -> str:
        """What the cells below are about, where the panel no longer shows it; else empty."""
        given = self._given
        if given is None or self.story.findings == given:
            return ""
        return (
            f"The cells below are about {given.about}. To have them follow: run the cell that "
            "waits for this panel, and those after it."
        )

    def open(self) -> SweepPanel:
        """Start where a notebook is run; show the recording where it is served as a page.

        A sweep of the same target that is under way is shown instead of another one; of one that is
        being cancelled the end is waited for. A page without a recording is left idle, and the
        cells after it do nothing.

        Raises:
            BadInput: another target is being measured under this panel's name.
        """
        if is_page() and self.source.is_live:
            if self.source.recording(self.target) is None:
                leave_out_the_rest()
            return self.replay()
        run = self.run
        if run is None or run.is_over:
            return self.start()
        if run.is_ending:
            run.wait(ENDING)
        elif run.request.target == self.request.target:
            return self
        return self.start(self.request)

    def choose(self, target: str) -> None:
        """Turn to another target: what was shown of the one before goes, its own run comes back.

        Raises:
            BadInput: there is no such target, or one is being measured.
        """
        if target not in self.source.names:
            raise BadInput(f"no such target: {target}", f"there is {', '.join(self.source.names)}")
        if not self.story.is_over:
            raise BadInput(f"{self.target} is being measured", "wait for it or cancel it")
        self.target, self.run, self._replayed = target, self._latest.get(target), None
        self._problem = self._undrawn = None

    def set_error_aside(self) -> None:
        """Have a measurement that failed no longer shown: what it is to be has been changed.

        Its trials are kept, and the next start goes on from them.
        """
        if self.story.phase == "failed":
            self.run = None

    def start(self, request: Request | None = None) -> SweepPanel:
        """Measure, or replay where the source is a recording; returns at once.

        Raises:
            BadInput: a sweep of this panel's name is under way, or the request is not right.
        """
        asked = self.request if request is None else request
        if request is None or not request.target:
            asked = replace(asked, target=self.target)
        if not self.source.is_live:
            self.target = asked.target
            return self.replay()
        former = self._goes_on_from(asked)
        out = self._out or (lasting_folder("poolkit-sweep-") if former is None else former.out)
        run = Run(asked, self.source, out, None if former is None else former.story)
        running.begin(self.name, run)
        self.target, self.run, self._problem = asked.target, run, None
        self._latest[asked.target] = run
        run.listen(self._painter.show)
        return self

    def replay(self) -> SweepPanel:
        """Show what was recorded of the target instead of measuring it."""
        self.run = None
        recording = self.source.recording(self.target)
        if recording is None:
            self._replayed = Story(target=self.target, note=UNMEASURED)
        else:
            self._replayed = Story(
                self.target,
                "done",
                trials=recording.trials,
                sizing=recording.sizing,
                recommendation=recording.recommendation,
                note=RECORDED_LAB if self.source.is_live else REPLAYED,
                objective=recording.settings,
            )
        self._show()
        return self

    def cancel(self) -> None:
        """End the measurement, its finished trials kept; harmless when none is under way."""
        if self.run is not None and not self.run.is_over:
            self.run.cancel()

    def wait(self, timeout: float | None = None) -> Findings:
        """Wait for the end (Ctrl-C cancels), at most `timeout` s; then as `result`."""
        try:
            if self.run is not None:
                self.run.wait(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise
        self._given = self.result()
        return self._given

    async def finished(self) -> Findings:
        """Await the end, so that clicks are served meanwhile; then as `result`."""
        run = self.run
        try:
            # Polled: an asyncio.Event would tie the run's thread to this cell's loop.
            while run is not None and not run.is_over:  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        except (KeyboardInterrupt, asyncio.CancelledError):
            self.cancel()
            raise
        self._given = self.result()
        self._show()
        return self._given

    def result(self) -> Findings:
        """What was found.

        Raises:
            Exception: what went wrong in a click, or in the measurement.
            BadInput: nothing was measured yet, or it is still under way.
        """
        if self._problem is not None:
            raise self._problem
        story = self.story
        if story.error is not None:
            raise story.error
        if story.findings is None:
            raise BadInput("no sweep has ended yet", "start one, and wait for its end")
        return story.findings

    def export(self, folder: Path | str) -> tuple[Path, ...]:
        """Write recommended.json, .csv and .md and pools.py to a folder; returns their paths."""
        found = self.result()
        targets = {} if found.target is None else {found.target.name: found.target}
        return add_results(prepare_out(Path(folder)), [found.recommendation], targets).files

    def when_done(self, follower: Callable[[Findings], object]) -> SweepPanel:
        """Hand what later sweeps of this panel find to `follower`, on a thread of the panel's."""
        self._followers.append(follower)
        return self

    def wait_shown(self, timeout: float = 10.0) -> bool:
        """Wait until the page shows the latest; whether that came within `timeout` (s)."""
        return self._painter.wait_idle(timeout)

    # -- how it is shown ----------------------------------------------------------------------

    def page(self) -> str:
        """Status, alerts, chart and tables."""
        story = self.story
        status = sweep_page.line(story, self.below) + sweep_page.bar(story)
        alerts = self.problem_html() + sweep_page.trouble(story)
        return status + alerts + sweep_page.chart(story) + sweep_page.results(story)

    def problem_html(self) -> str:
        """Alerts of the last click that failed and of what could not be drawn, if any did."""
        undrawn = "part of the page is not drawn; result() and export() have it all"
        return super().problem_html() + failure(self._undrawn, undrawn)

    def _make_view(self) -> _SweepView:
        return _SweepView(self)

    def _show(self) -> None:
        self._painter.show(self.story)

    def _paint(self, story: Story) -> None:
        self._undrawn = None
        steps: list[Callable[[], object]] = []
        if self._view is not None:
            steps.append(partial(self._view.show, story))
        if story.findings is not None and story is not self._handed_on:
            self._handed_on = story
            steps += [partial(follower, story.findings) for follower in self._followers]
        _each_of(steps)

    def _note_undrawn(self, error: Exception) -> None:
        # Apart from `_problem`: what was measured stands, drawn or not.
        self._undrawn = error
        if self._view is not None:
            self._view.show_problem()

    def _goes_on_from(self, asked: Request) -> Run | None:
        """The measurement of the same target and sizes that was cancelled or failed, if any."""
        former = self._latest.get(asked.target)
        if former is None or former.story.phase not in ("cancelled", "failed"):
            return None
        return former if former.request.sizes == asked.sizes else None


class _SweepView:
    """The controls and the pieces of page of one panel."""

    def __init__(self, panel: SweepPanel) -> None:
        import ipywidgets

        self._panel = panel
        self.form = Form(
            panel.source.names, panel.target, panel.request, panel.source.asked, self._changed
        )
        self.start = ipywidgets.Button(
            description="Start", button_style="primary", tooltip="Measure the target now"
        )
        self.cancel = ipywidgets.Button(
            description="Cancel", tooltip="End the measurement; finished trials are kept"
        )
        places = pages(6)
        self.status, self.progress, self.alert, self.chart, self.results, self.exports = places
        self._drawn: object = None
        self._showing = threading.Lock()
        self.start.on_click(lambda _: panel.guarded(self._start))
        self.cancel.on_click(lambda _: panel.guarded(panel.cancel))
        buttons = ipywidgets.HBox([self.start, self.cancel])
        self.box = column(self.form.box, buttons, *places)
        self.show(panel.story)

    def show(self, story: Story) -> None:
        """Put a story on the page; from any thread."""
        with self._showing:
            is_busy = not story.is_over
            for control in (*self.form.fields, self.start):
                _set(control, "disabled", is_busy)
            _set(self.cancel, "disabled", not is_busy)
            self._show_problem(story)
            shown = (story.trials, story.sizing, story.recommendation, story.objective)
            drawn = (story.target, *shown, is_busy, story.size)
            # Drawn before the line that tells of it: both show the same trial at every moment.
            steps: list[Callable[[], object]] = []
            if drawn != self._drawn:
                steps.append(partial(self._draw, story, drawn))
            # Apart: what a screen reader reads out changes with what happens, not with each second.
            line = partial(sweep_page.line, below=self._panel.below)
            steps.append(partial(_put, self.status, line, story))
            steps.append(partial(_put, self.progress, sweep_page.bar, story))
            _each_of(steps)

    def show_problem(self) -> None:
        """Put the mistake of the last click on the page."""
        with self._showing:
            self._show_problem(self._panel.story)

    def _show_problem(self, story: Story) -> None:
        _set(self.alert, "value", piece(self._panel.problem_html(), sweep_page.trouble(story)))

    def _draw(self, story: Story, drawn: object) -> None:
        _each_of(
            partial(_put, place, page, story)
            for place, page in (
                (self.chart, sweep_page.chart),
                (self.results, sweep_page.results),
                (self.exports, sweep_page.exports),
            )
        )
        self._drawn = drawn  # last: what could not be drawn is tried again

    def _changed(self, is_target: bool) -> None:
        """What belongs to another target, or to a mistake, goes as soon as the form changes."""
        if is_target:
            self._panel.guarded(lambda: self._panel.choose(self.form.target.value))
        else:
            self._panel.guarded(self._panel.set_error_aside)

    def _start(self) -> None:
        if not self._panel.story.is_over:
            return  # the second of two quick clicks: the first one's measurement is under way
        self._panel.start(self.form.request())
        self.form.clear_again()


def _set(control: Any, trait: str, value: object) -> None:
    """Set a trait only where it changes: every message costs the page a little."""
    if getattr(control, trait) != value:
        setattr(control, trait, value)


def _put(place: Any, page: Callable[[Story], str], story: Story) -> None:
    _set(place, "value", piece(page(story)))


def _each_of(steps: Iterable[Callable[[], object]]) -> None:
    """Take every step, whatever one of them raises; then raise the first of these exceptions."""
    first: Exception | None = None
    for step in steps:
        try:
            step()
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
