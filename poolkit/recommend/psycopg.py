"""The parameters of psycopg_pool's AsyncConnectionPool, and of the server side of its sessions."""

from __future__ import annotations

import math

from poolkit import units
from poolkit.recommend.database import limited_statement, min_size
from poolkit.recommend.gate import gate_of_database
from poolkit.recommend.rules import (
    Basis,
    Limit,
    limited_dial,
    limited_wait,
    reason_of_size,
)
from poolkit.records import Parameter

# psycopg_pool 3.2 and 3.3: AsyncConnectionPool(max_idle=600.0, max_lifetime=3600.0)
MAX_IDLE = 600.0  # s
MAX_LIFETIME = 3600.0  # s


def parameters(basis: Basis) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the pool is written."""
    statement, _ = limited_statement(basis)
    wait = limited_wait(basis)
    return (
        min_size(basis),
        Parameter(
            name="max_size",
            value=basis.size,
            unit="connections",
            because=reason_of_size(basis),
            source="measured",
        ),
        wait.parameter("timeout"),
        _max_waiting(basis, wait),
        Parameter(
            name="max_idle",
            value=MAX_IDLE,
            unit="s",
            because="library default; acts on connections beyond min_size only",
            source="library",
        ),
        Parameter(
            name="max_lifetime",
            value=MAX_LIFETIME,
            unit="s",
            because=(
                "library default; connections take turns, so under load none is silent for as long "
                "as a firewall bears (AWS 350 s, Azure 240 s): where whole nights are quiet, set "
                "less than that, or check=AsyncConnectionPool.check_connection"
            ),
            source="library",
        ),
        limited_dial(basis).parameter("connect_timeout"),
        statement.parameter("statement_timeout"),
        *gate_of_database(basis),
    )


def _max_waiting(basis: Basis, wait: Limit) -> Parameter:
    """The callers that can be served within `timeout`: connections * timeout / hold (Little)."""
    hold = _hold(basis)
    if hold is None:
        return Parameter(
            name="max_waiting",
            value=0,
            unit="callers",
            because="no limit: no hold time was measured from which one would follow",
            source="rule",
        )
    served = basis.size / hold
    return Parameter(
        name="max_waiting",
        value=max(basis.size, math.ceil(served * wait.seconds)),
        unit="callers",
        because=(
            f"{units.plural(basis.size, 'connection')} held {units.milliseconds(hold)} each serve "
            f"{units.rate(served)}, so whoever comes behind more callers than these would wait "
            f"longer than timeout ({wait.seconds:g} s): it is told no at once"
        ),
        source="measured",
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
