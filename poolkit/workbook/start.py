"""The first notebook's tables: what a source offers, and whether this machine is fit to measure."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import doctor
from poolkit.lab.catalogue import CATALOGUE, LabTarget
from poolkit.panels.sources import LabSource, RecordedSource, Source
from poolkit.records import Check
from poolkit.report.source import RECORDED, shared
from poolkit.review.manifest import HostFacts, read_manifest
from poolkit.show.tables import Table
from poolkit.show.tables.table import passed
from poolkit.targets import load_targets
from poolkit.targets.objective import Objective
from poolkit.units import NONE, milliseconds, rate


def targets(source: Source) -> Table:
    """Every target of the source: its library, where it is, and what is asked of it."""
    about = ("target", "client library", "where")
    columns = (*about, "rate to sustain", "longest p99 wait", "most connections")
    rows = tuple(_target(source, name) for name in source.names)
    return Table(f"Targets of this source: {_named(source)}", columns, rows, frozenset({3, 4, 5}))


def _named(source: Source) -> str:
    if isinstance(source, LabSource):
        return "the embedded lab, measured when a notebook asks"
    if isinstance(source, RecordedSource):
        return "recordings, nothing is sent"
    return "your own targets.toml"


def _target(source: Source, name: str) -> tuple[str, ...]:
    recording = source.recording(name)
    asked: LabTarget | Objective
    if isinstance(source, LabSource):
        asked, where = CATALOGUE[name], "this machine"
    elif recording is not None:
        asked, where = recording.settings, "recorded"
    else:
        asked = target = load_targets(source.targets_file(name), (name,))[name]
        where = target.endpoint
    figures = (rate(asked.target_rate), milliseconds(asked.wait_p99), str(asked.max_size))
    return (name, source.drivers[name], where, *figures)


def fitness(source: Source) -> Table:
    """Whether this machine is fit to measure; for recordings, the machine that they are of."""
    if isinstance(source, RecordedSource):
        manifest = read_manifest(shared(RECORDED))
        found = recorded_checks(manifest.host, manifest.versions.get("python", ""))
        return _checks("The machine that was recorded", found)
    return _checks("This machine", doctor.examine())


def recorded_checks(host: HostFacts, python: str) -> tuple[Check, ...]:
    """Those checks of the doctor that a manifest can answer."""
    version = [int(part) for part in python.split(".") if part.isdigit()]
    return (doctor.python_check(version, "Python"), doctor.cores_check(host.cores))


def _checks(caption: str, found: Sequence[Check]) -> Table:
    ordered = sorted(found, key=lambda check: check.passed)
    rows = tuple(
        (c.name.replace("_", " "), passed(c.passed), c.seen, NONE if c.passed else c.next)
        for c in ordered
    )
    return Table(caption, ("check", "outcome", "seen", "what to do"), rows)
