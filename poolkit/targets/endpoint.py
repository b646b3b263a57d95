"""What may be said of a URL or DSN, what must never be, and which hosts it leads to.

Messages raised here name the broken rule and never quote the text, which may hold a password.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from poolkit.drivers.table import Kind
from poolkit.targets.hosts import HTTP_PORTS, authority, read_url, requoted
from poolkit.targets.postgres_uri import PORT, SCHEMES, read_postgres_uri

CREDENTIAL = re.compile(
    r"pass|pwd|secret|token|key|auth|sig|credential|session|jwt|bearer", re.IGNORECASE
)
# Files and names that only sound like credentials.
_NO_CREDENTIAL = frozenset({"passfile", "sslkey", "sslkeylogfile", "target_session_attrs"})
LOCAL_NAME = "localhost"
_SHORTEST_PASSWORD = 3  # characters; a shorter one means that the user name is the key
# Scheme -> the port that it stands for, by what the client connects to.
PORTS: Mapping[Kind, Mapping[str, int]] = {
    "http": HTTP_PORTS,
    "postgres": dict.fromkeys(SCHEMES, PORT),
    "redis": {"redis": 6379, "rediss": 6379},
}
_REDIS_OPTIONS = frozenset({"db", "username", "password", "protocol", "client_name"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL or DSN, taken apart.

    `canonical` is what a library is handed; `printable` may be written anywhere; `hosts` are all
    that a client may dial (a path is a Unix socket); `secrets` must be written nowhere; `identity`
    tells two endpoints apart without them.
    """

    canonical: str = field(repr=False)
    printable: str
    hosts: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    identity: str = field(repr=False)


def is_loopback(host: str) -> bool:
    """Whether calls to `host` cannot leave this machine, judged by its text alone."""
    if host.startswith("/") or host == LOCAL_NAME:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def astray(hosts: Sequence[str]) -> str:
    """Where `localhost` among the hosts leads, unless that is this machine; empty: it does.

    The name is judged by its text, and a resolver may say otherwise: each user of it asks anew.
    """
    if LOCAL_NAME not in hosts:
        return ""
    try:
        return elsewhere(socket.getaddrinfo(LOCAL_NAME, None, type=socket.SOCK_STREAM))
    except OSError:  # whoever dials is told
        return ""


def elsewhere(found: Sequence[tuple[Any, ...]]) -> str:
    """Which address of a look-up of `localhost` is another machine's, and what to do; or empty."""
    for *_, address in found:
        if not is_loopback(str(address[0])):
            return (
                f"localhost leads to {address[0]} here, which is not this machine: write 127.0.0.1 "
                "or [::1] instead, or mend the name in /etc/hosts"
            )
    return ""


def of_url(url: str, kind: Kind = "http") -> Endpoint:
    """Take the URL of an HTTP or Redis server apart; ValueError names the rule that it breaks."""
    ports = PORTS[kind]
    found = read_url(url, ports)
    query = parse_qsl(found.query, keep_blank_values=True)
    shape = [f"{name}={'' if _is_credential(name) else value}" for name, value in query]
    where = authority(found.host, found.port or ports[found.scheme])
    return Endpoint(
        canonical=found.canonical,
        printable=f"{found.scheme}://{found.authority}{found.path}{'?…' if found.query else ''}",
        hosts=(found.host,),
        secrets=_unique(
            *_user_secrets(found.user, found.password),
            *(value for name, value in query if _is_credential(name)),
        ),
        identity=" ".join((found.scheme, where, found.path, *shape)),
    )


def together(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Several endpoints of one target as one, 1 or more."""
    first, *others = endpoints
    more = f" and {len(others)} more" if others else ""
    return Endpoint(
        canonical=" ".join(endpoint.canonical for endpoint in endpoints),
        printable=f"{first.printable}{more}",
        hosts=_unique(*(host for endpoint in endpoints for host in endpoint.hosts)),
        secrets=_unique(*(secret for endpoint in endpoints for secret in endpoint.secrets)),
        identity=" | ".join(endpoint.identity for endpoint in endpoints),
    )


def of_dsn(dsn: str, environ: Mapping[str, str], kind: Kind = "postgres") -> Endpoint:
    """Take a database's URI apart; ValueError names the rule that it breaks."""
    return _of_redis(dsn) if kind == "redis" else _of_postgres(dsn, environ)


def _of_redis(url: str) -> Endpoint:
    """A Redis URL; what its client would read from the query instead of from poolkit is refused."""
    found = of_url(url, "redis")
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    for name in names:
        if name not in _REDIS_OPTIONS and not name.startswith("ssl_"):
            raise ValueError(
                "must set no more than db, username, password, protocol, client_name, ssl_...: "
                "the client prefers what the URL sets to the size and the limits that are measured"
            )
    return found


def _of_postgres(dsn: str, environ: Mapping[str, str]) -> Endpoint:
    """A PostgreSQL URI, with the variables that its client also reads."""
    found = read_postgres_uri(dsn, environ)
    written = [authority(host, port) for host, port in found.places if not host.startswith("/")]
    sockets = [host for host, _ in found.places if host.startswith("/")]
    where = f" (socket {', '.join(sockets)})" if sockets else ""
    shape = sorted(
        f"{name}={text}" for name, text in found.query if not _is_credential(name) and text
    )
    return Endpoint(
        canonical=found.canonical,
        printable=f"postgresql://{','.join(written)}/{quote(found.database, safe='')}{where}",
        hosts=tuple(host for host, _ in found.places) or (LOCAL_NAME,),
        secrets=_unique(
            *_forms(found.password),
            *(
                form
                for n, text in found.query
                if _is_credential(n)
                for form in (text, quote(text, ""))
            ),
            environ.get("PGPASSWORD", ""),
        ),
        identity=" ".join(
            ("postgresql", *written, *sockets, found.database, unquote(found.user), *shape)
        ),
    )


def _is_credential(name: str) -> bool:
    return name.lower() not in _NO_CREDENTIAL and CREDENTIAL.search(name) is not None


def _user_secrets(user: str | None, password: str | None) -> list[str]:
    """The password in each form it may show up in; the user name where it is the key itself."""
    if user is None:
        return []
    secrets: list[str] = []
    if len(password or "") < _SHORTEST_PASSWORD:
        secrets += _forms(user)
    pair = f"{unquote(user)}:{unquote(password or '')}"
    header = base64.b64encode(pair.encode()).decode()
    return [*secrets, *_forms(password or ""), pair, header]


def _forms(text: str) -> tuple[str, ...]:
    """A text as written, decoded, and as it is handed on."""
    return text, unquote(text), requoted(text)


def _unique(*secrets: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(secret for secret in secrets if secret))
