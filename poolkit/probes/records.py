"""What probes find, as frozen records, to and from JSON. Times are seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from poolkit.drivers.parameters.findings import (
    AgeLimit,
    Cost,
    Costs,
    Findings,
    IdleKind,
    IdleLimit,
    LineOutcome,
    NameFinding,
    Observation,
    Proof,
    ProofRun,
    Session,
)
from poolkit.records import Parameter, Record

__all__ = [
    "AgeLimit",
    "Cost",
    "Costs",
    "CutKind",
    "Doubt",
    "IdleKind",
    "IdleLimit",
    "LineOutcome",
    "NameFinding",
    "Observation",
    "Probe",
    "Proof",
    "ProofRun",
    "Session",
    "Setting",
    "StaleCount",
    "UseLimit",
]

CutKind = Literal["restart", "drop"]
Setting = Literal["none", "pre_ping", "recycle", "retry"]


class UseLimit(Record):
    """How many requests one connection carries; None: no end was seen in `tried`."""

    requests: int | None
    tried: int
    is_announced: bool = False  # by `Connection: close` in the last answer
    seen: str


class StaleCount(Record):
    """Calls after every connection was cut, with one setting."""

    setting: Setting
    cut: CutKind
    calls: int
    failed: int  # let through to the caller
    disconnects: int
    retries: int = 0


class Doubt(Record):
    """What the reader has to know, and what to do about it."""

    seen: str
    next: str


class Probe(Record):
    """NAME.probe.json: everything that was found about one target; None: not looked for."""

    schema_: Literal["poolkit.probe/1"] = Field("poolkit.probe/1", alias="schema")
    target: str
    driver: str
    endpoint: str
    created: str  # ISO 8601, UTC
    status: Literal["done", "stopped", "cancelled"] = "done"
    idle: tuple[IdleLimit, ...] = ()
    uses: UseLimit | None = None
    age: AgeLimit | None = None
    proof: Proof | None = None
    costs: Costs | None = None
    stale: tuple[StaleCount, ...] = ()
    names: NameFinding | None = None
    parameters: tuple[Parameter, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0

    def findings(self, target_rate: float) -> Findings:
        """What the parameters rest on, `target_rate` calls/s being asked of the target."""
        idle = next((one for one in self.idle if one.session == "idle"), None)
        return Findings(idle, self.age, self.costs, self.proof, self.names, target_rate)
