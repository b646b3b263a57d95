"""manifest.json: with what, on which machine and how the files of a folder were made.

It names no person, host or path, so a report can be handed on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import Field, field_validator

from poolkit import files
from poolkit.measure import SEED, SIZE_BUDGET
from poolkit.measure.store import now, read_record, write_atomic
from poolkit.records import Record
from poolkit.targets.headers import VARIABLE

MANIFEST = "manifest.json"
# Firmware and kernel keep a little for themselves, not always the same.
MEMORY_TOLERANCE = 0.05


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and VARIABLE.fullmatch(value) is not None


# In the folder of the manifest, wherever that is moved to.
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]{1,255}$")]


class HostFacts(Record):
    """The machine that made the load; enough to tell two kinds of machine apart."""

    cores: int  # that this process may use
    cores_total: int
    cpu: str
    memory: int  # bytes
    os: str
    kernel: str


class Manifest(Record):
    """The whole of manifest.json."""

    schema_: Literal["poolkit.manifest/1"] = Field("poolkit.manifest/1", alias="schema")
    created: str
    versions: dict[str, str]
    host: HostFacts
    parameters: dict[str, Any]
    files: dict[FileName, str]  # -> sha256

    @field_validator("parameters")
    @classmethod
    def _check_targets(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        settings = parameters.get("targets", {})
        if not isinstance(settings, dict) or not all(map(_is_table, settings.values())):
            raise ValueError("targets must be a table of tables")
        return parameters

    @property
    def targets(self) -> dict[str, dict[str, Any]]:
        """The public settings of each target."""
        return dict(self.parameters.get("targets", {}))

    @property
    def variables(self) -> dict[str, str]:
        """The variable that holds the DSN of a target, where it is one of the environment."""
        given = self.parameters.get("variables", {})
        found = given if isinstance(given, dict) else {}
        return {name: variable for name, variable in found.items() if _is_variable(variable)}


def host_facts() -> HostFacts:
    """What is known of this machine."""
    total = os.cpu_count() or 1
    return HostFacts(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total,
        cores_total=total,
        cpu=_cpu_model(),
        memory=psutil.virtual_memory().total,
        os=_os_name(),
        kernel=f"{platform.system()} {platform.release()}",
    )


def is_same_machine(a: HostFacts, b: HostFacts) -> bool:
    """Whether figures of the two may be compared: same processor, cores and memory (within 5 %)."""
    if (a.cores, a.cores_total, a.cpu) != (b.cores, b.cores_total, b.cpu):
        return False
    return abs(a.memory - b.memory) <= MEMORY_TOLERANCE * max(a.memory, b.memory)


def versions() -> dict[str, str]:
    """Versions of poolkit, Python and each library of poolkit's that is installed."""
    found = {"poolkit": metadata.version("poolkit"), "python": platform.python_version()}
    for requirement in sorted(metadata.requires("poolkit") or (), key=str.lower):
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        # Tools that only test poolkit leave no trace in a result.
        if re.search(r"extra\s*==\s*['\"](test|all)['\"]", requirement) or name == "poolkit":
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_manifest(out: Path, parameters: dict[str, Any], created: str | None = None) -> Path:
    """Write manifest.json over the files that `out` holds by now; write it last.

    Args:
        parameters: public settings of the targets, seed, budget, command; no path and no secret.
        created: ISO 8601, UTC; now by default.
    """
    manifest = Manifest(
        created=now() if created is None else created,
        versions=versions(),
        host=host_facts(),
        parameters=parameters,
        files={
            path.name: _digest(path)
            for path in sorted(out.iterdir())
            if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
        },
    )
    write_atomic(out / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return out / MANIFEST


def parameters_of(
    command: str,
    budget: float | None,
    seed: int | None,
    settings: dict[str, Any],
    variables: Mapping[str, str] = {},
) -> dict[str, Any]:
    """What manifest.json says of the request, the defaults that were used in place of None."""
    return {
        "command": command,
        "budget": SIZE_BUDGET if budget is None else budget,
        "seed": SEED if seed is None else seed,
        "targets": settings,
        "variables": dict(variables),
    }


def read_manifest(path: Path) -> Manifest:
    """The manifest.json at `path`, a folder or the file itself; BadInput where there is none."""
    file = path / MANIFEST if path.is_dir() else path
    return read_record(Manifest, file, "name the folder of a finished review")


def changed_files(out: Path, manifest: Manifest) -> tuple[str, ...]:
    """Files that the manifest lists and that are gone or no longer what they were."""
    return tuple(
        name
        for name, digest in manifest.files.items()
        if not (out / name).is_file() or _digest(out / name) != digest
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(files.content(path)).hexdigest()


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.release()}"
