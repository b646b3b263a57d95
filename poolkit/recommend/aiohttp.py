"""The parameters of an aiohttp session: its connector, its time limits and the gate in front."""

from __future__ import annotations

import ipaddress
from typing import Literal

from poolkit import units
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
    dial = limited_dial()
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
    read = Limit(hold.seconds, f"{hold.because} without a byte", hold.is_measured)
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
        _keepalive(basis),
        _dns_cache(basis),
        total.parameter("total"),
        connect.parameter("connect"),
        dial.parameter("sock_connect"),
        read.parameter("sock_read"),
        _gate(basis),
        wait.parameter("gate_timeout"),
    )


def _keepalive(basis: Basis) -> Parameter:
    seen = ""
    if basis.trial is not None:
        seen = (
            f" ({units.plural(basis.trial.disconnects, 'disconnect')} seen under load, where no "
            "connection idles)"
        )
    return Parameter(
        name="keepalive_timeout",
        value=KEEPALIVE,
        unit="s",
        because=(
            "library default; must stay below the server's idle timeout, which was not measured: "
            "nginx keeps 75 s by default, uvicorn only 5 s, which needs less than that "
            f"here{seen}"
        ),
        source="library",
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


def _gate(basis: Basis) -> Parameter:
    because = (
        "a semaphore of the pool's size, taken once: aiohttp alone lets a caller that has just "
        "released overtake those that wait, the gate serves them in turn"
    )
    if basis.crowd is not None:
        because += f"; {basis.crowd}"
    source: Literal["measured", "rule"] = "rule" if basis.crowd is None else "measured"
    return Parameter(name="gate", value=basis.size, unit="callers", because=because, source=source)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
