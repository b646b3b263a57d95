"""What a probe found, as tables for the terminal, the notebooks and the report."""

from __future__ import annotations

from poolkit import units
from poolkit.probes.records import Cost, Costs, Probe, Proof, ProofRun, StaleCount
from poolkit.show.tables.table import Table

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
    return tuple(table for table in found if table is not None)


def limits(probe: Probe) -> Table | None:
    """What ends a connection: silence, the number of requests, age; and a changed record."""
    rows = [
        (
            _SESSIONS[limit.session],
            _seconds(limit.timeout, limit.longer_than) if limit.kind != "random" else "at random",
            limit.seen,
        )
        for limit in probe.idle
    ]
    if probe.uses is not None:
        count = probe.uses.requests
        found = f"more than {probe.uses.tried}" if count is None else str(count)
        rows.append(("requests a connection", found, probe.uses.seen))
    if probe.age is not None:
        age = _seconds(probe.age.seconds, probe.age.longer_than)
        rows.append(("age of a connection", age, probe.age.seen))
    if probe.names is not None:
        old = probe.names.old_for
        rows.append(("changed DNS record", "" if old is None else f"{old:.1f} s", probe.names.seen))
    if not rows:
        return None
    return Table(f"{probe.target}: what ends a connection", ("limit", "found", "seen"), tuple(rows))


def proof(found: Proof | None) -> Table | None:
    """The recommended value beside one that is too long, in the same traffic."""
    if found is None:
        return None
    return Table(
        "Low traffic with pauses at the timeout: the recommended value and one too long",
        ("setting", "calls", "failed", "dead met", "dials", "reuse"),
        (_run(found.recommended), _run(found.too_long)),
        numeric=frozenset({1, 2, 3, 4, 5}),
        emphasis=frozenset({0}),
    )


def costs(found: Costs | None) -> Table | None:
    """What each checkout and each dial costs."""
    if found is None:
        return None
    size = units.plural(found.pool_size, "connection")
    return Table(
        f"Costs beside a call of {units.milliseconds(found.hold_time)}, throughput at {size}",
        ("what", "each", "costs", "95 % interval", "throughput lost", "note"),
        tuple(_cost(cost) for cost in found.costs),
        numeric=frozenset({2, 3, 4}),
    )


def stale(probe: Probe) -> Table | None:
    """What each setting lets through to the caller after every connection was cut."""
    if not probe.stale:
        return None
    return Table(
        "After every connection was cut: what reaches the caller",
        ("cut", "setting", "calls", "failed", "dead met", "repeated"),
        tuple(_stale(count) for count in probe.stale),
        numeric=frozenset({2, 3, 4, 5}),
    )


def parameters(probe: Probe) -> Table | None:
    """The driver's parameters that follow, each with its reason."""
    if not probe.parameters:
        return None
    rows = tuple(
        (p.name, f"{p.value:g} {p.unit}" if _is_number(p.value) else str(p.value), p.because)
        for p in probe.parameters
    )
    return Table(
        f"{probe.target}: parameters for {probe.driver}",
        ("parameter", "value", "because"),
        rows,
        numeric=frozenset({1}),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(value: float | None, longer_than: float) -> str:
    return f"> {longer_than:.1f} s" if value is None else f"{units.number(value)} s"


def _run(run: ProofRun) -> tuple[str, ...]:
    return (
        run.setting,
        str(run.calls),
        str(run.failed),
        str(run.disconnects),
        str(run.dials),
        units.share(run.reuse_ratio),
    )


def _cost(cost: Cost) -> tuple[str, ...]:
    interval = cost.interval95
    shown = (
        units.NONE
        if interval is None
        else units.interval((interval[0] * 1000, interval[1] * 1000), 2)
    )
    lost = cost.lost_share
    share = units.NONE if lost is None else units.share(max(0.0, lost))
    if cost.per == "dial" and lost is not None:
        share = f"{share} of calls that dial"
    if lost is not None and not cost.is_lost_measured:
        share += " (computed)"
    return cost.name, cost.per, units.milliseconds(cost.seconds), shown, share, cost.note


def _stale(count: StaleCount) -> tuple[str, ...]:
    return (
        _CUTS[count.cut],
        RECYCLED if count.setting == "recycle" else count.setting,
        str(count.calls),
        str(count.failed),
        str(count.disconnects),
        str(count.retries),
    )
