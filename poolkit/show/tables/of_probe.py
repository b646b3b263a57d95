"""What a probe found, as tables for the terminal, the notebooks and the report."""

from __future__ import annotations

from poolkit import units
from poolkit.drivers.parameters.findings import Cost, Costs, Proof, ProofRun
from poolkit.probes.records import Probe, StaleCount
from poolkit.records import Parameter
from poolkit.show import words
from poolkit.show.tables.table import Column, Columns, Number, Table

_SESSIONS = {
    "idle": "idle connection",
    "in_transaction": "idle in a transaction",
    "behind_pooler": "idle behind the pooler",
}
# It replaces by age alone: in calls that come right after the cut it would find the dead ones.
RECYCLED = "recycle (after a pause)"
_CUTS = {"restart": "the server went down", "drop": "dropped in silence"}


def tables_of_probe(probe: Probe) -> tuple[Table, ...]:
    """Every table that the probe has rows for, in the order in which they are read."""
    found = [limits(probe), proof(probe.proof), costs(probe.costs), stale(probe), parameters(probe)]
    return tuple(table for table in found if table)


def limits(probe: Probe) -> Table:
    """What ends a connection: silence, the number of requests, age; and a changed record."""
    rows = []
    for limit in probe.idle:
        ends = "at random"
        if limit.kind != "random":
            ends = _seconds(limit.timeout, limit.longer_than)
        rows.append((_SESSIONS[limit.session], ends, limit.seen))
    if (uses := probe.uses) is not None:
        found = f"more than {uses.tried}" if uses.requests is None else str(uses.requests)
        rows.append(("requests a connection", found, uses.seen))
    if (age := probe.age) is not None:
        rows.append(("age of a connection", _seconds(age.seconds, age.longer_than), age.seen))
    if (names := probe.names) is not None:
        old = "" if names.old_for is None else f"{names.old_for:.1f} s"
        rows.append(("changed DNS record", old, names.seen))
    return Table(f"{probe.target}: what ends a connection", ("limit", "found", "seen"), tuple(rows))


def proof(found: Proof | None) -> Table | None:
    """The recommended value beside one that is too long, in the same traffic."""
    if found is None:
        return None
    columns: Columns[ProofRun] = (
        Column("setting", lambda run: run.setting),
        Number("calls", lambda run: str(run.calls)),
        Number("failed", lambda run: str(run.failed)),
        Number("dead met", lambda run: str(run.disconnects)),
        Number("dials", lambda run: str(run.dials)),
        Number("reuse", lambda run: units.share(run.reuse_ratio)),
    )
    return Table.of(
        "Low traffic with pauses at the timeout: the recommended value and one too long",
        columns,
        (found.recommended, found.too_long),
        lambda run: run is found.recommended,
    )


def costs(found: Costs | None) -> Table | None:
    """What each checkout and each dial costs."""
    if found is None:
        return None
    columns: Columns[Cost] = (
        Column("what", lambda cost: cost.name),
        Column("each", lambda cost: cost.per),
        Number("costs", lambda cost: units.milliseconds(cost.seconds)),
        Number("95 % interval", _interval),
        Number("throughput lost", _lost),
        Column("note", lambda cost: cost.note),
    )
    size = units.plural(found.pool_size, "connection")
    caption = f"Costs beside a call of {units.milliseconds(found.hold_time)}, throughput at {size}"
    return Table.of(caption, columns, found.costs)


def stale(probe: Probe) -> Table:
    """What each setting lets through to the caller after every connection was cut."""
    columns: Columns[StaleCount] = (
        Column("cut", lambda count: _CUTS[count.cut]),
        Column("setting", lambda count: RECYCLED if count.setting == "recycle" else count.setting),
        Number("calls", lambda count: str(count.calls)),
        Number("failed", lambda count: str(count.failed)),
        Number("dead met", lambda count: str(count.disconnects)),
        Number("repeated", lambda count: str(count.retries)),
    )
    caption = "After every connection was cut: what reaches the caller"
    return Table.of(caption, columns, probe.stale)


def parameters(probe: Probe) -> Table:
    """The driver's parameters that follow, each with its reason."""
    columns: Columns[Parameter] = (
        Column("parameter", lambda p: p.name),
        Number("value", _value),
        Column("because", lambda p: p.because),
    )
    caption = f"{probe.target}: parameters for {probe.driver}"
    return Table.of(caption, columns, probe.parameters)


def _value(parameter: Parameter) -> str:
    is_number = isinstance(parameter.value, int | float) and not isinstance(parameter.value, bool)
    return f"{words.value(parameter)} {parameter.unit}" if is_number else words.value(parameter)


def _seconds(value: float | None, longer_than: float) -> str:
    return f"> {longer_than:.1f} s" if value is None else f"{units.number(value)} s"


def _interval(cost: Cost) -> str:
    if cost.interval95 is None:
        return units.NONE
    low, high = cost.interval95
    return units.interval((low * 1000, high * 1000), 2)


def _lost(cost: Cost) -> str:
    if cost.lost_share is None:
        return units.NONE
    share = units.share(max(0.0, cost.lost_share))
    if cost.per == "dial":
        share = f"{share} of calls that dial"
    return share if cost.is_lost_measured else f"{share} (computed)"
