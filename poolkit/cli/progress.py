"""What is printed while targets are measured: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.spinner import Spinner
from rich.text import Text

from poolkit import events, units
from poolkit.cli.printed import wrap
from poolkit.events import Event, Watcher
from poolkit.redact import printable
from poolkit.show import narration, words

NAME_WIDTH = 24  # characters of a target's name beside its bar


def make_screen(console: Console, errors: Console) -> Watcher:
    """The screen for where `console` leads; `errors` is where failures are printed."""
    return LiveScreen(console, errors) if console.is_terminal else PlainScreen(console, errors)


class _Screen:
    """Where lines and failures are printed."""

    def __init__(self, console: Console, errors: Console) -> None:
        self._console = console
        self._errors = errors

    def say(self, text: str) -> None:
        """Print one line, however long."""
        say(self._console, text, indent="  ")

    def fail(self, cause: str, remedy: str = "") -> None:
        """Print cause and remedy where errors go."""
        print_failure(self._errors, cause, remedy)


class PlainScreen(_Screen):
    """One line a trial, no colour and nothing that moves: for files, pipes and logs.

    State: why the trial under way is measured, whether the target's cancelling was announced, and
    what was said not to be looked at.
    """

    def __init__(self, console: Console, errors: Console) -> None:
        super().__init__(console, errors)
        self._begun: events.TrialStarted | None = None
        self._is_cancelling = False
        self._not_seen: set[str] = set()

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Around the measurement of target `name`."""
        self._begun, self._is_cancelling, self._not_seen = None, False, set()
        yield

    def see(self, event: Event) -> None:
        """Print the event, unless it only says how far the measurement is."""
        if isinstance(event, events.Failed):
            self.fail(f"{event.target}: {event.cause}", event.remedy)
            return
        if isinstance(event, events.TrialStarted):
            self._begun = event
            return
        text = narration.sentence(event)
        if isinstance(event, events.TrialDone):
            text, self._begun = narration.of_trial(event.trial, self._begun), None
        if text is not None:
            self.say(f"{_target_of(event)}: {text}")
        for remark in _new_remarks(event, self._not_seen):
            self.say(f"{_target_of(event)}: {remark}")

    def cancelling(self) -> None:
        """Say once that the measurement is being ended."""
        if not self._is_cancelling:
            self._is_cancelling = True
            self.say(_CANCELLING)

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around a longer step that sends no load."""
        self.say(what)
        yield


class LiveScreen(_Screen):
    """A bar for the target under way, what it does now below it, and a line for each finding.

    State: the bar and the line below it while a target is measured; the lines that wait for its
    end, because a line printed on another stream would tear the bar.
    """

    def __init__(self, console: Console, errors: Console) -> None:
        super().__init__(console, errors)
        self._bar: _TargetBar | None = None
        self._finding: str | None = None
        self._failures: list[tuple[str, str]] = []
        self._not_seen: set[str] = set()

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """A bar while target `name` is measured, its finding or failure after it."""
        self._bar = bar = _TargetBar(name)
        self._finding, self._failures, self._not_seen = None, [], set()
        try:
            with Live(bar, console=self._console, transient=True, refresh_per_second=4):
                yield
        finally:
            self._bar = None
            if self._finding is not None:
                say(self._console, f"{name}: {self._finding}", indent="  ", bold=len(name))
            for remark in self._not_seen:
                say(self._console, f"{name}: {remark}", indent="  ")
            for cause, remedy in self._failures:
                print_failure(self._errors, f"{name}: {cause}", remedy)

    def see(self, event: Event) -> None:
        """Move the bar, or keep the finding for the end."""
        if isinstance(event, events.Failed):
            self._failures.append((event.cause, event.remedy))
        elif isinstance(event, events.Recommended):
            self._finding = words.outcome(event.recommendation)
        elif self._bar is not None:
            if isinstance(event, events.Sized):
                self._finding = narration.sized(event.sizing)
            self._bar.see(event)
            _new_remarks(event, self._not_seen)

    def cancelling(self) -> None:
        """Say below the bar that the measurement is being ended."""
        if self._bar is not None:
            self._bar.now = _CANCELLING

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """A spinner around a longer step that sends no load."""
        spinner = Spinner("line", Text(what))
        with Live(spinner, console=self._console, transient=True, refresh_per_second=4):
            yield


class _TargetBar:
    """The two lines of a target under way."""

    def __init__(self, name: str) -> None:
        self.now = "starting: one call to see whether it answers"
        self._throughput: float | None = None
        self._is_step = False  # whose bar moves with the clock
        self._passed = 0.0  # s of the step when it was told
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[time]}", markup=False),
            expand=True,
        )
        shown = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"
        self._task: TaskID = self._progress.add_task(shown, total=None, time="")

    def __rich__(self) -> RenderableType:
        if self._is_step:
            self._move()
        line = Text(f"  {self.now}", overflow="ellipsis", no_wrap=True)
        if self._throughput is None:
            return Group(self._progress, line)
        speed = Text(f"  {units.rate(self._throughput)}", style="cyan")
        return Group(self._progress, line, speed)

    def see(self, event: Event) -> None:
        if isinstance(event, events.Started):
            self._progress.update(self._task, total=event.budget)
        elif isinstance(event, events.Progress):
            self._throughput = event.throughput
            self._progress.update(
                self._task,
                completed=min(event.seconds, event.budget),
                total=event.budget,
                time=times(event.seconds, event.budget),
            )
            return
        elif isinstance(event, events.Step):
            self._is_step, self._passed = True, event.passed
            self._progress.reset(self._task, total=event.limit or None)
        text = narration.sentence(event)
        if text is not None:
            self.now = text

    def _move(self) -> None:
        (task,) = self._progress.tasks
        if task.total is not None:
            seconds = self._passed + (task.elapsed or 0.0)
            left = times(seconds, task.total)
            self._progress.update(self._task, completed=min(seconds, task.total), time=left)


def times(seconds: float, budget: float) -> str:
    """Load sent so far and what may still come, as `12 s, at most 33 s to go`."""
    left = max(0, math.ceil(budget - seconds))
    return f"{seconds:.0f} s, at most {left} s to go"


def say(console: Console, text: str, *, style: str = "", indent: str = "", bold: int = 0) -> None:
    """Print lines: in a terminal wrapped between words, elsewhere each as one line, to be searched.

    A word that is longer than the terminal, such as a path, stays whole.

    Args:
        indent: stands before what is wrapped.
        bold: characters at the front that are bold.
    """
    for line in printable(text).split("\n"):
        inner = line.lstrip(" ")
        start = line[: len(line) - len(inner)]
        wrapped = wrap(inner, console.width - len(start), indent)
        for piece in wrapped if console.is_terminal else [inner]:
            shown = Text(start + piece, style=style)
            shown.stylize("bold", 0, bold)
            bold = 0
            console.print(shown, soft_wrap=True, highlight=False)


def print_failure(errors: Console, cause: str, remedy: str = "") -> None:
    """Print what went wrong, and what to do about it on a line of its own."""
    say(errors, cause, style="red", indent="  ")
    if remedy:
        say(errors, f"  {remedy}")


_CANCELLING = "cancelling: what is finished is kept; Ctrl-C again ends it at once"


def _new_remarks(event: Event, said: set[str]) -> list[str]:
    """What a trial could not look at and is not among those said, to which it is added."""
    if not isinstance(event, events.TrialDone):
        return []
    new = [remark for remark in words.not_seen([event.trial]) if remark not in said]
    said.update(new)
    return new


def _target_of(event: Event) -> str:
    if isinstance(event, events.TrialDone):
        return event.trial.target
    if isinstance(event, events.Sized):
        return event.sizing.target
    if isinstance(event, events.Recommended):
        return event.recommendation.target
    return event.target
