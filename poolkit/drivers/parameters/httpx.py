"""The parameters of an httpx client: its limits, its time limits and the gate in front."""

from __future__ import annotations

from poolkit import units
from poolkit.drivers.parameters.basis import Basis, row
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import Keep
from poolkit.drivers.parameters.limits import (
    Limit,
    gate,
    kept_alive,
    limited_dial,
    limited_hold,
    limited_read,
    limited_wait,
    of_size,
    round_up,
)
from poolkit.drivers.parameters.settings import as_set
from poolkit.records import Parameter

KEEP = Keep.of("httpx")


def probed(found: Findings) -> tuple[Parameter, ...]:
    """How long idle connections are kept."""
    keep = KEEP.probed(found)
    return () if keep is None else (keep,)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the client is written."""
    wait = limited_wait(basis)
    hold = limited_hold(basis)
    dial = limited_dial(basis)
    connect = Limit(
        dial.seconds, f"{dial.because}; TCP and TLS get this long each", dial.is_measured
    )
    read = limited_read(basis)
    write = Limit(
        hold.seconds,
        f"the same as read ({hold.seconds:g} s): a server that takes no byte of the request is as "
        "stuck as one that sends none",
        is_measured=False,
    )
    pool = Limit(
        wait.seconds,
        "behind the gate nobody waits here: it ends only when connections got lost"
        + (
            ""
            if _is_fork(basis)
            else "; without a gate httpx 0.28 starts it anew each time another caller is faster"
        ),
        is_measured=False,
    )
    total = Limit(
        round_up(2 * connect.seconds + write.seconds + read.seconds),
        "httpx has no limit for a whole call, and read starts anew with every piece of a body that "
        f"trickles: 2 times {connect.seconds:g} s to connect, {write.seconds:g} s to write, "
        f"{read.seconds:g} s for the answer",
        is_measured=hold.is_measured,
    )
    rows = (
        of_size(basis, "max_connections"),
        _kept(basis),
        KEEP.probed(found)
        or kept_alive(
            basis,
            KEEP,
            found,
            "nginx keeps 75 s by default, but uvicorn also 5 s, which needs less here",
        ),
        connect.parameter("connect"),
        read.parameter("read"),
        write.parameter("write"),
        pool.parameter("pool"),
        total.parameter("total"),
        *gate(
            basis,
            "httpx2 serves those that wait in turn by itself; the gate also keeps its books of "
            "waiting requests short"
            if _is_fork(basis)
            else "httpx 0.28 alone lets a caller that has just released overtake those that wait, "
            "and wakes all of them for each connection; the gate serves them in turn (httpx2 does "
            "so by itself)",
        ),
    )
    return as_set(basis, rows, probed(found))


def _is_fork(basis: Basis) -> bool:
    return basis.target.library == "httpx2"


def _kept(basis: Basis) -> Parameter:
    because = (
        "the same as max_connections: a connection that is closed as soon as it idles is dialled "
        "anew by the next call"
        if _is_fork(basis)
        else "the same as max_connections: httpx 0.28 counts busy connections as idle ones when it "
        "closes what it may not keep, so with fewer nearly every call dials"
    )
    trial = basis.trial
    if basis.is_verified and trial is not None:
        calls = sum(trial.outcomes.values())
        because += (
            f" (verified so: {units.plural(trial.connections_opened, 'dial')} in "
            f"{units.plural(calls, 'call')})"
        )
    return row(
        "max_keepalive_connections",
        basis.size,
        "connections",
        because,
        "measured" if basis.is_verified else "rule",
    )
