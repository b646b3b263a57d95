"""The gate: a semaphore in front of a pool, and why it stands there."""

from __future__ import annotations

from typing import Literal

from poolkit.recommend.rules import Basis, limited_wait
from poolkit.records import Parameter

# Why a database pool gets one where targets.toml asks for it; by themselves they stand alone.
_DATABASES = {
    "asyncpg": "asyncpg 0.32 puts a woken caller that loses the race for a connection at the end "
    "of its queue, the gate serves callers in turn",
    "psycopg": "psycopg_pool serves callers in turn by itself; the gate makes those that wait "
    "visible in one place",
    "sqlalchemy": "SQLAlchemy's queue serves callers in turn by itself; the gate makes those that "
    "wait visible in one place",
}


def gate(basis: Basis, about_library: str) -> tuple[Parameter, Parameter]:
    """The semaphore and how long a caller waits there; `about_library`: what happens without it."""
    because = f"a semaphore of the pool's size, taken once: {about_library}"
    if basis.target.gate is False:
        because += "; measured without it, as targets.toml says (gate = false)"
    if basis.crowd is not None:
        because += f"; {basis.crowd}"
    source: Literal["measured", "rule"] = "rule" if basis.crowd is None else "measured"
    return (
        Parameter(name="gate", value=basis.size, unit="callers", because=because, source=source),
        limited_wait(basis).parameter("gate_timeout"),
    )


def gate_of_database(basis: Basis) -> tuple[Parameter, ...]:
    """The same where targets.toml asks for a gate (gate = true); nothing elsewhere."""
    if not basis.target.gate:
        return ()
    return gate(basis, _DATABASES[basis.target.driver])
