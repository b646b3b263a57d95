"""What a pooler between client and PostgreSQL changes: no startup parameters, no named statements.

PgBouncer refuses startup parameters in every mode (1.18: `unsupported startup parameter`), and
forgets them where it is told to ignore them. Named statements live in one server process, which in
transaction mode serves another client next; PgBouncer 1.21 and later can keep track of them
(`max_prepared_statements`), which no client can see.
"""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.drivers.parameters.basis import Basis, row
from poolkit.records import Parameter, Pooler

_ELSEWHERE = (
    "the next transaction may run in another server process, which does not know a statement that "
    "was prepared under a name"
)
# What stands before the server, and what becomes of named statements there.
_MODES: dict[Pooler, tuple[str, str]] = {
    "transaction": ("a pooler in transaction mode stands before the server", _ELSEWHERE),
    "session": (
        "a pooler in session mode stands before the server",
        "named statements last there, but break once it is set to transaction mode",
    ),
    "unknown": (
        "a pooler stands before the server, whose mode could not be told",
        f"in transaction mode {_ELSEWHERE}",
    ),
}
# What ends a statement in asyncpg where the server has no limit.
CLIENT_ONLY = "command_timeout alone ends a statement"
_KEPT = "PgBouncer from 1.21 on keeps them, where its max_prepared_statements is above 0"


def seen(basis: Basis) -> str | None:
    """What stands before the server, in words; None: no pooler was seen."""
    pooler = None if basis.trial is None else basis.trial.pooler
    return None if pooler is None else _MODES[pooler][0]


def unnamed_statements(
    basis: Basis, settings: Sequence[tuple[str, int | str | None]], cost: str = ""
) -> tuple[Parameter, ...]:
    """The settings by which the library gives its statements no names; none without a pooler.

    Args:
        settings: names of parameters with their values; the first carries the whole reason.
        cost: what doing without costs, and how to do with them, to end the reason with.
    """
    pooler = None if basis.trial is None else basis.trial.pooler
    if pooler is None:
        return ()
    stands, lost = _MODES[pooler]
    (first, value), *others = settings
    because = f"{stands}: {lost}; every trial ran without such names. {_KEPT}{cost}"
    rows = [row(first, value, "", because, "measured")]
    for name, given in others:
        rows.append(row(name, given, "", f"for the same reason as {first}", "measured"))
    return tuple(rows)


def statement_limit(
    basis: Basis, limit: Parameter, argument: str, until: str
) -> tuple[Parameter, ...]:
    """The server's limit on a statement: behind a pooler the role carries it.

    Args:
        limit: the row of `statement_timeout` (s).
        argument: the library's own for startup parameters, which is then left out: its row says so.
        until: what ends a statement while the role has no limit.
    """
    stands = seen(basis)
    if stands is None:
        return (limit,)
    milliseconds = round(float(limit.value or 0.0) * 1000)
    because = (
        f"{stands}, and PgBouncer refuses the login with a startup parameter (or drops it, where "
        "ignore_startup_parameters has it). Put the limit on the role, in ms: alter role NAME set "
        f"statement_timeout = {milliseconds}; or in each transaction: set local statement_timeout "
        f"= {milliseconds}. Until then {until}"
    )
    where = f"{limit.because}; set on the role, see {argument}"
    return limit.model_copy(update={"because": where}), row(argument, None, "", because)


def needs_of_sessions(basis: Basis) -> str:
    """What the size means to a pooler in session mode, to end a reason with; else empty."""
    trial = basis.trial
    if trial is None or trial.pooler != "session":
        return ""
    pools = basis.target.pools
    total = units.plural(pools * basis.size, "connection")
    return (
        f"; in session mode the pooler needs {total} to the server for them (PgBouncer: "
        "default_pool_size), or those beyond wait without end"
    )
