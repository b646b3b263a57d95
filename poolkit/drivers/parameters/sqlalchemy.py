"""The parameters of SQLAlchemy's engine on asyncpg, and of the server side of its sessions."""

from __future__ import annotations

from poolkit import units
from poolkit.drivers.parameters.basis import Basis, dials_while_verified, reason_of_size, row, turn
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import SHORTEST, Keep, below, is_keepable, measured, switch
from poolkit.drivers.parameters.limits import (
    gate_of_database,
    limited_dial,
    limited_statement,
    limited_wait,
    of_size,
)
from poolkit.drivers.parameters.pooler import CLIENT_ONLY, statement_limit, unnamed_statements
from poolkit.drivers.parameters.settings import AS_SET, as_set, beside_probe
from poolkit.drivers.table import PING_WAITS, pings
from poolkit.records import Parameter

# Firewalls drop a connection that was silent for longer: AWS after 350 s, Azure after 240 s.
KEEP = Keep("sqlalchemy", "pool_recycle", 300, counts_from_dial=True)
PING = pings("sqlalchemy")
# asyncpg's own cache, that of SQLAlchemy's dialect, and the names that the dialect would give.
_UNNAMED = (
    ("statement_cache_size", 0),
    ("prepared_statement_cache_size", 0),
    ("prepared_statement_name_func", 'lambda: ""'),
)


