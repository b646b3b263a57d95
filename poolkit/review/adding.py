"""A target's result, added to a folder that holds those of others: none of theirs is lost.

What is there is read before any load is sent, and again under a lock when the result is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from poolkit.errors import BadInput, BrakeStop
from poolkit.measure.store import read_record, reason
from poolkit.records import Moment, Recommendation, Record
from poolkit.review.export import RECOMMENDED, Foreign, not_understood, write_recommended
from poolkit.review.manifest import parameters_of, read_manifest, write_manifest
from poolkit.targets import Target

LOCK = ".poolkit.lock"
PATIENCE = 30.0  # s; the files of a folder are written in far less
POLL = 0.02  # s


class Entries(NamedTuple):
    """What recommended.json holds, by the name of the target, and what only others understand."""

    known: dict[str, Recommendation]
    foreign: tuple[Foreign, ...] = ()


class _AnyFile(Record):
    """recommended.json, whoever wrote its entries."""

    schema_: Literal["poolkit.recommended/2"] = Field("poolkit.recommended/2", alias="schema")
    created: Moment
    targets: tuple[dict[str, Any], ...]


def read_entries(out: Path) -> Entries:
    """The entries of the folder's recommended.json; none where there is no such file.

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
        if why := not_understood(entry, written.created):
            foreign.append(Foreign(entry.target, why, raw))
        else:
            known[entry.target] = entry
    return Entries(known, tuple(foreign))


def add_result(
    out: Path,
    recommendation: Recommendation,
    target: Target | None,
    *,
    budget: float | None = None,
    seed: int | None = None,
) -> tuple[Path, ...]:
    """Put a result in place of the target's former one, and return the files; others stay.

    A finished result is not given up for an attempt that found none: then nothing is written.

    Raises:
        BadInput: what the folder holds by now is not understood.
        BrakeStop: the folder cannot be written, or another process does not stop writing there.
    """
    with only_writer(out):
        entries, settings = read_entries(out), dict[str, Any]()
        with contextlib.suppress(BadInput):  # there is none yet, or it is not readable
            settings = read_manifest(out).targets
        name = recommendation.target
        former = entries.known.get(name)
        is_found = recommendation.status == "done"
        if former is not None and former.status == "done" and not is_found:
            return ()
        found = {**entries.known, name: recommendation}
        foreign = [each for each in entries.foreign if each.target != name or not is_found]
        targets = () if target is None else (target,)
        paths = write_recommended(out, tuple(found.values()), targets, foreign=foreign)
        if target is not None:
            settings[name] = target.public_settings()
        write_manifest(out, parameters_of("size", budget, seed, settings))
    return paths


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
