"""Records of finished reviews: a folder each, named by when it was measured, never written again.

A record is a review folder without code and report: recommended.json, manifest.json, the curves,
and of the trials what a size is read off (NAME.curve.jsonl), so that a record alone can be asked
what demand to come needs. Whoever reads a review's folder reads a record.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pydantic import ValidationError

from poolkit import files
from poolkit.errors import BadInput, PoolkitError
from poolkit.measure.store import TrialLog, reason, write_atomic
from poolkit.records import APART, Recommendation, RecommendedFile, Trial
from poolkit.review.export import RECOMMENDED, to_json
from poolkit.review.manifest import MANIFEST, read_manifest
from poolkit.review.provenance import measured_at

HISTORY = Path("data/reviews")  # of the working folder
CURVE = ".curve.jsonl"  # a target's trials without what no size is read off
# Of a trial: times whose histograms are for charts alone.
_CHARTED = ("response_time", "wait_time", "lag", "dial_time", "service_time", "release_time")
_RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(-\d{1,9})?", re.ASCII)


class Kept(NamedTuple):
    """Where the record of a review is, and whether it was made now."""

    record: Path
    is_new: bool


def records(store: Path) -> list[Path]:
    """Every record of a store, in the order in which they were measured."""
    return sorted(filter(is_record, store.glob("*")), key=place)


def is_record(path: Path) -> bool:
    """Whether a record is called so."""
    return _RECORD.fullmatch(path.name) is not None


def place(record: Path) -> tuple[str, int]:
    """Date, and number where it is not the only one; their order is that of time.

    Of a folder that is called otherwise its name.
    """
    date, _, number = record.name.partition("Z")
    return (date, int(number[1:] or 1)) if is_record(record) else (record.name, 1)


def named(date: str, number: int) -> str:
    """The name of the record that has this place."""
    return f"{date}Z-{number}" if number > 1 else f"{date}Z"


def date_of(moment: str) -> str:
    """A moment (ISO 8601) as names of records have it; now where it is none."""
    found = datetime.now(UTC)
    with suppress(ValueError, OverflowError):
        parsed = datetime.fromisoformat(moment)
        found = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    return f"{found:%Y-%m-%dT%H%M%S}".rjust(17, "0")


def check_store(store: Path) -> None:
    """BadInput where records cannot be kept there, before anything is sent."""
    why = ""
    try:
        if os.path.lexists(store) and not store.is_dir():
            raise BadInput(f"--history {store} is a file", "name a folder that may be created")
        store.stat()
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, or below a file
        why = reason(error)
    above = next(filter(os.path.isdir, (store, *store.absolute().parents)), store)
    if not why and not os.access(above, os.W_OK):
        why = "nothing may be written there"
    if why:
        raise BadInput(f"--history {store}: {why}", "choose another folder")


def keep(out: Path, found: Sequence[Recommendation], created: str, store: Path) -> Kept | None:
    """Keep what a review of the folder `out` finished as a record; None where it finished nothing.

    The record appears whole or not at all. What a record holds already is not kept twice.

    Raises:
        PoolkitError: the store cannot be written.
    """
    done = [r for r in found if r.status == "done"]
    if not done:
        return None
    text = to_json(done, created)
    try:
        for record in reversed(records(store)):
            if _is_same(record, done):
                return Kept(record, False)
        store.mkdir(parents=True, exist_ok=True)
        # Not by the pid: processes of several containers may have the same, and one folder.
        making = store / f".{uuid4().hex}.tmp"
        making.mkdir()
        try:
            _fill(making, out, {r.target for r in done}, text)
            return Kept(_placed(making, store, date_of(measured_at(done, created))), True)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise BadInput(
            f"the review could not be kept in {store}: {reason(error)}",
            "its own folder is complete; name another one with --history",
        ) from error


def identity(entry: Recommendation) -> str:
    """The same for two looks at the same trials, whatever version wrote them down."""
    return entry.model_dump_json(exclude={"resumed"}, exclude_defaults=True)


def _is_same(record: Path, done: Sequence[Recommendation]) -> bool:
    """Whether a record holds the same figures; False for one that cannot be read."""
    with suppress(OSError, ValidationError):
        held = RecommendedFile.model_validate_json(files.content(record / RECOMMENDED))
        return list(map(identity, held.targets)) == list(map(identity, done))
    return False


def _fill(making: Path, out: Path, names: set[str], text: str) -> None:
    write_atomic(making / RECOMMENDED, text)
    for name in sorted(names):
        with suppress(FileNotFoundError):
            shutil.copyfile(out / f"{name}.sizing.json", making / f"{name}.sizing.json")
        with suppress(PoolkitError):
            trials = TrialLog(out / f"{name}.trials.jsonl").read()
            lines = [slim(t).model_dump_json() for t in trials if t.purpose not in APART]
            if lines:
                write_atomic(making / f"{name}{CURVE}", "\n".join(lines) + "\n")
    with suppress(PoolkitError):
        manifest = read_manifest(out)
        told = {name: one for name, one in manifest.targets.items() if name in names}
        parameters = {**manifest.parameters, "targets": told}
        # The digests stay: they tell which trials it rests on.
        manifest = manifest.model_copy(update={"parameters": parameters})
        write_atomic(making / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def slim(trial: Trial) -> Trial:
    """The trial without what only charts and tables show of it."""
    bare: dict[str, object] = {"budget": None, "checks": trial.failed_checks}
    for name in _CHARTED:
        bare[name] = getattr(trial, name).model_copy(update={"buckets": {}})
    return trial.model_copy(update=bare)


def _placed(making: Path, store: Path, date: str) -> Path:
    """The folder under the first free name of that date; another process may take one meanwhile."""
    number = 1
    while True:
        record = store / named(date, number)
        if not os.path.lexists(record):
            try:
                return making.rename(record)
            except OSError:
                if not os.path.lexists(record):
                    raise
        number += 1
