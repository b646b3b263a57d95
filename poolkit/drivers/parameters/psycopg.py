"""The parameters of psycopg_pool's AsyncConnectionPool, and of the server side of its sessions."""

from __future__ import annotations

import math

from poolkit import units
from poolkit.drivers.parameters.basis import Basis, row
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import below, is_keepable, measured, switch
from poolkit.drivers.parameters.limits import (
    Limit,
    gate_of_database,
    limited_dial,
    limited_statement,
    limited_wait,
    min_size,
    of_size,
)
from poolkit.drivers.parameters.pooler import statement_limit, unnamed_statements
from poolkit.drivers.parameters.settings import as_set
from poolkit.drivers.table import PING_WAITS, idle_setting, pings
from poolkit.records import Parameter

PING = pings("psycopg")
_IDLE = idle_setting("psycopg", "shrinks")
assert _IDLE is not None
_SHRINKS = _IDLE.words
_MAX_IDLE = row(_IDLE.name, _IDLE.default, "s", f"library default; {_IDLE.words}", "library")
# psycopg_pool 3.2 and 3.3: AsyncConnectionPool(max_lifetime=3600.0)
_MAX_LIFETIME = row(
    "max_lifetime",
    3600.0,
    "s",
    "library default; connections take turns, so under load none is silent for as long "
    "as a firewall bears (AWS 350 s, Azure 240 s): where whole nights are quiet, set "
    "less than that, or check=AsyncConnectionPool.check_connection",
    "library",
)


def probed(found: Findings) -> tuple[Parameter, ...]:
    """Whether each checkout asks, and when connections that nobody uses, or all, are replaced."""
    rows = (_probed_check(found), _probed_max_idle(found), _probed_lifetime(found))
    return tuple(row for row in rows if row is not None)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the pool is written."""
    statement, _ = limited_statement(basis)
    wait = limited_wait(basis)
    check = _probed_check(found)
    rows = (
        min_size(basis),
        of_size(basis, "max_size"),
        wait.parameter("timeout"),
        _max_waiting(basis, wait),
        _probed_max_idle(found) or _MAX_IDLE,
        _probed_lifetime(found) or _MAX_LIFETIME,
        limited_dial(basis).parameter("connect_timeout"),
        *unnamed_statements(basis, [("prepare_threshold", None)]),
        *statement_limit(
            basis, statement.parameter("statement_timeout"), "options", "nothing ends a statement"
        ),
        *gate_of_database(
            basis,
            "psycopg_pool serves callers in turn by itself; the gate makes those that wait "
            "visible in one place",
        ),
        *((check,) if check is not None else ()),
    )
    return as_set(basis, rows, probed(found))


def _probed_check(found: Findings) -> Parameter | None:
    """Asked before it is handed out, where anything was seen to end a connection."""
    limit = found.idle
    if limit is None or limit.kind == "not_kept":
        return None
    if found.end is None:
        return switch(PING, False, f"{limit.seen}: no checkout has to ask for a sign of life")
    because = (
        f"{limit.seen}; psycopg_pool looks at no age when it hands a connection out (max_idle "
        f"and max_lifetime do not help), so each checkout asks for a sign of life{found.proven}"
    )
    if limit.kind == "silent":
        because += (
            f"; {PING_WAITS}, so keep the way open too: keepalives_idle below that among kwargs"
        )
    return switch(PING, True, because)


def _probed_max_idle(found: Findings) -> Parameter | None:
    earliest = None if found.idle is None else found.idle.earliest
    if earliest is None or not is_keepable(earliest):
        return None
    because = f"{_SHRINKS}: a pool that was grown shrinks before the server ends its connections"
    return measured(_MAX_IDLE.name, below(earliest), because)


def _probed_lifetime(found: Findings) -> Parameter | None:
    oldest = None if found.age is None else found.age.seconds
    if oldest is None:
        return None
    because = (
        f"connections end at an age of {units.number(oldest)} s, in use or not; less than that"
    )
    return measured("max_lifetime", below(oldest), because)


def _max_waiting(basis: Basis, wait: Limit) -> Parameter:
    """The callers that can be served within `timeout`: connections * timeout / hold (Little)."""
    hold = _hold(basis)
    if hold is None:
        return row(
            "max_waiting",
            0,
            "callers",
            "no limit: no hold time was measured from which one would follow",
        )
    served = basis.size / hold
    return row(
        "max_waiting",
        max(basis.size, math.ceil(served * wait.seconds)),
        "callers",
        f"{units.plural(basis.size, 'connection')} held {units.milliseconds(hold)} each serve "
        f"{units.rate(served)}, so whoever comes behind more callers than these would wait "
        f"longer than timeout ({wait.seconds:g} s): it is told no at once",
        "measured",
    )


def _hold(basis: Basis) -> float | None:
    """Mean hold time (s) nearest to the recommended operation."""
    trial = basis.trial
    if trial is not None and trial.hold_time.mean:
        return trial.hold_time.mean
    points = basis.sizing.points
    if not points:
        return None
    return min(points, key=lambda p: (abs(p.pool_size - basis.size), -p.pool_size)).hold_time
