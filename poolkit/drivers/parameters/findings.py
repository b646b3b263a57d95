"""What probes find that a parameter rests on, as frozen records. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from poolkit.records import Interval, Record

Session = Literal["idle", "in_transaction", "behind_pooler"]
# How an idle connection was found to end; `longer`: it did not within the cap.
IdleKind = Literal["closed", "closed_on_use", "silent", "random", "longer", "not_kept"]
# `open`: no end was seen, but it was not asked either.
LineOutcome = Literal["alive", "open", "closed", "closed_on_use", "silent"]


class Observation(Record):
    """One idle connection: how long nothing was sent over it, and what became of it then."""

    idle: float
    outcome: LineOutcome


class IdleLimit(Record):
    """How long a connection is kept that nothing is sent over.

    `timeout` is the best estimate and lies within `bounds`; both None where it is beyond `cap`.
    A server that closes at random has no timeout: its `bounds` are the first and the last close.
    """

    session: Session = "idle"
    kind: IdleKind
    timeout: float | None = None
    bounds: Interval | None = None
    cap: float  # s that were waited at most
    longer_than: float = 0.0  # s for which an idle connection was seen to live
    connections: int = 0  # opened side by side
    seconds: float = 0.0  # that it took
    observations: tuple[Observation, ...] = ()
    seen: str

    @property
    def is_steady(self) -> bool:
        """Whether a value below it keeps a client from meeting the close."""
        return self.timeout is not None and self.kind != "not_kept"

    @property
    def earliest(self) -> float | None:
        """s after which a close may come; None: none was seen."""
        if self.bounds is None or self.kind == "not_kept":
            return None
        # The very first question found it closed: it lived for some time, but nobody saw it.
        return self.bounds[0] or (self.timeout or self.bounds[1]) / 2


class AgeLimit(Record):
    """How old a connection in use may become; None: older than `longer_than`."""

    seconds: float | None
    longer_than: float
    seen: str


class ProofRun(Record):
    """A low-traffic run through the real driver with one setting."""

    setting: str  # "keepalive_timeout = 4 s"
    calls: int
    failed: int  # calls that ended with an error for the caller
    disconnects: int  # connections found dead, by a call or by a ping before it
    dials: int
    reuse_ratio: float


class Proof(Record):
    """The recommended value and one that is too long, in the same traffic side by side."""

    recommended: ProofRun
    too_long: ProofRun
    round_trip: float | None  # s that the path in between was made longer by; None: it was not
    seconds: float
    holds: bool
    seen: str


class Cost(Record):
    """What one thing costs, and what that takes from the throughput.

    `seconds` is the median of paired differences (or of times); its interval is distribution-free.
    """

    name: str
    per: Literal["checkout", "dial"]
    seconds: float
    interval95: Interval | None
    samples: int
    # Of the calls that pay it, at the size in `Costs`: measured where `is_lost_measured`, else
    # computed: seconds / (hold + seconds) where `per` is a dial, as if every call dialled.
    lost_share: float | None = None
    lost_interval95: Interval | None = None
    is_lost_measured: bool = False
    note: str = ""


class Costs(Record):
    """The costs of one target, and the call that they are held against."""

    pool_size: int
    hold_time: float  # s, median of a call on a kept connection, one at a time
    # calls/s that `pool_size` connections carry, seen at no more than the target rate; HTTP: None
    throughput: float | None
    costs: tuple[Cost, ...]
    skipped: dict[str, str] = Field(default_factory=dict)  # what was not measured, and why


class NameFinding(Record):
    """What a changed DNS record means to this driver."""

    host: str
    is_address: bool
    lookup: float | None = None  # s, median
    addresses: int = 0
    ttl: float | None = None  # s for which the driver keeps an answer; None: it keeps none
    old_for: float | None = None  # s after the change in which new dials went to the old address
    kept_calls: int = 0  # calls on a kept connection after the change ...
    kept_on_old: int = 0  # ... that still went to the old address
    seen: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a probe found of one target; None: it was not looked for.

    Attributes:
        idle: how long the target's own connections may idle.
        target_rate: calls/s that are asked of the target.
    """

    idle: IdleLimit | None = None
    age: AgeLimit | None = None
    costs: Costs | None = None
    proof: Proof | None = None
    names: NameFinding | None = None
    target_rate: float = 0.0

    @property
    def end(self) -> float | None:
        """s after which a connection ends, by silence or by age; None: neither was seen."""
        ends = (self.idle.earliest if self.idle else None, self.age.seconds if self.age else None)
        return min((end for end in ends if end is not None), default=None)

    @property
    def proven(self) -> str:
        """What the proof of the value showed, to end a reason with; empty where it did not hold."""
        holds = self.proof is not None and self.proof.holds
        return f"; {self.proof.seen}" if holds and self.proof is not None else ""
