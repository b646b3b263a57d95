"""The parameters of an asyncpg pool, and of the server side of its sessions."""

from __future__ import annotations

from poolkit.recommend.database import limited_statement, min_size
from poolkit.recommend.gate import gate_of_database
from poolkit.recommend.rules import Basis, limited_dial, limited_wait, reason_of_size, turn
from poolkit.records import Parameter

# asyncpg 0.32: create_pool(max_inactive_connection_lifetime=300.0)
INACTIVE = 300.0  # s


def parameters(basis: Basis) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the pool is written."""
    statement, command = limited_statement(basis)
    return (
        min_size(basis),
        Parameter(
            name="max_size",
            value=basis.size,
            unit="connections",
            because=reason_of_size(basis),
            source="measured",
        ),
        Parameter(
            name="max_inactive_connection_lifetime",
            value=INACTIVE,
            unit="s",
            because=(
                "library default; below the 350 s after which AWS drops a silent connection (Azure "
                "240 s: set less there); PostgreSQL itself closes none by default"
                f"{_in_turn(basis)}"
            ),
            source="library",
        ),
        limited_dial(basis).parameter("timeout"),
        command.parameter("command_timeout"),
        limited_wait(basis).parameter("acquire_timeout"),
        statement.parameter("statement_timeout"),
        *gate_of_database(basis),
    )


def _in_turn(basis: Basis) -> str:
    said = turn(basis)
    return f", and under load {said}" if said else ""
