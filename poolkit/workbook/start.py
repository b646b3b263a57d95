"""The first notebook's tables: what a source offers, and whether this machine is fit to measure."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import doctor
from poolkit.lab.catalogue import CATALOGUE
from poolkit.panels.sources import LabSource, RecordedSource, Source
from poolkit.records import Check
from poolkit.report.source import RECORDED, shared
from poolkit.review.manifest import HostFacts, read_manifest
from poolkit.show.tables import Table
from poolkit.show.tables.table import passed
from poolkit.targets import load_targets
from poolkit.targets.together import DEFAULT_SIZES
from poolkit.units import NONE, milliseconds, rate


def targets(source: Source) -> Table:
    """Every target of the source: its library, where it is, and what is asked of it."""
    columns = (
        "target",
        "client library",
        "where",
        "rate to sustain",
        "longest p99 wait",
        "most connections",
    )
    rows = tuple(_target(source, name) for name in source.names)
    return Table(f"Targets of this source: {_named(source)}", columns, rows, frozenset({3, 4, 5}))


def _named(source: Source) -> str:
    if isinstance(source, LabSource):
        return "the embedded lab, measured when a notebook asks"
    if isinstance(source, RecordedSource):
        return "recordings, nothing is sent"
    return "your own targets.toml"


def _target(source: Source, name: str) -> tuple[str, ...]:
    if isinstance(source, LabSource):
        lab = CATALOGUE[name]
        asked = (rate(lab.target_rate), milliseconds(lab.wait_p99), str(lab.max_size))
        return (name, lab.driver, "this machine", *asked)
    kept = source.recording(name)
    if kept is not None:
        s, driver = kept.settings, kept.recommendation.driver
        most = s.max_size or DEFAULT_SIZES["max_size"]
        return (name, driver, "recorded", rate(s.target_rate), milliseconds(s.wait_p99), str(most))
    target = load_targets(source.targets_file(name), (name,))[name]
    return (
        name,
        target.driver,
        target.endpoint,
        rate(target.target_rate),
        milliseconds(target.wait_p99),
        str(target.max_size),
    )


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
