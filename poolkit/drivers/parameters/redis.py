"""The parameters of a redis.asyncio pool, its client and the gate in front."""

from __future__ import annotations

from poolkit import units
from poolkit.drivers.parameters.basis import Basis, row
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import below, measured
from poolkit.drivers.parameters.limits import (
    gate,
    limited_dial,
    limited_read,
    limited_wait,
    of_size,
)
from poolkit.drivers.parameters.settings import as_set
from poolkit.drivers.table import pings
from poolkit.records import Parameter

PING = pings("redis")
_ASKED_AFTER = 30  # s of idling
# redis-py 8.1: Redis(retry=Retry(ExponentialWithJitterBackoff(base=1, cap=10), retries=10))
_RETRIES = row(
    "retries",
    0,
    "retries",
    "a client made as Redis(...) repeats a failed command up to 10 times, one that writes too, "
    "and each try may take socket_timeout: measured without; retry where it is known to be safe",
)
_NO_NOTICES = row(
    "maint_notifications",
    False,
    "",
    "Redis Enterprise's notices of maintenance; where they may come (the default), redis-py "
    "8.1 looks at no socket before it hands it out, so the first command after the server has "
    "closed an idle connection fails",
)
_REFUSES = (
    "ConnectionPool, which redis-py takes by itself, raises MaxConnectionsError as soon as all "
    "connections are in use (100 by default; 2**31 before redis-py 8, so no limit at all)"
)


def probed(found: Findings) -> tuple[Parameter, ...]:
    """After how long an idle connection is asked for a sign of life."""
    row = _probed_ping(found)
    return () if row is None else (row,)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the pool is written."""
    rows = (
        _pool_class(basis),
        of_size(basis, "max_connections"),
        limited_wait(basis).parameter("timeout"),
        limited_dial(basis).parameter("socket_connect_timeout"),
        limited_read(basis).parameter("socket_timeout"),
        _probed_ping(found) or _ping(),
        _RETRIES,
        _NO_NOTICES,
        *gate(
            basis,
            "BlockingConnectionPool alone lets a caller that has just released overtake those that "
            "wait, the gate serves them in turn",
        ),
    )
    return as_set(basis, rows, probed(found))


def _pool_class(basis: Basis) -> Parameter:
    """The pool that lets callers wait, whatever was measured: the other one is a mistake."""
    because = f"lets callers wait for timeout; {_REFUSES}"
    trial = basis.trial
    if basis.target.pool_class == "default":
        because = f"measured with ConnectionPool, as targets.toml says (pool_class); {_REFUSES}"
        refused = 0 if trial is None else trial.error_kinds.get("pool_full", 0)
        if refused:
            because += f"; {units.plural(refused, 'call')} ended so at the target rate"
    return row("pool_class", "BlockingConnectionPool", "", because)


def _probed_ping(found: Findings) -> Parameter | None:
    """Whole seconds below what ends a connection in silence; the pool itself finds closed ones."""
    limit = found.idle
    if limit is None or limit.kind == "not_kept":
        return None
    if limit.kind != "silent" or limit.earliest is None:
        because = (
            f"{limit.seen}; the pool looks at each socket when it hands a connection out and dials "
            "anew where the server has closed it, so a PING finds only what a firewall dropped in "
            "silence"
        )
        return row(PING, _ASKED_AFTER, "s", because)
    because = (
        f"{limit.seen} without a word, which the pool cannot tell from its socket: a PING before "
        "the command finds it, and that call ends before anything of it was sent"
    )
    return measured(PING, max(1, int(below(limit.earliest))), because)


def _ping() -> Parameter:
    return row(
        PING,
        _ASKED_AFTER,
        "s",
        "a connection that idled for longer is asked with a PING before its next command, so "
        "none is sent over one that a firewall dropped (AWS after 350 s, Azure 240 s); under "
        "load none idles, so none is asked",
    )
