"""One aiohttp session or httpx client for several targets: which limits then hold for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from poolkit import units
from poolkit.records import Parameter, Recommendation
from poolkit.targets import Target


@dataclass(frozen=True, slots=True)
class Session:
    """What a client that several targets share must be set to; each target keeps its own gate."""

    driver: str
    targets: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    because: str


def sessions(
    recommendations: Sequence[Recommendation], targets: Sequence[Target] = ()
) -> tuple[Session, ...]:
    """A shared client for each HTTP library that two sized targets or more are driven by.

    `targets` tell which of them lie on one host; without one, a target counts as its own host.
    """
    urls = {target.name: target.endpoint for target in targets if target.is_http}
    found = []
    for driver, build in _DRIVERS.items():
        members = [
            r
            for r in recommendations
            if library_of(r) == driver and r.recommended_size is not None and r.parameters
        ]
        if len(members) < 2:
            continue
        found.append(
            Session(
                driver=driver,
                targets=tuple(member.target for member in members),
                parameters=build(members, _by_host(members, urls)),
                because=f"For {units.listed([member.target for member in members])} in one "
                "process: one client for all of them, or one each as above, but not both.",
            )
        )
    return tuple(found)


def library_of(recommendation: Recommendation) -> str:
    """The package that a recommendation is for: its driver, or the fork of it that was measured."""
    rows = {row.name: row.value for row in recommendation.parameters}
    return str(rows.get("library", recommendation.driver))


def _by_host(
    members: Sequence[Recommendation], urls: dict[str, str]
) -> dict[str, list[Recommendation]]:
    """The targets of each (scheme, host, port), which is what a limit per host counts."""
    hosts: dict[str, list[Recommendation]] = defaultdict(list)
    for member in members:
        url = urls.get(member.target)
        parts = None if url is None else urlsplit(url)
        hosts[member.target if parts is None else f"{parts.scheme}://{parts.netloc}"].append(member)
    return hosts


def _aiohttp(
    members: Sequence[Recommendation], hosts: dict[str, list[Recommendation]]
) -> tuple[Parameter, ...]:
    widest = max(hosts, key=lambda host: _sum(hosts[host]))
    most = _sum(hosts[widest])
    least = min(_sum(others) for others in hosts.values())
    because = f"one value for all hosts, so what the widest needs: {_sizes(hosts[widest])}"
    if least < most:
        because += (
            f"; a host that needs {least} could open as many, and its gate holds it to its own size"
        )
    return (
        _of_all(members, "limit", "the smaller limit counts, so at least the sum"),
        Parameter(
            name="limit_per_host", value=most, unit="connections", because=because, source="rule"
        ),
        *(_extreme(members, name, min) for name in ("keepalive_timeout", "ttl_dns_cache")),
        *(_extreme(members, name, max) for name in ("total", "connect", "sock_connect")),
        _extreme(members, "sock_read", max),
    )


def _httpx(
    members: Sequence[Recommendation], _hosts: dict[str, list[Recommendation]]
) -> tuple[Parameter, ...]:
    return (
        _of_all(
            members,
            "max_connections",
            "httpx has no limit per host, so the sum; the gates hold each target to its own size",
        ),
        _kept_of_all(members),
        _extreme(members, "keepalive_expiry", min),
        *(_extreme(members, name, max) for name in ("connect", "read", "write", "pool")),
    )


_DRIVERS: dict[
    str,
    Callable[[Sequence[Recommendation], dict[str, list[Recommendation]]], tuple[Parameter, ...]],
] = {"aiohttp": _aiohttp, "httpx": _httpx, "httpx2": _httpx}


def _of_all(members: Sequence[Recommendation], name: str, why: str) -> Parameter:
    return Parameter(
        name=name,
        value=_sum(members),
        unit="connections",
        because=f"{why}: {_sizes(members)}",
        source="rule",
    )


def _kept_of_all(members: Sequence[Recommendation]) -> Parameter:
    """Idle connections to all hosts: the targets' own numbers added up."""
    name = "max_keepalive_connections"
    own = {
        member.target: int(row.value or 0)
        for member in members
        for row in member.parameters
        if row.name == name
    }
    if sum(own.values()) == _sum(members):
        return _of_all(members, name, "the same as max_connections")
    listed = " and ".join(f"{value} for {target}" for target, value in own.items())
    return Parameter(
        name=name,
        value=sum(own.values()),
        unit="connections",
        because=f"as each target was measured, added up: {listed}",
        source="rule",
    )


def _extreme(
    members: Sequence[Recommendation],
    name: str,
    choose: Callable[[Sequence[float]], float],
) -> Parameter:
    """The longest or shortest of the targets' own values, and whose it is."""
    rows = [row for member in members for row in member.parameters if row.name == name]
    values = [float(row.value or 0.0) for row in rows]
    chosen = choose(values)
    row = rows[values.index(chosen)]
    if len(set(values)) == 1:
        return row.model_copy(update={"because": f"the same for each of them: {row.because}"})
    owner = members[values.index(chosen)].target
    word = "longest" if chosen == max(values) else "shortest"
    return row.model_copy(update={"because": f"the {word}, that of {owner}: {row.because}"})


def _sum(members: Sequence[Recommendation]) -> int:
    return sum(member.recommended_size or 0 for member in members)


def _sizes(members: Sequence[Recommendation]) -> str:
    """`14 for orders-api and 6 for stock`."""
    return units.listed([f"{member.recommended_size} for {member.target}" for member in members])
