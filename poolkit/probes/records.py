"""What probes find, as frozen records, to and from NAME.probe.json. Times are seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from poolkit.drivers.parameters.findings import (
    AgeLimit,
    Costs,
    Findings,
    IdleLimit,
    NameFinding,
    Proof,
)
from poolkit.errors import BadInput
from poolkit.measure.store import read_record, write_atomic
from poolkit.records import Parameter, Record
from poolkit.redact import Redactor
from poolkit.targets import Target

SUFFIX = ".probe.json"
# What may quote a server or a library.
_PROSE = frozenset({"seen", "because", "next", "note", "skipped", "setting"})

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


def write(folder: Path, probe: Probe, target: Target) -> Path:
    """Write the probe, whole or not at all, without any secret of its target.

    Raises:
        BadInput: the folder, which is made, cannot be written to.
    """
    path = folder / f"{probe.target}{SUFFIX}"
    public = _redacted(probe.model_dump(mode="json"), Redactor(target.secrets).text)
    text = json.dumps(public, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}", "choose another folder with --out"
        ) from None
    return path


def _redacted(value: Any, redact: Callable[[str], str], *, is_prose: bool = False) -> Any:
    """The same tree, redacted where it is prose.

    The rest is public or a closed set, and a secret such as `orders`, `idle` or 2000 is also a
    piece of many a name and number.
    """
    if isinstance(value, str):
        return redact(value) if is_prose else value
    if isinstance(value, list):
        return [_redacted(each, redact, is_prose=is_prose) for each in value]
    if isinstance(value, dict):
        return {
            key: _redacted(each, redact, is_prose=is_prose or key in _PROSE)
            for key, each in value.items()
        }
    return value


def read(folder: Path) -> dict[str, Probe]:
    """Every probe of a folder by the name of its target; empty where there is none.

    Raises:
        BadInput: one of the files is not a probe that this version can read.
    """
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        probe = read_record(Probe, path, "delete it, or run poolkit probe again")
        found[probe.target] = probe
    return found


def find(folder: Path, target: Target) -> Probe | None:
    """The finished probe of this very target in a folder; None: there is none that counts.

    Another driver or endpoint under the same name is another target, and a probe that was cut
    short may not have seen what comes first.
    """
    try:
        found = read(folder).get(target.name)
    except BadInput:  # told before anything was sent
        return None
    wanted = ("done", target.driver, target.endpoint)
    if found is None or (found.status, found.driver, found.endpoint) != wanted:
        return None
    return found
