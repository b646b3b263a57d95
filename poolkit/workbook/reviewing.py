"""A review measured from a cell: a line a target, what is under way and then its decision."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from poolkit.errors import BadInput, Cancelled, ExitCode
from poolkit.events import Event, Recommended
from poolkit.lab.running import Lab
from poolkit.panels import sweep_page
from poolkit.panels.story import STARTING, Story
from poolkit.report.source import RECORDED, named, shared
from poolkit.report.temporary import lasting_folder
from poolkit.review.run import review
from poolkit.targets.reading import read_toml
from poolkit.workbook.measuring import line

EVERY = 0.25  # s between two updates of the bar, at least
# With these a review has left a folder that is worth reading.
_READABLE = {ExitCode.DONE, ExitCode.FINDINGS, ExitCode.STOPPED, ExitCode.OUT_OF_REACH}


def review_folder(review_dir: str = "", environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the review to show: `review_dir` if it is given, else what POOLKIT_SOURCE says.

    A live source is measured, a minute or less for each target; lines below the cell say how far
    that is. An interrupt of the cell ends it.

    Raises:
        BadInput: there is no such folder or file, or the measurement could not begin.
        Cancelled: the cell was interrupted.
    """
    if review_dir:
        return Path(review_dir)
    source = named(environment)
    if source == "recorded":
        return shared(RECORDED)
    if source != "lab":
        return source if source.is_dir() else measured(source)
    progress = Progress()
    with contextlib.ExitStack() as stack:
        with progress.doing("starting the lab: three HTTP servers and a PostgreSQL"):
            lab = stack.enter_context(Lab())
        stack.enter_context(lab.in_environment())
        folder = lasting_folder("poolkit-lab-")
        return measured(lab.write_targets(folder / "targets.toml"), progress)


def measured(targets_file: Path, progress: Progress | None = None) -> Path:
    """Review every target of the file; the new folder of the results."""
    progress = progress or Progress()
    progress.expect(list(read_toml(targets_file).get("targets", {})))
    out = lasting_folder("poolkit-review-")
    code = review(targets_file, out, progress).exit_code
    if code == ExitCode.CANCELLED:
        raise Cancelled
    if code not in _READABLE:
        raise BadInput(f"the review ended with exit code {code}", progress.said)
    return out


class Progress:
    """Below the cell: one line a target, and how far the one under way is; a `Watcher`.

    State: the story of each target so far, in order; which one is measured; what else was said;
    when the bar was last moved.

    Args:
        put, put_bar: take the HTML of the lines and that of the bar; places below the cell where
            None. Apart, because a screen reader reads the lines out whenever they change.
    """

    def __init__(
        self,
        put: Callable[[str], None] | None = None,
        put_bar: Callable[[str], None] | None = None,
    ) -> None:
        self._put = put or line()
        self._put_bar = put_bar or line()
        self._stories: dict[str, Story] = {}
        self._current = ""
        self._notes: list[str] = []
        self._moved = -float("inf")

    @property
    def said(self) -> str:
        """What was said besides the course of the targets."""
        return "\n".join(self._notes)

    def expect(self, names: Sequence[str]) -> None:
        """These targets follow, in this order."""
        self._stories = {name: Story(name) for name in names}
        self._show()

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Around the measurement of target `name`."""
        self._current = name
        self._stories[name] = Story(name, "starting", doing=STARTING)
        self._show()
        try:
            yield
        finally:
            self._current = ""
            self._show()

    def see(self, event: Event) -> None:
        """Take an event of the target that is measured."""
        before = self._stories[self._current]
        story = self._stories[self._current] = before.after(event)
        if story.headline != before.headline or isinstance(event, Recommended):
            self._show()
        elif time.monotonic() >= self._moved + EVERY:
            self._move()

    def cancelling(self) -> None:
        """Told that the measurement is being ended."""
        if self._current:
            story = self._stories[self._current].cancelling()
            if story != self._stories[self._current]:
                self._stories[self._current] = story
                self._show()

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around a longer step that sends no load."""
        self._put(f'<p role="status">{escape(what)}</p>')
        yield

    def say(self, text: str) -> None:
        """Take one line."""
        self._notes.append(text)
        self._show()

    def fail(self, cause: str, remedy: str = "") -> None:
        """Take what went wrong and what to do about it."""
        self.say(f"{cause}; {remedy}" if remedy else cause)

    def _show(self) -> None:
        self._put(lines(list(self._stories.values()), self._notes))
        self._move()

    def _move(self) -> None:
        self._moved = time.monotonic()
        story = self._stories.get(self._current)
        self._put_bar("" if story is None else sweep_page.bar(story))


def lines(stories: Sequence[Story], notes: Sequence[str] = ()) -> str:
    """One line a target, as HTML: its decision, what it does now, or that its turn is to come."""
    shown = []
    for at, story in enumerate(stories, 1):
        said = f"{story.target}: waits for its turn" if story.phase == "idle" else _said(story)
        # Only the line that changes is read out.
        role = "" if story.is_over else ' role="status"'
        shown.append(f"<p{role}>{at} of {len(stories)}, {escape(said)}</p>")
    shown += [f'<p class="pk-small">{escape(note)}</p>' for note in notes]
    return "".join(shown)


def _said(story: Story) -> str:
    if story.phase == "failed":
        return f"{story.target}: {story.cause}" + f"; {story.remedy}" * bool(story.remedy)
    if story.recommendation is not None:
        return replace(story, phase="done").headline
    return story.headline
