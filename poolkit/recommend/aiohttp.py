"""The parameters of an aiohttp session: its connector, its time limits and the gate in front."""

from __future__ import annotations

import ipaddress

from poolkit import units
from poolkit.recommend import http
from poolkit.recommend.gate import gate
from poolkit.recommend.rules import (
    Basis,
    Limit,
    limited_dial,
    limited_hold,
    limited_wait,
    reason_of_size,
    round_up,
)
from poolkit.records import Parameter

# aiohttp 3.14: TCPConnector(keepalive_timeout=15.0, ttl_dns_cache=10)
KEEPALIVE = 15.0  # s
DNS_CACHE = 10  # s


def parameters(basis: Basis) -> tuple[Parameter, ...]:
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
    return (
        Parameter(
            name="limit",
            value=basis.size,
            unit="connections",
            because=(
                "one host, so the same as limit_per_host; for a session that serves several, at "
                "least the sum over hosts, since the smaller limit counts"
            ),
            source="rule",
        ),
        Parameter(
            name="limit_per_host",
            value=basis.size,
            unit="connections",
            because=reason_of_size(basis),
            source="measured",
        ),
        http.kept_alive(
            basis,
            "keepalive_timeout",
            KEEPALIVE,
            "nginx keeps 75 s by default, uvicorn only 5 s, which needs less than that here",
        ),
        _dns_cache(basis),
        total.parameter("total"),
        connect.parameter("connect"),
        dial.parameter("sock_connect"),
        http.limited_read(basis).parameter("sock_read"),
        *gate(
            basis,
            "aiohttp alone lets a caller that has just released overtake those that wait, the gate "
            "serves them in turn",
        ),
    )


def _dns_cache(basis: Basis) -> Parameter:
    because = f"library default; a retired address is dialled for {DNS_CACHE} s at most"
    trial = basis.trial
    if _is_address(basis.target.host):
        because += "; this URL names an address, so nothing is looked up"
    elif trial is not None and trial.window > 0:
        dials = units.number(trial.connections_opened / trial.window, 2)
        because += f", and only dials look names up: {dials}/s here"
    return Parameter(
        name="ttl_dns_cache", value=DNS_CACHE, unit="s", because=because, source="library"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
