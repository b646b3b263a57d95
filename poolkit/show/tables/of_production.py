"""What a service's own metrics told, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.records import (
    Averaged,
    FromProduction,
    NextDay,
    Recommendation,
    Scenario,
    WaitShare,
)
from poolkit.show import trust, words
from poolkit.show.tables.table import Column, Columns, Number, Table
from poolkit.units import NONE, milliseconds, rate, share


def todays_waits(found: FromProduction) -> Table:
    """Shares of calls that wait in production: counted, and as the model says."""
    columns: Columns[WaitShare] = (
        Column("waits longer than", lambda row: milliseconds(row.longer_than)),
        Number("counted", lambda row: share(row.counted, 2)),
        Number("predicted", lambda row: share(row.predicted, 2)),
    )
    size = found.today.pool_size
    caption = "Today's waits" + ("" if size is None else f" with {size} connections in each pool")
    rows = [row for row in found.today.shares if max(row.counted, row.predicted) >= 5e-5]
    return Table.of(caption, columns, rows or found.today.shares[:1])


def observed(recommendations: Sequence[Recommendation]) -> Table:
    """The answer from production in 80 columns: size, what there is now, and what it is worth."""
    columns: Columns[Recommendation] = (
        Column("target", lambda r: r.target),
        Number("size", words.size),
        Number("now", size_now),
        Column("today's waits", lambda r: trust.told_today(_of(r)).lower()),
        Number("rate asked", lambda r: rate(r.target_rate)),
        Number("busiest", busiest),
    )
    caption = "Connections in each pool: from production, no load was sent"
    return Table.of(caption, columns, recommendations)


def are_observed(recommendations: Sequence[Recommendation]) -> bool:
    """Whether all are from production alone, so that nothing was carried by the size."""
    alone = [r.production is not None and r.verification is None for r in recommendations]
    return bool(alone) and all(alone)


def size_now(recommendation: Recommendation) -> str:
    """The size that production has."""
    found = _of(recommendation).size_now
    return NONE if found is None else str(found)


def busiest(recommendation: Recommendation) -> str:
    """The rate of the busiest window, where calls are counted."""
    return rate(_of(recommendation).peak_rate or None)


def _of(recommendation: Recommendation) -> FromProduction:
    assert recommendation.production is not None, "the caller asks"
    return recommendation.production


def next_day(found: FromProduction) -> Table:
    """The p99 wait of a day like the one seen."""
    columns: Columns[NextDay] = (
        Number("connections in each pool", lambda row: str(row.pool_size)),
        Number("p99 wait of the next day", lambda row: milliseconds(row.wait_p99)),
        Number("95 % between", _between),
    )
    return Table.of("The next day, if it is like the one seen", columns, found.next_day)


def _between(row: NextDay) -> str:
    ends = row.wait_p99_interval95
    return "without bound" if ends is None else " and ".join(map(milliseconds, ends))


def scenarios(found: FromProduction) -> Table:
    """What one pool needs if something were different; what several rows advise stands once."""
    why = dict(zip(found.scenarios, _reasons(found), strict=True))
    columns = (*_SCENARIO, Column[Scenario]("because", why.__getitem__))
    return Table.of(_NEEDS, columns, found.scenarios)


def scenarios_in_short(found: FromProduction) -> tuple[Table, list[str]]:
    """The same as a table that a terminal has room for, and a line for each reason."""
    names = (row.name for row in found.scenarios)
    lines = [f"{name}: {why}" for name, why in zip(names, _reasons(found), strict=True)]
    return Table.of(_NEEDS, _SCENARIO, found.scenarios), lines


_NEEDS = "What one pool needs"
_SCENARIO: Columns[Scenario] = (
    Column("if", lambda row: row.name),
    Number("rate", lambda row: rate(row.rate)),
    Number("size", lambda row: NONE if row.size is None else str(row.size)),
)


def _reasons(found: FromProduction) -> list[str]:
    """Why each needs what it does; advice that was given before is not repeated."""
    advised: set[str] = set()
    reasons = []
    for row in found.scenarios:
        said, _, advice = row.because.rpartition("; ")
        is_known = said and advice in advised
        reasons.append(f"{said}; what to do: as above" if is_known else row.because)
        advised.add(advice)
    return reasons


def averages(found: Averaged) -> Table:
    """What averages tell of a pool, and what they do not."""
    known = (
        ("rate", rate, found.rate),
        ("hold time", milliseconds, found.hold_time),
        ("connections in use", units.number, found.offered_load),
        ("in the busiest window", units.number, found.highest_load),
        ("utilisation", share, found.utilisation),
        ("wait", milliseconds, found.wait),
        ("wait by Erlang's formula", milliseconds, found.wait_predicted),
        ("wait of those that waited", milliseconds, found.wait_of_waiting),
        ("timeouts", units.number, found.timeouts),
    )
    rows = [(name, write(value)) for name, write, value in known if value is not None]
    rows += [("rests on", text) for text in found.assumes]
    rows += [("not told", text) for text in found.refuses]
    columns: Columns[tuple[str, str]] = (
        Column("what", lambda row: row[0]),
        Column("told", lambda row: row[1]),
    )
    return Table.of(f"From averages of {found.preset}", columns, rows)
