"""What a panel knows of one measurement, told by its events; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from poolkit import events, units
from poolkit.errors import Cancelled, ExitCode, PoolkitError
from poolkit.events import Event
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.show import narration

Phase = Literal["idle", "starting", "running", "cancelling", "done", "cancelled", "failed"]
OVER: frozenset[Phase] = frozenset({"idle", "done", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class Story:
    """One measurement so far; `after` gives the next one.

    Attributes:
        phase: `idle` before the start, `starting` until the target has answered its first call.
        budget, seconds: s of load that may be sent, and that was.
        throughput: calls/s of the last moments; None before the first.
        doing: what happens now, in a line.
        cause, remedy: what ended a `failed` or `cancelled` measurement, and what to do.
        note: where figures come from that were not measured now.
    """

    target: str = ""
    phase: Phase = "idle"
    budget: float | None = None
    seconds: float = 0.0
    throughput: float | None = None
    doing: str = ""
    trials: tuple[Trial, ...] = ()
    sizing: Sizing | None = None
    recommendation: Recommendation | None = None
    cause: str = ""
    remedy: str = ""
    exit_code: ExitCode | None = None
    note: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return self.phase in OVER

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        if self.phase == "done":
            return 1.0
        return min(1.0, self.seconds / self.budget) if self.budget else 0.0

    @property
    def left(self) -> int | None:
        """Most seconds of load that may still come; None before that is known."""
        return None if self.budget is None else max(0, math.ceil(self.budget - self.seconds))

    @property
    def error(self) -> PoolkitError | None:
        """What `result` raises; None where nothing went wrong."""
        if self.phase == "cancelled":
            return Cancelled()
        if self.phase != "failed":
            return None
        error = PoolkitError(self.cause, self.remedy)
        error.exit_code = self.exit_code or ExitCode.STOPPED
        return error


def starting(target: str, note: str = "") -> Story:
    """A measurement that was asked for."""
    return Story(
        target, "starting", doing="starting: one call to see whether it answers", note=note
    )


def after(story: Story, event: Event, resumed: Sequence[Trial] = ()) -> Story:
    """The story with one more event; `resumed` are the trials that a `Started` speaks of."""
    doing = narration.sentence(event) or story.doing
    match event:
        case events.Started():
            return replace(
                _going(story), budget=event.budget, doing=doing, trials=(*resumed, *story.trials)
            )
        case events.TrialStarted():
            return replace(_going(story), doing=doing)
        case events.Progress():
            return replace(
                story, seconds=event.seconds, budget=event.budget, throughput=event.throughput
            )
        case events.Step():
            return replace(story, doing=event.what)
        case events.TrialDone():
            return replace(story, trials=(*story.trials, event.trial), doing=doing)
        case events.Sized():
            return replace(story, sizing=event.sizing, doing=doing)
        case events.Recommended():
            return replace(story, recommendation=event.recommendation, doing=doing)
        case events.Failed():
            return failed(story, event.cause, event.remedy, _code(event.exit_code))
        case events.Done():
            if story.phase in ("failed", "cancelled"):
                return story
            return replace(story, phase="done", exit_code=_code(event.exit_code))


def cancelling(story: Story) -> Story:
    """The story once somebody asked for its end."""
    if story.is_over:
        return story
    return replace(story, phase="cancelling", doing="cancelling: what is finished is kept")


def failed(story: Story, cause: str, remedy: str, code: ExitCode) -> Story:
    """The story after its last word was a failure; being cancelled is one by wish."""
    phase: Phase = "cancelled" if code == ExitCode.CANCELLED else "failed"
    return replace(story, phase=phase, cause=cause, remedy=remedy, exit_code=code)


def headline(story: Story) -> str:
    """One line for the page: where the measurement stands."""
    trials = units.plural(len(story.trials), "finished trial")
    match story.phase:
        case "idle":
            return "Nothing measured yet. Start sends load to the target."
        case "starting" | "cancelling" | "running":
            return f"{story.target}: {story.doing}"
        case "cancelled":
            return f"{story.target}: cancelled; {trials} kept. Start goes on from there."
        case "failed":
            return f"{story.target}: ended early; {trials} kept."
        case "done":
            found = story.recommendation
            said = narration.finding(found) if found is not None else story.doing
            return f"{story.target}: {said}"


def time_left(story: Story) -> str:
    """How far and how fast it is, as `12 s of load sent, at most 8 s to go · 590 calls/s now`."""
    if story.phase in ("running", "cancelling") and story.left is not None:
        is_known = story.phase == "running" and story.throughput is not None
        speed = f" · {units.rate(story.throughput)} now" if is_known else ""
        return f"{story.seconds:.0f} s of load sent, at most {story.left} s to go{speed}"
    if story.trials and story.is_over:
        load = sum(trial.warm_up + trial.window for trial in story.trials)
        return f"{units.plural(len(story.trials), 'trial')}, {units.number(load)} s of load"
    return ""


def _going(story: Story) -> Story:
    """Running, unless its end was asked for meanwhile."""
    return story if story.phase == "cancelling" else replace(story, phase="running")


def _code(code: int) -> ExitCode:
    try:
        return ExitCode(code)
    except ValueError:
        return ExitCode.STOPPED
