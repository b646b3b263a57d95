"""The parameters of SQLAlchemy's engine on asyncpg, and of the server side of its sessions."""

from __future__ import annotations

from poolkit import units
from poolkit.recommend.database import limited_statement
from poolkit.recommend.gate import gate_of_database
from poolkit.recommend.rules import Basis, limited_dial, limited_wait, reason_of_size, turn
from poolkit.records import Parameter

# Firewalls drop a connection that was silent for longer: AWS after 350 s, Azure after 240 s.
RECYCLE = 300  # s


def parameters(basis: Basis) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the engine is written."""
    statement, command = limited_statement(basis)
    return (
        Parameter(
            name="pool_size",
            value=basis.size,
            unit="connections",
            because=reason_of_size(basis),
            source="measured",
        ),
        _max_overflow(basis),
        limited_wait(basis).parameter("pool_timeout"),
        _pre_ping(basis),
        _recycle(basis),
        _lifo(basis),
        limited_dial(basis).parameter("timeout"),
        command.parameter("command_timeout"),
        statement.parameter("statement_timeout"),
        *gate_of_database(basis),
    )


def _max_overflow(basis: Basis) -> Parameter:
    because = (
        "an overflow connection is closed on return unless somebody waits, so each rush dials it "
        f"anew; all {units.plural(basis.size, 'connection')} are kept instead"
    )
    trial = basis.trial
    if basis.is_verified and trial is not None:
        dials = units.plural(trial.connections_opened, "dial")
        because += f" (verified so, {dials} in {units.number(trial.window)} s)"
    return Parameter(
        name="max_overflow",
        value=0,
        unit="connections",
        because=because,
        source="measured" if basis.is_verified else "rule",
    )


def _pre_ping(basis: Basis) -> Parameter:
    """Off, unless calls met dead connections while they were measured."""
    trial = basis.trial
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
    return Parameter(
        name="pool_pre_ping",
        value=value,
        unit="",
        because=because,
        source="rule" if trial is None else "measured",
    )


def _recycle(basis: Basis) -> Parameter:
    dials = units.number(basis.size / RECYCLE, 2)
    return Parameter(
        name="pool_recycle",
        value=RECYCLE,
        unit="s",
        because=(
            "the age at which a connection is replaced when it is handed out, and so also the "
            "longest silence of one in use: AWS drops it after 350 s (Azure after 240 s: set less "
            f"there); costs up to {dials} dials/s"
        ),
        source="rule",
    )


def _lifo(basis: Basis) -> Parameter:
    """First in, first out: connections take turns."""
    seen = turn(basis)
    return Parameter(
        name="pool_use_lifo",
        value=False,
        unit="",
        because=(
            "library default; connections take turns, so none falls silent for as long as a "
            f"firewall bears{f': under load {seen}' if seen else ''}; the last one first lets "
            "those that are not needed idle until somebody closes them, which is of use only with "
            "an overflow or with pool_pre_ping"
        ),
        source="library",
    )
