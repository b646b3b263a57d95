"""What a folder holds before a measurement: trials that still count, and records of former ones.

DIR/before/<when it was made>/ is a record: what was known of the targets that `--again` measured
anew. It is made once and never written again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from poolkit import files, units
from poolkit.errors import BadInput
from poolkit.measure.resume import is_of_question
from poolkit.measure.store import reason
from poolkit.records import Trial, in_bounds
from poolkit.review.kept import date_of, named, place, records
from poolkit.review.manifest import read_manifest
from poolkit.review.outcome import trial_log
from poolkit.targets import Target
from poolkit.targets.objective import Objective

BEFORE = "before"
GO_ON = "leave --again out to go on from the trials that are finished: with it all is measured anew"
# Whatever version wrote the trial.
_STARTED = re.compile(rb'"started": ?"([^"]+)"')
# What a measurement of a target writes of it alone, and what stands there of all of them.
_OF_TARGET = (".trials.jsonl", ".sizing.json")
_OF_ALL = re.compile(
    r"recommended\.(json|csv|md)|pools\.py|review\.ipynb|report\.(html|pdf)"
    r"|(manifest|since|history)\.json"
)


# -- trials that still count ----------------------------------------------------------------------


def check_trials(out: Path, target: Target) -> str:
    """Which trials in the folder still count where targets.toml changed since, as a sentence.

    Empty where all do and nothing changed, or where there are none.

    Raises:
        BadInput: none does, since they were measured with other settings of the load; or the file
            is not readable.
    """
    trials = trial_log(out, target).read()
    if not trials:
        return ""
    if any(trial.purpose == "production" for trial in trials):
        raise BadInput(
            f"{target.name}: the folder holds what production told of it (poolkit observe)",
            f"choose another --out, or measure anew with --again, which keeps it in {BEFORE}/",
        )
    before = _settings_before(out, target.name)
    changed = changed_keys(before, target)
    if any(trial.fingerprint != target.fingerprint for trial in trials):
        load = of_load(changed)
        why = f"{units.listed(load)} changed"
        if not load:
            part = f"a part of the {_address(target)} that is written nowhere"
            why = f"{part} changed" if before else "they were measured with other settings"
        raise BadInput(
            f"{target.name}: none of its {units.plural(len(trials), 'trial')} counts: {why}",
            f"measure again (--again), which keeps them in {BEFORE}/, or choose another --out",
        )
    return still_counting(trials, target, changed)


def still_counting(trials: Sequence[Trial], objective: Objective, changed: Sequence[str]) -> str:
    """How many trials count after these keys changed, none of which shapes the load; may be empty.

    Those that a brake ended are measured again in any case and are not spoken of.
    """
    finished = [trial for trial in trials if trial.stopped is None]
    kept = [trial for trial in finished if is_of_question(trial, objective)]
    if not finished or not (changed or len(kept) < len(finished)):
        return ""
    count = f"{len(kept)} of {units.plural(len(finished), 'trial')} still count"
    why = f"{units.listed(list(changed))} changed, the load did not" if changed else ""
    rest = "the others tried a size at another rate" if len(kept) < len(finished) else ""
    return f"{count}: {'; '.join(words for words in (why, rest) if words)}"


def changed_keys(before: Mapping[str, Any] | None, target: Target) -> list[str]:
    """The keys of targets.toml whose public values are not those of a manifest; [] without one.

    A secret part of an address or a body shows by its hash at most, so not every change has a key.
    """
    if before is None:
        return []
    # As a manifest holds them: printable.
    now = in_bounds(json.loads(json.dumps(target.public_settings())))
    keys = [key for key in dict.fromkeys((*now, *before)) if now.get(key) != before.get(key)]
    return [_address(target) if key == "endpoint" else key for key in keys]


def other_load(folder: Path, target: Target) -> str:
    """Why figures in a folder may not compare with the target's as it is now; empty: they may."""
    changed = of_load(changed_keys(_settings_before(folder, target.name), target))
    if not changed:
        return ""
    return f"{target.name} was sent other calls then: {units.listed(changed)} changed"


def of_load(keys: Iterable[str]) -> list[str]:
    """Those of the keys that shape the load, and not only what is asked."""
    return [key for key in keys if key not in Objective.model_fields]


def _address(target: Target) -> str:
    """The key that says where calls go."""
    return ("urls" if target.urls else "url") if target.is_http else "dsn"


def _settings_before(out: Path, name: str) -> Mapping[str, Any] | None:
    """What the manifest of the folder says of a target; None where it says nothing."""
    with suppress(BadInput):
        return read_manifest(out).targets.get(name)
    return None


# -- records --------------------------------------------------------------------------------------


def set_aside(out: Path, names: Iterable[str]) -> Path | None:
    """Move what was measured of these targets to a record below `out`, and return its folder.

    Files that are of all targets are copied, since they may speak of others. None where there is
    nothing to keep.

    Raises:
        PoolkitError: the folder cannot be written.
    """
    theirs = [
        file for name in names for end in _OF_TARGET if (file := out / f"{name}{end}").exists()
    ]
    if not theirs:
        return None
    try:
        record = _new_record(out, theirs)
        for path in out.iterdir():
            if _OF_ALL.fullmatch(path.name) and path.is_file():
                shutil.copy2(path, record)
        # Last: where this is cut off, the trials are still found by the next command.
        for file in sorted(theirs):
            file.rename(record / file.name)
    except OSError as error:
        raise BadInput(
            f"the former trials cannot be moved to {out / BEFORE}: {reason(error)}",
            "choose another --out, where everything is measured anew, too",
        ) from error
    return record


def records_of(out: Path, names: Iterable[str]) -> dict[str, Path]:
    """Target -> the record that holds the latest of its former trials; those that have one."""
    kept = records(out / BEFORE)
    found = {
        name: [record for record in kept if (record / f"{name}{_OF_TARGET[0]}").is_file()]
        for name in names
    }
    return {name: held[-1] for name, held in found.items() if held}


def _new_record(out: Path, theirs: Sequence[Path]) -> Path:
    """An empty folder below `out`, named by when the latest of the trials began.

    After the records that are there, also where the clock was set back since.
    """
    began = [moment for file in theirs for moment in _STARTED.findall(files.content(file))]
    date, number = date_of(max(began, default=b"").decode()), 1
    if (former := records(out / BEFORE)) and place(former[-1]) >= (date, number):
        date, number = place(former[-1])
        number += 1
    record = out / BEFORE / named(date, number)
    record.mkdir(parents=True)
    return record
