"""NAME.probe.json: written whole or not at all, without any secret of its target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from poolkit.errors import BadInput
from poolkit.measure.store import write_atomic
from poolkit.probes.records import Probe
from poolkit.redact import Redactor
from poolkit.targets import Target

SUFFIX = ".probe.json"
# What may quote a server or a library.
PROSE = frozenset({"seen", "because", "next", "note", "skipped", "setting"})


def write(folder: Path, probe: Probe, target: Target) -> Path:
    """Write the probe into the folder, which is made; BadInput where that cannot be."""
    path = folder / f"{probe.target}{SUFFIX}"
    redact = Redactor(target.secrets).text
    # Only what is told in words: the rest is public or a closed set, and a secret such as `orders`,
    # `idle` or 2000 is also a piece of many a name and number.
    public = _redacted(probe.model_dump(mode="json"), redact)
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
    """The same tree of plain data, redacted where it is prose."""
    if isinstance(value, str):
        return redact(value) if is_prose else value
    if isinstance(value, list):
        return [_redacted(each, redact, is_prose=is_prose) for each in value]
    if isinstance(value, dict):
        return {
            key: _redacted(each, redact, is_prose=is_prose or key in PROSE)
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
        try:
            probe = Probe.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise BadInput(
                f"{path} is not a probe's result", "delete it, or run poolkit probe again"
            ) from None
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
    if found is None or found.status != "done":
        return None
    is_same = (found.driver, found.endpoint) == (target.driver, target.endpoint)
    return found if is_same else None
