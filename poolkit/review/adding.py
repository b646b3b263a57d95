"""Results of targets, added to a folder that holds those of others: none of theirs is lost.

What is there is read before any load is sent, and again under a lock when the result is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from poolkit.drivers.table import DRIVERS
from poolkit.errors import BadInput, BrakeStop
from poolkit.measure.store import read_record, reason
from poolkit.records import Moment, Recommendation, RecommendedFile, Record
from poolkit.review.export import (
    RECOMMENDED,
    Foreign,
    not_readable,
    not_understood,
    read_recommended,
    write_recommended,
)
from poolkit.review.manifest import parameters_of, read_manifest, write_manifest
from poolkit.targets import Target

LOCK = ".poolkit.lock"
PATIENCE = 30.0  # s; the files of a folder are written in far less
POLL = 0.02  # s


class Entries(NamedTuple):
    """What recommended.json holds, by the name of the target, and what only others understand."""

    known: dict[str, Recommendation]
    foreign: tuple[Foreign, ...] = ()
    created: str = ""


class _AnyFile(Record):
    """recommended.json, whoever wrote its entries."""

    schema_: Literal["poolkit.recommended/2"] = Field("poolkit.recommended/2", alias="schema")
    created: Moment
    targets: tuple[dict[str, Any], ...]


def read_entries(
    out: Path, judge: Callable[[Recommendation, str], str] = not_understood
) -> Entries:
    """The entries of the folder's recommended.json; none where there is no such file.

    Args:
        judge: why an entry of a file of that date is foreign; empty: it is not.

    Raises:
        BadInput: there is one, and it is not understood.
    """
    file = out / RECOMMENDED
    if not os.path.lexists(file):
        return Entries({})
    remedy = "move it away, or choose another --out: what it holds would be lost"
    known: dict[str, Recommendation] = {}
    foreign = []
    written = read_record(_AnyFile, file, remedy)
    for raw in written.targets:
        try:
            entry = Recommendation.model_validate(raw, strict=False)
        except ValidationError:
            name = raw.get("target")
            name = name if isinstance(name, str) else "an entry without a name"
            foreign.append(Foreign(name, "another version wrote it", raw))
            continue
        if why := judge(entry, written.created):
            foreign.append(Foreign(entry.target, why, raw))
        else:
            known[entry.target] = entry
    return Entries(known, tuple(foreign), written.created)


def read_known(out: Path) -> RecommendedFile:
    """The results of a review's folder that this version can show.

    Raises:
        BadInput: there is no recommended.json, or it is not understood, or no entry of it is.
    """
    with contextlib.suppress(BadInput):  # its remedy is for who writes there
        if (entries := read_entries(out, not_readable)).known:
            return RecommendedFile(created=entries.created, targets=tuple(entries.known.values()))
    return read_recommended(out)


class Address(NamedTuple):
    """Where the calls of a target go that was measured before, as the manifest still says it."""

    name: str
    is_http: bool
    endpoint: str
    dsn_env: str | None


class Added(NamedTuple):
    """The files that were written, and the targets whose former results stay in them."""

    files: tuple[Path, ...]
    kept: tuple[str, ...] = ()


def add_results(
    out: Path,
    found: Sequence[Recommendation],
    targets: Mapping[str, Target],
    *,
    command: str = "size",
    budget: float | None = None,
    seed: int | None = None,
    created: str | None = None,
) -> Added:
    """Put results in place of their targets' former ones; those of others stay.

    A finished result is not given up for an attempt that found none.

    Args:
        targets: those that were measured, by name, as far as they are known.
        created: ISO 8601, UTC; now by default.

    Raises:
        BrakeStop: what the folder holds by now is not understood, it cannot be written, or another
            process does not stop writing there.
    """
    with only_writer(out):
        try:
            entries = read_entries(out)
        except BadInput as error:  # it was read before the load: somebody wrote it since
            raise BrakeStop("disk", error.cause, error.remedy) from error
        settings, variables = _known_settings(out)
        kept = tuple(r.target for r in found if _outlives(entries.known.get(r.target), r))
        new = {r.target: r for r in found if r.target not in kept}
        is_found = {name for name, r in new.items() if r.status == "done"}
        foreign = [each for each in entries.foreign if each.target not in is_found]
        for name in (name for name in new if name in targets):
            settings[name] = targets[name].public_settings()
            variables.pop(name, None)
            if variable := targets[name].dsn_env:
                variables[name] = variable
        addresses = _addresses(settings, variables)
        results = _placed(entries.known, new)
        files = write_recommended(out, results, addresses, created=created, foreign=foreign)
        write_manifest(out, parameters_of(command, budget, seed, settings, variables), created)
    return Added(files, kept)


def renew_manifest(out: Path, created: str) -> None:
    """Write the manifest of the folder once more, over files that were made since."""
    with only_writer(out):
        write_manifest(out, read_manifest(out).parameters, created)


def _outlives(former: Recommendation | None, found: Recommendation) -> bool:
    return former is not None and former.status == "done" and found.status != "done"


def _placed(
    known: Mapping[str, Recommendation], new: Mapping[str, Recommendation]
) -> tuple[Recommendation, ...]:
    """The new ones in their order, where the first of them stood, or behind the others."""
    others = [entry for name, entry in known.items() if name not in new]
    names = list(known)
    first = min((names.index(name) for name in new if name in known), default=len(names))
    return (*others[:first], *new.values(), *others[first:])


def _known_settings(out: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What the manifest says of the targets, and the variables of their DSNs."""
    with contextlib.suppress(BadInput):  # there is none yet, or it is not readable
        manifest = read_manifest(out)
        return manifest.targets, manifest.variables
    return {}, {}


def _addresses(settings: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[Address, ...]:
    """Where calls go, of every target whose settings tell."""
    return tuple(
        Address(name, DRIVERS[driver].kind == "http", endpoint, variables.get(name))
        for name, one in settings.items()
        if isinstance(driver := one.get("driver"), str)
        and driver in DRIVERS
        and isinstance(endpoint := one.get("endpoint"), str)
    )


@contextlib.contextmanager
def only_writer(out: Path, patience: float = PATIENCE) -> Iterator[None]:
    """While it lasts no other process that asks for the same writes to the files of all targets.

    Args:
        patience: s to wait for one that writes.

    Raises:
        BrakeStop: the other did not end in time, or the folder cannot be written.
    """
    end = time.monotonic() + patience
    remedy = "the same command goes on from the finished trials"
    try:
        lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise BrakeStop("disk", f"{LOCK} cannot be made: {reason(error)}", remedy) from error
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    seen = f"another poolkit has been writing to {out} for {patience:g} s"
                    raise BrakeStop("disk", seen, f"see what it does; {remedy}") from None
                time.sleep(POLL)
            except OSError as error:
                seen = f"{LOCK} cannot be locked: {reason(error)}"
                raise BrakeStop("disk", seen, remedy) from error
        yield
    finally:
        os.close(lock)
