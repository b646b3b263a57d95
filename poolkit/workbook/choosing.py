"""Which targets a lesson is about where its parameters name none."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from poolkit.drivers.table import DATABASE_DRIVERS, HTTP_DRIVERS
from poolkit.panels.sources import LabSource, RecordedSource, Source, read_source
from poolkit.report.source import RECORDED, shared
from poolkit.workbook.measuring import line

_KINDS: tuple[tuple[str, ...], ...] = (HTTP_DRIVERS, DATABASE_DRIVERS)


def one_of_each(source: Source | None = None) -> tuple[str, ...]:
    """The first HTTP target and the first database target of the source, as far as it has them."""
    source = read_source() if source is None else source
    firsts = (first(source, drivers) for drivers in _KINDS)
    return tuple(name for name in firsts if name is not None)


def database(target: str = "", source: Source | None = None) -> tuple[str, Source]:
    """The database target that is named, or the first, and the source that has it.

    Where the source has none it is the lab's own, which a line below the cell says.
    """
    source = read_source() if source is None else source
    found = target or first(source, DATABASE_DRIVERS)
    if found is not None:
        return found, source
    lab: Source = LabSource() if source.is_live else RecordedSource(shared(RECORDED))
    taken = first(lab, DATABASE_DRIVERS)
    assert taken is not None
    said = f"There is no database among {', '.join(source.names) or 'your targets'}: "
    line()(f"<p>{escape(said)}what follows is about {taken}, the lab's own.</p>")
    return taken, lab


def first(source: Source, drivers: Sequence[str]) -> str | None:
    """The source's first target with one of these client libraries."""
    return next((name for name in source.names if source.driver(name) in drivers), None)
