"""The JSON lines that a measuring child process prints, one event a line.

The command line, the notebooks and the panels all read these, so there is one path to test. A line
is `{"event": NAME, ...}`; readers skip events that they do not know.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from poolkit.records import Purpose, Recommendation, Resumed, Sizing, Trial, in_bounds


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", serialize_by_alias=True)

    _is_in_bounds = field_validator("*")(in_bounds)


class Started(_Event):
    """The child has checked its input and the target answered; load begins."""

    event: Literal["started"] = "started"
    target: str
    driver: str
    budget: float  # s of load that may be spent
    at: str  # when, ISO 8601, UTC
    resumed: Resumed | None = None  # trials of before that count


class TrialStarted(_Event):
    """A trial begins; `because` says why this size is measured now."""

    event: Literal["trial_started"] = "trial_started"
    target: str
    purpose: Purpose
    loop: Literal["closed", "open"]
    pool_size: int
    arrival_rate: float | None = None
    seconds: float  # planned, at most
    because: str = ""


class Progress(_Event):
    """How far the target's whole measurement is; at most four a second."""

    event: Literal["progress"] = "progress"
    target: str
    seconds: float  # of load spent so far
    budget: float
    pool_size: int
    throughput: float  # calls/s, of the last moments
    calls: int  # finished in this trial


class Step(_Event):
    """A probe or an observation has come to another of its parts, or on in one."""

    event: Literal["step"] = "step"
    target: str
    what: str
    limit: float  # s that it may take; 0: not known
    passed: float = 0.0  # s of these


class TrialDone(_Event):
    """A trial ended and is on disk."""

    event: Literal["trial"] = "trial"
    trial: Trial


class Sized(_Event):
    """The curve was read and a size predicted (before verification)."""

    event: Literal["sizing"] = "sizing"
    sizing: Sizing


class Recommended(_Event):
    """The final word on the target."""

    event: Literal["recommended"] = "recommended"
    recommendation: Recommendation


class Failed(_Event):
    """The command cannot go on: what happened, and what to do."""

    event: Literal["failed"] = "failed"
    target: str
    cause: str
    remedy: str = ""
    exit_code: int


class Done(_Event):
    """The last line of every child that ends by itself."""

    event: Literal["done"] = "done"
    target: str
    exit_code: int


Event = Annotated[
    Started | TrialStarted | Progress | Step | TrialDone | Sized | Recommended | Failed | Done,
    Field(discriminator="event"),
]

Emit = Callable[[Event], None]
"""Where the events of a measurement go."""


class Watcher(Protocol):
    """Whoever looks on while targets are measured: a terminal, a log, a notebook.

    `poolkit.cli.progress.make_screen` gives one that prints.
    """

    def measuring(self, name: str) -> AbstractContextManager[None]:
        """Around the measurement of target `name`."""

    def see(self, event: Event) -> None:
        """Take an event of the target that is measured."""

    def cancelling(self) -> None:
        """Told, maybe often, that the measurement is being ended."""

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Around a longer step that sends no load, such as making the report."""

    def say(self, text: str) -> None:
        """Take one line."""

    def fail(self, cause: str, remedy: str = "") -> None:
        """Take what went wrong and what to do about it."""


_adapter: TypeAdapter[Event] = TypeAdapter(Event)


def to_line(event: Event) -> str:
    """One event as one line of JSON, newline included."""
    return event.model_dump_json() + "\n"


def from_line(line: str) -> Event | None:
    """The event of a line; None for a line that is not an event that this version knows."""
    try:
        return _adapter.validate_json(line)
    except ValueError:
        return None
