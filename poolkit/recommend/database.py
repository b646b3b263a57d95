"""The parameters that the PostgreSQL drivers share: limits of a statement, connections kept."""

from __future__ import annotations

from poolkit import units
from poolkit.recommend.rules import Basis, Limit, limited_hold, round_up
from poolkit.records import Parameter

SERVER_FIRST = 1.0  # s that the server's own limit ends before the client's


def limited_statement(basis: Basis) -> tuple[Limit, Limit]:
    """How long a statement may take, for the server and, a little longer, for the client."""
    hold = limited_hold(basis)
    statement = Limit(hold.seconds, f"{hold.because}; a statement is part of it", hold.is_measured)
    command = Limit(
        round_up(statement.seconds + SERVER_FIRST),
        f"{SERVER_FIRST:g} s above statement_timeout ({statement.seconds:g} s): the server gives "
        "up first, and the connection lives on",
        is_measured=hold.is_measured,
    )
    return statement, command


def min_size(basis: Basis) -> Parameter:
    """As many connections are kept as may be opened."""
    because = (
        "the same as max_size: a pool that shrinks when it is quiet makes the first callers of "
        "the next rush wait for dials"
    )
    trial = basis.trial
    if basis.is_verified and trial is not None:
        dials = units.plural(trial.connections_opened, "dial")
        because += f" (verified so, {dials} in {units.number(trial.window)} s)"
    return Parameter(
        name="min_size",
        value=basis.size,
        unit="connections",
        because=because,
        source="measured" if basis.is_verified else "rule",
    )
