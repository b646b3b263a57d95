"""The parameters of an aiohttp session: its connector, its time limits and the gate in front."""

from __future__ import annotations

import ipaddress

from poolkit import units
from poolkit.drivers.http import limit_per_host
from poolkit.drivers.parameters.basis import Basis, reason_of_size, row
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import Keep, measured
from poolkit.drivers.parameters.limits import (
    Limit,
    gate,
    kept_alive,
    limited_dial,
    limited_hold,
    limited_read,
    limited_wait,
    round_up,
)
from poolkit.drivers.parameters.settings import as_set
from poolkit.drivers.table import DNS_CACHE
from poolkit.records import Parameter

KEEP = Keep.of("aiohttp")


def probed(found: Findings) -> tuple[Parameter, ...]:
    """How long idle connections are kept, and answers of the resolver."""
    rows = (KEEP.probed(found), _probed_dns_cache(found))
    return tuple(row for row in rows if row is not None)


def parameters(basis: Basis, found: Findings) -> tuple[Parameter, ...]:
    """Every parameter, in the order in which the session is written."""
    wait = limited_wait(basis)
    hold = limited_hold(basis)
    dial = limited_dial(basis)
    connect = Limit(
        round_up(wait.seconds + dial.seconds),
        f"aiohttp counts the wait for the pool and the dial together: {wait.seconds:g} s + "
        f"{dial.seconds:g} s",
        is_measured=False,
    )
    total = Limit(
        round_up(connect.seconds + hold.seconds),
        f"the last resort, also against a body that trickles: connect {connect.seconds:g} s + "
        f"{hold.seconds:g} s for the answer",
        is_measured=hold.is_measured,
    )
    rows = (
        *_limits(basis),
        KEEP.probed(found)
        or kept_alive(
            basis,
            KEEP,
            found,
            "nginx keeps 75 s by default, uvicorn only 5 s, which needs less than that here",
        ),
        _probed_dns_cache(found) or _dns_cache(basis),
        total.parameter("total"),
        connect.parameter("connect"),
        dial.parameter("sock_connect"),
        limited_read(basis).parameter("sock_read"),
        *gate(
            basis,
            "aiohttp alone lets a caller that has just released overtake those that wait, the gate "
            "serves them in turn",
        ),
    )
    return as_set(basis, rows, probed(found))


def _limits(basis: Basis) -> tuple[Parameter, Parameter]:
    """The limits over all hosts and for each; of several hosts by the one that was swept."""
    target, size, reason = basis.target, basis.size, reason_of_size(basis)
    hosts = target.origins
    share = limit_per_host(size, hosts, target.sweep)
    swept = target.sweep or ("limit" if hosts > 1 else "limit_per_host")
    if hosts == 1:
        share, each = size, reason
        total = (
            "one host, so the same as limit_per_host; for a session that serves several, at "
            "least the sum over hosts, since the smaller limit counts"
        )
    elif target.sweep == "limit_per_host":
        total = f"over all {hosts} hosts: what their shares may add up to"
        each = f"{reason}; an even share for each of {hosts} hosts, so none can take another's"
    else:
        total = f"{reason}; over all {hosts} hosts together"
        each = (
            "none: a host that is busy or slow may take every connection of the others"
            if share == 0
            else "the same: the limit over all hosts is what calls meet"
        )
    total_row, each_row = (
        row(name, value, "connections", because, "measured" if name == swept else "rule")
        for name, value, because in (("limit", size, total), ("limit_per_host", share, each))
    )
    return total_row, each_row


def _probed_dns_cache(found: Findings) -> Parameter | None:
    """None: nobody changed a record, or it cannot change."""
    names = found.names
    if names is None or names.ttl is None:
        return None
    because = (
        f"{names.seen}; a look-up takes {units.milliseconds(names.lookup)} here, so {DNS_CACHE} s "
        "costs next to nothing and bounds how long a retired address is dialled"
    )
    return measured("ttl_dns_cache", DNS_CACHE, because)


def _dns_cache(basis: Basis) -> Parameter:
    because = f"library default; a retired address is dialled for {DNS_CACHE} s at most"
    trial = basis.trial
    if _is_address(basis.target.host):
        because += "; this URL names an address, so nothing is looked up"
    elif trial is not None and trial.window > 0:
        dials = units.number(trial.connections_opened / trial.window, 2)
        because += f", and only dials look names up: {dials}/s here"
    return row("ttl_dns_cache", DNS_CACHE, "s", because, "library")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
