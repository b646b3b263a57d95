"""What goes to disk: trials one line at a time, and everything else whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from poolkit import files
from poolkit.analysis.disturbed import settled
from poolkit.errors import BadInput, BrakeStop
from poolkit.records import Record, Trial
from poolkit.redact import printable

R = TypeVar("R", bound=Record)
LONGEST_MISTAKE = 200  # characters
LEAST_ROOM = 65_536  # bytes; a short run's results
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WRITTEN = re.compile(
    r"[\w.-]+\.(trials\.jsonl|sizing\.json|probe\.json)"
    r"|recommended\.(json|csv|md)|pools\.py|review\.ipynb|report\.(html|pdf)"
    r"|manifest\.json|since\.json|history\.json|service\.json|targets\.toml|\..+\.\d+\.tmp"
)


def now() -> str:
    """The moment as the files carry it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def prepare_out(path: Path) -> Path:
    """Make sure that files can be written to the folder `path`, and return it.

    Raises:
        BadInput: it is a file, or cannot be created or written, or has no room.
    """
    try:
        if path.exists() and not path.is_dir():
            raise BadInput(f"--out {path} is a file", "name a folder that may be created")
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".poolkit-{os.getpid()}.tmp"
        try:
            with open(probe, "wb", opener=files.not_through_a_link) as file:
                file.write(bytes(LEAST_ROOM))
                file.flush()
                os.fsync(file.fileno())  # some file systems find out no sooner
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            f"--out {path} cannot be written: {reason(error)}",
            "free some space, or choose another folder"
            if error.errno in _NO_ROOM
            else "choose a folder that you may write to",
        ) from error
    return path


def write_atomic(path: Path, text: str) -> None:
    """Replace the file in one step: whoever reads it sees the old text or the new one, never half.

    Whatever the text is, the file is printable.

    Raises:
        BrakeStop: the disk is full or the folder went away; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(
            temporary, "w", encoding="utf-8", newline="\n", opener=files.not_through_a_link
        ) as file:
            file.write(printable(text))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _disk_stop(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_anew(out: Path, mark: str, command: str) -> bool:
    """Empty `out` of what an earlier run of `command` wrote there, and return whether it had.

    The file `mark` tells whose folder it is.

    Raises:
        BadInput: the folder holds something and has no mark, or it cannot be written.
    """
    is_another = False
    with contextlib.suppress(OSError):  # which `prepare_out` tells
        is_another = out.is_dir() and not (out / mark).is_file() and any(out.iterdir())
    if is_another:
        raise BadInput(
            f"--out {out} is not empty and was not made by {command}",
            "name a folder that does not exist yet: nothing of yours is overwritten",
        )
    prepare_out(out)
    former = [
        path
        for path in out.iterdir()
        if _WRITTEN.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    ]
    for path in former:
        path.unlink()
    write_atomic(out / mark, f"This folder is emptied by each {command}.\n")
    return bool(former)


class TrialLog:
    """NAME.trials.jsonl: one finished trial a line, only ever appended to.

    A line counts once its line end is on disk. What a killed process left after the last line end
    is no trial: reading skips it, and the next append cuts it off. `path` exists from the first
    append on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, trial: Trial) -> None:
        """Put the trial on disk before returning.

        Raises:
            BrakeStop: the disk is full or the folder went away; earlier trials are kept.
        """
        line = trial.model_dump_json().encode() + b"\n"
        try:
            with open(self.path, "a+b", opener=files.not_through_a_link) as file:
                size = os.fstat(file.fileno()).st_size
                whole = os.pread(file.fileno(), size, 0).rfind(b"\n") + 1
                if whole < size:
                    file.truncate(whole)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _disk_stop(self.path, error) from error

    def read(self) -> list[Trial]:
        """Every whole trial in the order of writing, disturbed ones marked; empty without a file.

        Raises:
            BadInput: a whole line is not a trial of this version, or the file cannot be read.
        """
        try:
            content = files.content(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(f"cannot be read: {reason(error)}") from error
        *lines, _torn = content.split(b"\n")
        return settled(self._parsed(line, number) for number, line in enumerate(lines, start=1))

    def resume(self, fingerprint: str) -> list[Trial]:
        """The trials to go on from, all measured with these settings of the target.

        Raises:
            BadInput: a trial was measured with other settings, so the two cannot share a curve.
        """
        if self.path.is_symlink():
            raise self._unusable("is a link, and no other file than this is written to")
        trials = self.read()
        if any(trial.fingerprint != fingerprint for trial in trials):
            raise self._unusable("was measured with other settings of this target")
        return trials

    def _unusable(self, why: str) -> BadInput:
        name = self.path.name
        return BadInput(f"{name} {why}", f"choose another --out, or delete {name}")

    def _parsed(self, line: bytes, number: int) -> Trial:
        try:
            return Trial.model_validate_json(line)
        except ValidationError as error:
            raise self._unusable(f"line {number} is not a trial: {mistake(error)}") from error


def _disk_stop(path: Path, error: OSError) -> BrakeStop:
    return BrakeStop(
        "disk",
        f"{path.name} could not be written: {reason(error)}",
        "free some space; the same command resumes from the finished trials",
    )


def reason(error: OSError) -> str:
    """The system's reason for a failed read or write, without the path."""
    return error.strerror or type(error).__name__


def read_record(kind: type[R], file: Path, remedy: str) -> R:
    """The record in a file; BadInput, with this remedy, where it cannot be read or is none."""
    try:
        return kind.model_validate_json(files.content(file))
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {reason(error)}", remedy) from error
    except ValidationError as error:
        document = kind.model_fields.get("schema_")
        name = f"a {document.default} document" if document else "of this version"
        raise BadInput(f"{file} is not {name}: {mistake(error)}", remedy) from error


def mistake(error: ValidationError) -> str:
    """The first mistake in a file, by its place; what stands there is not shown, for it may be
    anything."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    told = f"{where}: {first['msg']}" if where else first["msg"]
    return told if len(told) <= LONGEST_MISTAKE else f"{told[:LONGEST_MISTAKE]}..."
