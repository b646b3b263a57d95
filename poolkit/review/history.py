"""Reading what is kept of reviews, whatever version wrote it, and what that comes to over time."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from poolkit import files, units
from poolkit.drivers.table import SUPPORTED_DRIVERS
from poolkit.errors import BadInput
from poolkit.measure.store import mistake, read_record, reason
from poolkit.records import Recommendation, Record, Verification
from poolkit.redact import in_csv
from poolkit.review.before import BEFORE
from poolkit.review.compare import Curve
from poolkit.review.export import RECOMMENDED
from poolkit.review.kept import date_of, identity, is_record, place
from poolkit.review.manifest import MANIFEST, Manifest
from poolkit.review.planned import DemandOf, outlook_of
from poolkit.review.provenance import measured_at
from poolkit.review.trend import QUANTITIES, History, Kept, Skipped, trend
from poolkit.targets.target import NAME

R = TypeVar("R", bound=Record)
HISTORY_FILE = "history.json"
_VERSION = "poolkit.recommended/"
_SCHEMA = re.compile(rf"{_VERSION}([0-9]{{1,9}})")
_NEWEST = 2
# Of an entry: nothing here depends on it, and it is most of the text.
_UNREAD = {"parameters", "rules_of_thumb", "checks", "cold"}
_AGAIN = "make that review again, or move the folder away"


def read_history(
    paths: Sequence[Path], targets: Sequence[str] = (), demand_of: DemandOf = lambda _: {}
) -> History:
    """What the reviews in these folders tell of each target over time.

    A path is a review's folder, a record's, or a folder of either; a review that lies in several
    places counts once. What cannot be read is among the skipped.

    Args:
        targets: of these alone; of all when empty.
        demand_of: the weekly peaks of those of the targets for which they are known.

    Raises:
        BadInput: nothing is left, there is no such target, or the demand is none.
    """
    skipped: list[Skipped] = []
    found: dict[str, list[Kept]] = {}
    seen: set[str] = set()
    for folder in _folders(paths, skipped):
        for kept in read_folder(folder, skipped):
            same = identity(kept.recommendation)
            if same not in seen:
                seen.add(same)
                found.setdefault(kept.target, []).append(kept)
    if not found:
        lines = [f"  {one.path}: {one.cause}; {one.remedy}" for one in skipped]
        raise BadInput(
            "\n".join(["no review is left to be shown", *lines]),
            "name folders that poolkit review wrote, or where it keeps its records (data/reviews)",
        )
    if missing := [name for name in targets if name not in found]:
        known = units.listed(sorted(found))
        raise BadInput(f"no review tells of {units.listed(missing)}", f"there are {known}")
    chosen = {name: kept for name, kept in found.items() if not targets or name in targets}
    demands = demand_of(list(chosen))
    trends = []
    for name, reviews in chosen.items():
        ordered = sorted(reviews, key=lambda one: one.measured)
        told = trend(ordered)
        if name in demands:
            ahead = outlook_of(ordered[-1], demands[name])
            key = "no_outlook" if isinstance(ahead, str) else "outlook"
            told = told.model_copy(update={key: ahead})
        trends.append(told)
    return History(trends=tuple(trends), skipped=tuple(skipped))


def latest_skipped(history: History) -> Skipped | None:
    """The latest record of those skipped, where it is of after all that were read."""
    latest = max(date_of(review.measured) for each in history.trends for review in each.reviews)
    later = [
        one
        for one in history.skipped
        if Path(one.path).name == RECOMMENDED
        and is_record(folder := Path(one.path).parent)
        and place(folder)[0] > latest
    ]
    return max(later, key=lambda one: place(Path(one.path).parent), default=None)


def to_csv(history: History) -> str:
    """One row a target and review, oldest first; an interval in two columns of its own.

    Apache Otava takes `time` for its time column and any of the figures for metrics.
    """
    figures = [f"{name}{end}" for name in QUANTITIES for end in ("", ".low", ".high")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["time", "branch", "driver", *figures, "caution"])
    for each in history.trends:
        for review in each.reviews:
            row: list[object] = [review.measured, each.target, each.driver]
            for name in QUANTITIES:
                figure = review.figures.get(name)
                ends = (None, None) if figure is None else figure.interval95 or (None, None)
                row += ["nan" if x is None else x for x in (figure and figure.value, *ends)]
            writer.writerow(map(in_csv, (*row, review.caution)))
    return buffer.getvalue()


def _folders(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[Path]:
    """Each folder at the paths, or one below, that holds a recommended.json, and its records."""
    for path in paths:
        found = [path] if os.path.lexists(path / RECOMMENDED) else []
        try:
            below = [each for each in path.iterdir() if not each.name.startswith(".")]
            below.sort(key=place)
            # A record without that file was cut: it is named with those that cannot be read.
            found += [e for e in below if is_record(e) or os.path.lexists(e / RECOMMENDED)]
            for folder in list(found):
                if (folder / BEFORE).is_dir():
                    kept = sorted((folder / BEFORE).iterdir())
                    found += [each for each in kept if os.path.lexists(each / RECOMMENDED)]
        except OSError as error:
            skipped.append(
                Skipped(
                    path=str(path),
                    cause=f"cannot be read: {reason(error)}",
                    remedy="name a folder that poolkit review wrote",
                )
            )
        else:
            if not found:
                skipped.append(
                    Skipped(
                        path=str(path),
                        cause=f"holds no {RECOMMENDED}, nor does a folder in it",
                        remedy="name a folder that poolkit review wrote",
                    )
                )
        yield from found


def read_folder(folder: Path, skipped: list[Skipped]) -> Iterator[Kept]:
    """Each target of a review that finished and can be understood."""
    file = folder / RECOMMENDED

    def skip(cause: str, remedy: str = _AGAIN) -> None:
        skipped.append(Skipped(path=str(file), cause=cause, remedy=remedy))

    try:
        written = json.loads(files.content(file))
    except OSError as error:
        return skip(f"cannot be read: {reason(error)}")
    except (ValueError, RecursionError):
        return skip("is cut off, or no JSON")
    version = _version(written)
    if version is None:
        return skip("was not written by poolkit review", "move it away")
    if version > _NEWEST:
        return skip(f"was written by a newer poolkit ({_VERSION}{version})", "update poolkit")
    created, entries = written.get("created"), written.get("targets")
    try:
        moment = datetime.fromisoformat(created)
        _utc(created)
    except (TypeError, ValueError, OverflowError):
        return skip("does not say when it was made")
    if not isinstance(entries, list) or not entries:
        return skip("names no target")
    manifest = _beside(folder / MANIFEST, Manifest, skipped)
    for raw in entries:
        try:
            entry = _entry(raw, version)
            measured = _utc(measured_at((entry,), moment.isoformat()))
        except (ValidationError, ValueError, OverflowError) as error:
            name = raw.get("target") if isinstance(raw, dict) else None
            why = mistake(error) if isinstance(error, ValidationError) else str(error)
            skip(f"{name or 'an entry'} is not understood: {why}")
            continue
        if entry.status == "done":
            sizing = _beside(folder / f"{entry.target}.sizing.json", Curve, skipped)
            yield Kept(measured, entry, sizing, manifest, folder)


def _version(written: object) -> int | None:
    """The version of a recommended.json; None where it is none."""
    schema = written.get("schema") if isinstance(written, dict) else None
    found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    return None if found is None else int(found[1])


def _entry(raw: object, version: int) -> Recommendation:
    """An entry as this version has it. Keys that it no longer knows are left out of an older one.

    Raises:
        ValueError: it is not understood.
    """
    if not isinstance(raw, dict):
        raise ValueError("it is no table")
    raw = {key: value for key, value in raw.items() if key not in _UNREAD}
    if isinstance(seen := raw.get("verification"), dict):
        known = {key: seen[key] for key in Verification.model_fields if key in seen}
        raw["verification"] = {**known, "signals": ()}
    if version < _NEWEST:
        raw = {key: value for key, value in raw.items() if key in Recommendation.model_fields}
    entry = Recommendation.model_validate(raw, strict=False)
    if not NAME.fullmatch(entry.target):
        raise ValueError(f"{entry.target!r} is no name of a target")
    if entry.driver not in SUPPORTED_DRIVERS:
        raise ValueError(f"driver {entry.driver} is not known to this version")
    return entry


def _beside(file: Path, kind: type[R], skipped: list[Skipped]) -> R | None:
    """What stands beside a recommended.json; None where it is not there, or skipped."""
    if os.path.lexists(file):
        try:
            return read_record(kind, file, _AGAIN)
        except BadInput as error:
            cause = error.cause.removeprefix(f"{file} ")
            skipped.append(Skipped(path=str(file), cause=cause, remedy=error.remedy))
    return None


def _utc(moment: str) -> str:
    found = datetime.fromisoformat(moment)
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
