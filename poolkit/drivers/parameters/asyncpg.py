"""The parameters of an asyncpg pool, and of the server side of its sessions."""

from __future__ import annotations

from poolkit.drivers.parameters.basis import Basis, row, turn
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import Keep
from poolkit.drivers.parameters.limits import (
    gate_of_database,
    limited_dial,
    limited_statement,
    limited_wait,
    min_size,
    of_size,
)
from poolkit.drivers.parameters.pooler import CLIENT_ONLY, statement_limit, unnamed_statements
from poolkit.drivers.parameters.settings import as_set
from poolkit.drivers.table import idle_setting
from poolkit.records import Parameter

KEEP = Keep.of("asyncpg")
_IDLE = idle_setting("asyncpg", "ends")
assert _IDLE is not None
_NONE_KEPT = row(
    "min_size",
    0,
    "connections",
    f"{_IDLE.words}: with min_size = max_size the server closes them first",
    "library",
)
# To end the reason of `statement_cache_size` with.
_UNNAMED = (
    ": then measure with statement_cache_size = 100 in targets.toml, which saves a round trip in "
    "each statement"
)


def probed(found: Findings) -> tuple[Parameter, ...]:
    """How long idle connections are kept, and how many are kept whatever that says."""
    rows = (KEEP.probed(found), _probed_min_size(found))
    return tuple(row for row in rows if row is not None)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the pool is written."""
    statement, command = limited_statement(basis)
    rows = (
        _probed_min_size(found) or min_size(basis),
        of_size(basis, "max_size"),
        KEEP.probed(found) or _inactive(basis),
        limited_dial(basis).parameter("timeout"),
        command.parameter("command_timeout"),
        limited_wait(basis).parameter("acquire_timeout"),
        *unnamed_statements(basis, [("statement_cache_size", 0)], _UNNAMED),
        *statement_limit(
            basis, statement.parameter("statement_timeout"), "server_settings", CLIENT_ONLY
        ),
        *gate_of_database(
            basis,
            "asyncpg 0.32 puts a woken caller that loses the race for a connection at the end of "
            "its queue, the gate serves callers in turn",
        ),
    )
    return as_set(basis, rows, probed(found))


def _probed_min_size(found: Findings) -> Parameter | None:
    is_kept = found.idle is not None and found.idle.kind != "not_kept"
    return _NONE_KEPT if is_kept and found.end is not None else None


def _inactive(basis: Basis) -> Parameter:
    seen = turn(basis)
    return row(
        KEEP.name,
        KEEP.default,
        "s",
        "library default; below the 350 s after which AWS drops a silent connection (Azure "
        "240 s: set less there); PostgreSQL itself closes none by default"
        f"{f', and under load {seen}' if seen else ''}",
        "library",
    )
