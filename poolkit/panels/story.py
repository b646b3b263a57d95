"""What a panel knows of one measurement, from its events, and what a finished one gives; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from poolkit import events, units
from poolkit.analysis.disturbed import marked
from poolkit.errors import Cancelled, ExitCode, PoolkitError
from poolkit.events import Event
from poolkit.measure.sweep import spent
from poolkit.records import Recommendation, Resumed, Sizing, Trial
from poolkit.review.provenance import rests_on, when
from poolkit.show import narration, words
from poolkit.show.tables import Table
from poolkit.targets import Target
from poolkit.targets.objective import Objective

STARTING = "starting: one call to see whether it answers"
AGAIN = "Tick “Measure again” and start for new ones."
Phase = Literal["idle", "starting", "running", "cancelling", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, repr=False)
class Findings:
    """What a finished sweep gives."""

    trials: tuple[Trial, ...]
    sizing: Sizing
    recommendation: Recommendation
    objective: Objective

    @property
    def target(self) -> Target | None:
        """What was measured; None for a recording, whose endpoint is not kept."""
        return self.objective if isinstance(self.objective, Target) else None

    @property
    def when(self) -> str:
        """When it was measured, as `2026-11-28 16:40 to 16:41 UTC`; a recording: the day alone."""
        at = [trial.started for trial in self.trials]
        if not at or self.target is None:
            return max(at, default="")[:10]
        return when(Resumed(trials=len(at), oldest=min(at), newest=max(at)))

    @property
    def about(self) -> str:
        """Which measurement this is: `orders-api at 600 calls/s: 22 connections, 2026-11-28 ...`.

        Target, size and time are in it: a table that says so is not taken for one of another run.
        """
        found = self.recommendation
        size = found.recommended_size
        said = "no size" if size is None else units.plural(size, "connection")
        verb = "recorded" if self.target is None else "measured"
        measured = f", {verb} {self.when}" if self.trials else ""
        return f"{found.target} at {units.rate(found.target_rate)}: {said}{measured}"

    def titled(self, table: Table) -> Table:
        """The table, its caption with the measurement that it is of."""
        size = self.recommendation.recommended_size
        said = ["no size" if size is None else units.plural(size, "connection"), self.when]
        of = ", ".join([self.recommendation.target, *filter(None, said)])
        return replace(table, caption=f"{table.caption} · {of}")

    def __repr__(self) -> str:
        return f"Findings({self.about})"

    def _repr_html_(self) -> str:
        return f"<p>What follows is about {escape(self.about)}.</p>"


@dataclass(frozen=True, slots=True)
class Story:
    """One measurement so far; `after` gives the next one.

    What is counted (trials, seconds, the share of the budget) never runs back.

    Attributes:
        objective: what is asked, the target itself where it is measured; None before it was read.
        phase: `idle` before the start, `starting` until the target has answered its first call.
        budget, seconds: s of load that may be sent, and that was.
        throughput: calls/s of the last moments; None before the first.
        reached: the largest share of the budget seen spent, 0 to 1.
        doing: what happens now, in a line.
        size: pool size of the trial that is under way; None where that is not known.
        cause, remedy: what ended a `failed` or `cancelled` measurement, and what to do.
        note: where figures come from that were not measured now.
        started: its first event; None where that told of no trials of before.
    """

    target: str = ""
    phase: Phase = "idle"
    budget: float | None = None
    seconds: float = 0.0
    reached: float = 0.0
    throughput: float | None = None
    doing: str = ""
    size: int | None = None
    trials: tuple[Trial, ...] = ()
    sizing: Sizing | None = None
    recommendation: Recommendation | None = None
    cause: str = ""
    remedy: str = ""
    exit_code: ExitCode | None = None
    note: str = ""
    started: events.Started | None = None
    objective: Objective | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return self.phase in ("idle", "done", "cancelled", "failed")

    @property
    def findings(self) -> Findings | None:
        """What was found; None where the measurement has not come to a result."""
        if self.phase != "done":
            return None
        if self.sizing is None or self.recommendation is None or self.objective is None:
            return None
        return Findings(self.evidence, self.sizing, self.recommendation, self.objective)

    @property
    def evidence(self) -> tuple[Trial, ...]:
        """The trials that say something of the size: not the cold starts."""
        return tuple(trial for trial in self.trials if trial.purpose != "cold")

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        if self.phase == "done":
            return 1.0
        return self.reached

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

    @property
    def headline(self) -> str:
        """One line for the page: where the measurement stands."""
        trials = units.plural(len(self.trials), "finished trial")
        match self.phase:
            case "idle":
                return self.doing or "Nothing measured yet. Start sends load to the target."
            case "starting" | "cancelling" | "running":
                outcome = self.doing
            case "cancelled":
                outcome = f"cancelled; {trials} kept. Start goes on from there."
            case "failed":
                outcome = f"ended early; {trials} kept."
            case "done":
                found = self.recommendation
                outcome = words.outcome(found) if found is not None else self.doing
        return f"{self.target}: {outcome}"

    @property
    def sources(self) -> str:
        """Where figures come from that were not measured now, and how old they are."""
        resumed, trials = self.resumed, len(self.trials)
        if self.started is None or resumed is None:
            return self.note
        is_old = trials == resumed.trials
        if is_old and not self.is_over:  # whether more are measured is not known yet
            return self.note
        said = words.sentence(rests_on(resumed, trials, self.started.at))
        return " ".join(part for part in (self.note, said, AGAIN if is_old else "") if part)

    @property
    def resumed(self) -> Resumed | None:
        """Those of the trials that an earlier run measured."""
        return None if self.started is None else self.started.resumed

    @property
    def time_left(self) -> str:
        """How far and how fast, as `12 s of load sent, at most 8 s to go · 590 calls/s now`."""
        if self.phase in ("running", "cancelling") and self.budget is not None:
            left = max(0, math.ceil(self.budget - self.seconds))
            is_known = self.phase == "running" and self.throughput is not None
            speed = f" · {units.rate(self.throughput)} now" if is_known else ""
            return f"{self.seconds:.0f} s of load sent, at most {left} s to go{speed}"
        if self.trials and self.is_over:
            load = max(self.seconds, spent(self.trials))
            return f"{units.plural(len(self.trials), 'trial')}, {units.number(load)} s of load"
        return ""

    def after(self, event: Event, resumed: Sequence[Trial] = ()) -> Story:
        """The story with one more event; `resumed` are the trials that a `Started` speaks of."""
        # Running, unless its end was asked for meanwhile.
        phase: Phase = "cancelling" if self.phase == "cancelling" else "running"
        doing = narration.sentence(event) or self.doing
        match event:
            case events.Started():
                # What was shown of an earlier run stays as far as its trials still count.
                kept, begun = tuple(resumed), event if event.resumed is not None else None
                sizing = self.sizing if kept else None
                story = replace(self, phase=phase, budget=event.budget, doing=doing)
                kept_too = replace(story, trials=kept, sizing=sizing, started=begun)
                return replace(kept_too, seconds=spent(kept))
            case events.TrialStarted():
                doing = f"trial {len(self.trials) + 1}, {doing}"
                # The pool of the climb has room: what it comes to use is not known yet. Nor is how
                # many of several pools take part.
                is_one = self.objective is None or self.objective.pools == 1
                size = event.pool_size if is_one and event.purpose != "approach" else None
                return replace(self, phase=phase, doing=doing, size=size)
            case events.Progress():
                # A trial's drain counts while it lasts, and not in the sum of what is finished.
                seconds = max(self.seconds, event.seconds)
                share = min(1.0, seconds / event.budget) if event.budget else 0.0
                story = replace(self, budget=event.budget, throughput=event.throughput)
                return replace(story, seconds=seconds, reached=max(self.reached, share))
            case events.Step():
                return replace(self, doing=event.what)
            case events.TrialDone():
                trials = tuple(marked([*self.trials, event.trial]))
                doing = f"trial {len(trials)}, {doing}"
                return replace(self, trials=trials, doing=doing, size=None)
            case events.Sized():
                return replace(self, sizing=event.sizing, doing=doing)
            case events.Recommended():
                found = event.recommendation.model_copy(update={"resumed": self.resumed})
                return replace(self, recommendation=found, doing=doing)
            case events.Failed():
                return self.failed(event.cause, event.remedy, _code(event.exit_code))
            case events.Done():
                if self.phase in ("failed", "cancelled"):
                    return self
                return replace(self, phase="done", exit_code=_code(event.exit_code))

    def cancelling(self) -> Story:
        """The story once its end was asked for."""
        if self.is_over:
            return self
        return replace(self, phase="cancelling", doing="cancelling: what is finished is kept")

    def failed(self, cause: str, remedy: str, code: ExitCode) -> Story:
        """The story after a failure, its last word; being cancelled is one by wish."""
        phase: Phase = "cancelled" if code == ExitCode.CANCELLED else "failed"
        ended = replace(self, phase=phase, size=None)
        return replace(ended, cause=cause, remedy=remedy, exit_code=code)

    def taken_up(self) -> Story:
        """What a new measurement in the same folder begins with: the trials shown before."""
        return Story(
            self.target, seconds=spent(self.trials), trials=self.trials, sizing=self.sizing
        )


def _code(code: int) -> ExitCode:
    try:
        return ExitCode(code)
    except ValueError:
        return ExitCode.STOPPED