def probed(found: Findings) -> tuple[Parameter, ...]:
    """When connections are replaced, and whether each checkout asks."""
    rows = (_probed_recycle(found), _probed_ping(found))
    return tuple(row for row in rows if row is not None)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the engine is written."""
    statement, command = limited_statement(basis)
    rows = (
        *_sizes(basis),
        limited_wait(basis).parameter("pool_timeout"),
        _pre_ping(basis, _probed_ping(found)),
        _probed_recycle(found) or _recycle(basis),
        _lifo(basis),
        limited_dial(basis).parameter("timeout"),
        command.parameter("command_timeout"),
        *unnamed_statements(basis, _UNNAMED),
        *statement_limit(
            basis, statement.parameter("statement_timeout"), "server_settings", CLIENT_ONLY
        ),
        *gate_of_database(
            basis,
            "SQLAlchemy's queue serves callers in turn by itself; the gate makes those that wait "
            "visible in one place",
        ),
    )
    return as_set(basis, rows, probed(found))


def _sizes(basis: Basis) -> tuple[Parameter, Parameter]:
    """The connections that are kept and those on demand, whose sum is what was measured."""
    asked = basis.target.max_overflow
    if asked is None:
        return of_size(basis, "pool_size"), _max_overflow(basis)
    overflow = min(asked, basis.size - 1)
    because = (
        f"{AS_SET}: of {units.plural(basis.size, 'connection')} in all, those that are dialled on "
        "demand and closed on return unless somebody waits"
    )
    trial = basis.trial
    if trial is not None and trial.window > 0:
        dials = units.number(trial.connections_opened / trial.window, 2)
        because += f"; {dials} dials/s were seen, which 0 would save"
    return (
        row(
            "pool_size",
            basis.size - overflow,
            "connections",
            f"{reason_of_size(basis)}; of these, {overflow} are max_overflow",
            "measured",
        ),
        row(
            "max_overflow",
            overflow,
            "connections",
            because,
            "measured" if trial is not None else "rule",
        ),
    )


def _max_overflow(basis: Basis) -> Parameter:
    because = (
        "an overflow connection is closed on return unless somebody waits, so each rush dials it "
        f"anew; all {units.plural(basis.size, 'connection')} are kept instead"
        + dials_while_verified(basis)
    )
    return row(
        "max_overflow", 0, "connections", because, "measured" if basis.is_verified else "rule"
    )


def _pre_ping(basis: Basis, by_probe: Parameter | None) -> Parameter:
    """Off, unless a probe or the load found connections that are dead.

    A probe that saw no end looked at idle connections only: it takes nothing back that the load
    showed to be needed.
    """
    trial = basis.trial
    was_needed = trial is not None and trial.disconnects > 0
    if by_probe is not None and (by_probe.value or not was_needed):
        return by_probe
    cost = "on asyncpg it is three round trips more in each hold (BEGIN, the ping, ROLLBACK)"
    if trial is None:
        value, because = False, f"{cost}, and no call is known to have met a dead connection"
    elif trial.disconnects:
        seen = units.plural(trial.disconnects, "disconnect")
        value = True
        because = (
            f"{seen} seen in {units.number(trial.window)} s; {cost}, which was not part of the "
            "measurement: measure again with it, or find out who closes the connections"
        )
    else:
        value = False
        because = (
            f"{cost}, and no call met a dead connection in {units.number(trial.window)} s; after a "
            "restart of the server the first call that fails makes the pool replace them all"
        )
    chosen = row(PING, value, "", because, "rule" if trial is None else "measured")
    return beside_probe(chosen, by_probe)


def _recycle(basis: Basis) -> Parameter:
    dials = units.number(basis.size / KEEP.default, 2)
    return row(
        KEEP.name,
        KEEP.default,
        "s",
        "the age at which a connection is replaced when it is handed out, and so also the "
        "longest silence of one in use: AWS drops it after 350 s (Azure after 240 s: set less "
        f"there); costs up to {dials} dials/s",
    )


def _lifo(basis: Basis) -> Parameter:
    """First in, first out: connections take turns."""
    seen = turn(basis)
    return row(
        "pool_use_lifo",
        False,
        "",
        "library default; connections take turns, so none falls silent for as long as a "
        f"firewall bears{f': under load {seen}' if seen else ''}; the last one first lets "
        "those that are not needed idle until somebody closes them, which is of use only with "
        "an overflow or with pool_pre_ping",
        "library",
    )


def _probed_recycle(found: Findings) -> Parameter | None:
    """Pings replace what a silence ended where they cost less; an age is still kept clear of."""
    if not _is_ping_cheaper(found):
        return KEEP.probed(found)
    age, limit = found.age, found.idle
    assert limit is not None
    if age is not None and age.seconds is not None and is_keepable(age.seconds):
        return KEEP.below_age(age)
    because = f"{limit.seen}; {PING} replaces the dead ones, so this need not come first"
    return measured(KEEP.name, float(KEEP.default), because)


def _probed_ping(found: Findings) -> Parameter | None:
    """Off where recycling is enough and cheaper."""
    limit = found.idle
    if limit is None:  # costs alone say what a ping takes, not whether any connection needs one
        return None
    figures = _figures(found)
    if limit.kind == "random":
        because = "the server closes at random, so no age is safe: each checkout has to ask"
        return switch(PING, True, because + figures)
    if limit.earliest is not None and not is_keepable(limit.earliest):
        because = "connections end too soon for any pool_recycle: each checkout has to ask"
        return switch(PING, True, because)
    if limit.kind == "silent":
        because = f"{PING_WAITS}, so pool_recycle has to prevent it"
        return switch(PING, False, because + figures)
    if _is_ping_cheaper(found):
        because = "asking each connection costs less here than replacing them before the timeout"
        return switch(PING, True, because + figures)
    if found.end is None:
        because = "nothing was seen to end a connection, and a restart costs errors once"
    else:
        because = "pool_recycle keeps clear of the server's end, and a restart costs errors once"
    return switch(PING, False, because + figures)


def _is_ping_cheaper(found: Findings) -> bool:
    """Whether a ping in each call keeps fewer connections busy than recycling; False: not known.

    A ping is paid by every call: target_rate * ping. Recycling is a dial for each connection every
    `pool_recycle` s: pool_size / pool_recycle * dial. A silent drop makes every ping wait in vain.
    """
    limit, busy = found.idle, _busy(found)
    if limit is None or not limit.is_steady or limit.kind == "silent" or busy is None:
        return False
    pinging, recycling = busy
    return pinging < recycling


def _busy(found: Findings) -> tuple[float, float] | None:
    """Connections kept busy by pinging and by recycling, on average; None: not measured."""
    if found.costs is None:
        return None
    by_name = {cost.name: max(0.0, cost.seconds) for cost in found.costs.costs}
    ping, dial = by_name.get(PING), by_name.get("dial")
    if ping is None or dial is None:
        return None
    return found.target_rate * ping, found.costs.pool_size / _recycled_after(found) * dial


def _recycled_after(found: Findings) -> float:
    return KEEP.default if found.end is None else max(SHORTEST, below(found.end))


def _figures(found: Findings) -> str:
    busy = _busy(found)
    if busy is None:
        return ""
    return (
        f"; at {units.rate(found.target_rate)} pings keep {units.number(busy[0], 2)} connections "
        f"busy, recycling after {_recycled_after(found):g} s keeps {units.number(busy[1], 2)}"
    )
