"""From metrics to a folder: what production told is written, then verified where asked, and kept.

A record of it stands with others of its kind: a size from production and one from load are not
compared, so reviews are kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poolkit.errors import PoolkitError
from poolkit.events import Recommended, Watcher
from poolkit.measure.child import Order
from poolkit.measure.store import write_atomic
from poolkit.observe.run import Observation, check_out, observe, write
from poolkit.records import RecommendedFile
from poolkit.review import verifying
from poolkit.review.adding import add_results, read_entries, renew_manifest
from poolkit.review.export import read_recommended
from poolkit.review.history import HISTORY_FILE, read_history
from poolkit.review.kept import check_store, keep, place, records
from poolkit.review.run import SINCE, with_records
from poolkit.targets import Target

OBSERVATIONS = Path("data/observations")  # of the working folder


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be observed, all of it checked.

    Attributes:
        seconds: to read back, or to look for.
        out: folder of the results.
        store: of the records.
        order: of the verification; None: nothing is sent to the target.
    """

    target: Target
    seconds: float
    out: Path
    store: Path
    order: Order | None = None

    @classmethod
    def of(cls, target: Target, seconds: float, out: Path, store: Path, load: Path | None) -> Asked:
        """Check all of it before anything is asked.

        Args:
            load: targets.toml, where the size is to be verified under load; else None.

        Raises:
            BadInput: a folder holds something else, or the load could not be sent.
        """
        # Nothing above the target rate is sent.
        order = None if load is None else Order("size", target.name, load, out, push=False)
        if order is not None:
            verifying.check(target, order)
        check_store(store)
        read_entries(out)
        check_out(out, target.name)
        return cls(target, seconds, out, store, order)


def observe_into(asked: Asked, watcher: Watcher, created: str) -> Observation:
    """Observe the target, verify its size where that is asked, write the folder, keep a record.

    Args:
        created: now, ISO 8601, UTC.

    Raises:
        BadInput: the metrics cannot be read, or tell too little.
        BrakeStop: the folder cannot be written.
    """
    order = asked.order
    with watcher.measuring(asked.target.name):
        found = observe(asked.target, asked.seconds, watcher.see)
        _put(asked, found, created)  # before any load: whatever becomes of that, this stays
        if order is None:
            _finish(asked, found, created, watcher)
    if order is not None:
        found = verifying.verified(asked.target, found, order, watcher)
        _put(asked, found, created)
        _finish(asked, found, created, watcher)
    return found


def _put(asked: Asked, found: Observation, created: str) -> None:
    known = {asked.target.name: asked.target}
    write(asked.out, found)
    add_results(asked.out, [found.recommendation], known, command="observe", created=created)


def _tell_past(asked: Asked, created: str, record: Path, watcher: Watcher) -> None:
    """Write for the report what changed since the record before, and the trend."""
    seen = [one for one in read_recommended(asked.out).targets if one.source == "production"]
    later = RecommendedFile(created=created, targets=tuple(seen))
    before = [one for one in records(asked.store) if place(one) < place(record)]
    known = {asked.target.name: asked.target}
    if (changed := with_records(asked.out, later, known, before)) is not None:
        write_atomic(asked.out / SINCE, changed.model_dump_json(indent=2) + "\n")
    told = read_history([asked.out, asked.store], [one.target for one in seen])
    for one in told.skipped:
        watcher.say(f"skipped {one.path}: {one.cause}; {one.remedy}")
    if told.reviews > 1:
        write_atomic(asked.out / HISTORY_FILE, told.model_dump_json(indent=2) + "\n")
    renew_manifest(asked.out, created)


def _finish(asked: Asked, found: Observation, created: str, watcher: Watcher) -> None:
    """Keep a record, whose failure takes nothing from what was found, and say the final word."""
    try:
        if kept := keep(asked.out, [found.recommendation], created, asked.store):
            watcher.say(f"what production told is kept in {kept.record}")
            _tell_past(asked, created, kept.record, watcher)
    except PoolkitError as error:
        watcher.say(f"{error.cause}; {error.remedy}")
    watcher.see(Recommended(recommendation=found.recommendation))
