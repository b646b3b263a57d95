"""When the size of each target runs out, as a table."""

from __future__ import annotations

from collections.abc import Mapping

from poolkit.analysis.forecast import Forecast
from poolkit.analysis.outlook import Outlook
from poolkit.show import outlook as words
from poolkit.show.tables.table import Column, Columns, Number, Table
from poolkit.show.words import pool_phrase
from poolkit.units import NONE, rate, share

Row = tuple[str, Outlook]


def outlooks(found: Mapping[str, Outlook]) -> Table:
    """One row a target, by its name."""
    columns: Columns[Row] = (
        Column("target", lambda row: row[0]),
        Column("size", lambda row: pool_phrase(row[1].pool_size, row[1].pools)),
        Number("last peak", lambda row: rate(row[1].demand.rates[-1])),
        Column("runs out", lambda row: words.runs_out(row[1])),
        Column("the size will do until", _valid),
        Number("past forecasts held", _held),
    )
    return Table.of("When the size runs out", columns, found.items())


def _valid(row: Row) -> str:
    until = words.valid_until(row[1])
    return NONE if until is None else until.isoformat()


def _held(row: Row) -> str:
    found = row[1].forecast
    if not isinstance(found, Forecast):
        return NONE
    return f"{share(found.coverage)} ({share(found.nominal)} meant)"
