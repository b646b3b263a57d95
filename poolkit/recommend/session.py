"""One aiohttp session or httpx client for several targets: which limits then hold for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from poolkit import units
from poolkit.records import Parameter, Recommendation


class Addressed(Protocol):
    """What files say of where a target's calls go: a `Target`, or what is still known of one."""

    @property
    def name(self) -> str:
        """That of the target."""

    @property
    def is_http(self) -> bool:
        """Whether there is a URL, and no DSN."""

    @property
    def endpoint(self) -> str:
        """Without user, password and query."""

    @property
    def dsn_env(self) -> str | None:
        """The variable that holds the DSN, where one does."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a client that several targets share must be set to; each target keeps its own gate."""

    driver: str
    targets: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    because: str


Members = Sequence[Recommendation]

_PER_TARGET = ("gate", "gate_timeout", "library", "warm_up", "start_jitter")
# How the other parameters of a client become one value for all of its targets.
_CHOICES: dict[str, dict[str, Callable[[Sequence[float]], float]]] = {
    "aiohttp": {
        "keepalive_timeout": min,
        "ttl_dns_cache": min,
        "total": max,
        "connect": max,
        "sock_connect": max,
        "sock_read": max,
    },
    "httpx": {
        "keepalive_expiry": min,
        "connect": max,
        "read": max,
        "write": max,
        "pool": max,
        "total": max,
    },
}


def sessions(recommendations: Members, targets: Sequence[Addressed] = ()) -> tuple[Session, ...]:
    """A shared client for each HTTP library that two sized targets or more are driven by.

    `targets` tell which of them lie on one host; without one, a target counts as its own host.
    """
    urls = {target.name: target.endpoint for target in targets if target.is_http}
    sized = [r for r in recommendations if r.recommended_size is not None and r.parameters]
    found = []
    for driver in ("aiohttp", "httpx", "httpx2"):
        members = [r for r in sized if library_of(r) == driver]
        if len(members) < 2:
            continue
        hosts = _by_host(members, urls)
        limits = _aiohttp_limits(members, hosts) if driver == "aiohttp" else _httpx_limits(members)
        choices = _CHOICES[driver.removesuffix("2")]
        chosen = [_chosen(members, *choice) for choice in choices.items()]
        # A parameter that is the client's alone, and the same for each target.
        merged = {*_PER_TARGET, *(row.name for row in (*limits, *chosen))}
        others = [row for row in members[0].parameters if row.name not in merged]
        names = tuple(member.target for member in members)
        found.append(
            Session(
                driver=driver,
                targets=names,
                parameters=(*limits, *chosen, *others),
                because=f"For {units.listed(list(names))} in one process: one client for all of "
                "them, or one each as above, but not both.",
            )
        )
    return tuple(found)


def library_of(recommendation: Recommendation) -> str:
    """The package that a recommendation is for: its driver, or the fork of it that was measured."""
    rows = {row.name: row.value for row in recommendation.parameters}
    return str(rows.get("library", recommendation.driver))


def _by_host(members: Members, urls: dict[str, str]) -> list[list[Recommendation]]:
    """The targets of each (scheme, host, port), which is what a limit per host counts."""
    hosts: dict[str, list[Recommendation]] = defaultdict(list)
    for member in members:
        parts = urlsplit(urls.get(member.target, ""))
        host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else member.target
        hosts[host].append(member)
    return list(hosts.values())


def _aiohttp_limits(
    members: Members, hosts: Sequence[Sequence[Recommendation]]
) -> tuple[Parameter, ...]:
    widest = max(hosts, key=_sum)
    most, least = _sum(widest), min(map(_sum, hosts))
    because = f"one value for all hosts, so what the widest needs: {_sizes(widest)}"
    if least < most:
        because += (
            f"; a host that needs {least} could open as many, and its gate holds it to its own size"
        )
    at_least = f"the smaller limit counts, so at least the sum: {_sizes(members)}"
    return (
        _connections("limit", _sum(members), at_least),
        _connections("limit_per_host", most, because),
    )


def _httpx_limits(members: Members) -> tuple[Parameter, ...]:
    because = "httpx has no limit per host, so the sum; the gates hold each target to its own size"
    name = "max_keepalive_connections"
    kept = {
        member.target: int(row.value or 0)
        for member in members
        for row in member.parameters
        if row.name == name
    }
    listed = " and ".join(f"{value} for {target}" for target, value in kept.items())
    why_kept = f"as each target was measured, added up: {listed}"
    if sum(kept.values()) == _sum(members):
        why_kept = f"the same as max_connections: {_sizes(members)}"
    return (
        _connections("max_connections", _sum(members), f"{because}: {_sizes(members)}"),
        _connections(name, sum(kept.values()), why_kept),
    )


def _connections(name: str, value: int, because: str) -> Parameter:
    return Parameter(name=name, value=value, unit="connections", because=because, source="rule")


def _chosen(members: Members, name: str, choose: Callable[[Sequence[float]], float]) -> Parameter:
    """The longest or shortest of the targets' own values, and whose it is."""
    rows = [row for member in members for row in member.parameters if row.name == name]
    values = [float(row.value or 0.0) for row in rows]
    at = values.index(choose(values))
    why = "the same for each of them"
    if len(set(values)) > 1:
        word = "longest" if values[at] == max(values) else "shortest"
        why = f"the {word}, that of {members[at].target}"
    return rows[at].model_copy(update={"because": f"{why}: {rows[at].because}"})


def _sum(members: Members) -> int:
    return sum(member.recommended_size or 0 for member in members)


def _sizes(members: Members) -> str:
    """`14 for orders-api and 6 for stock`."""
    return units.listed([f"{member.recommended_size} for {member.target}" for member in members])
