"""What may be said of a URL or DSN, what must never be, and which hosts it leads to.

Messages raised here name the broken rule and never quote the text, which may hold a password.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from poolkit.drivers.table import FORMS, Kind

CREDENTIAL = re.compile(
    r"pass|pwd|secret|token|key|auth|sig|credential|session|jwt|bearer", re.IGNORECASE
)
# Files and names that only sound like credentials.
_NO_CREDENTIAL = frozenset({"passfile", "sslkey", "sslkeylogfile", "target_session_attrs"})
_SHORTEST_PASSWORD = 3  # characters; a shorter one means that the user name is the key
# Scheme -> the port that it stands for, by what the client connects to.
PORTS: Mapping[Kind, Mapping[str, int]] = {
    "http": {"http": 80, "https": 443},
    "postgres": {"postgresql": 5432, "postgres": 5432},
    "redis": {"redis": 6379, "rediss": 6379},
}
_REDIS_OPTIONS = frozenset({"db", "username", "password", "protocol", "client_name"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL or DSN, taken apart.

    `printable` may be written anywhere; `hosts` are all that a client may dial (a path is a Unix
    socket); `secrets` must be written nowhere; `identity` tells two endpoints apart without them.
    """

    printable: str
    hosts: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    identity: str = field(repr=False)


def is_loopback(host: str) -> bool:
    """Whether calls to `host` cannot leave this machine, judged by its text alone."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def normal_host(host: str) -> str:
    """The form in which hosts are compared: lower case, no brackets, no final dot."""
    return host.strip().strip("[]").rstrip(".").lower()


def of_url(url: str, kind: Kind = "http") -> Endpoint:
    """Take the URL of an HTTP or Redis server apart; ValueError names the rule that it breaks."""
    ports = PORTS[kind]
    _refuse_odd_characters(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL with a valid host and a port from 1 to 65535") from None
    if parts.scheme not in ports:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in ports)}")
    if not parts.hostname:
        example = "http://127.0.0.1:8080/orders" if kind == "http" else "redis://127.0.0.1:6379/0"
        raise ValueError(f"must name a host, such as {example}")
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    _refuse_second_at_sign(parts.netloc)
    host = normal_host(parts.hostname)
    query = parse_qsl(parts.query, keep_blank_values=True)
    authority = _authority(host, port)
    shape = [f"{name}={'' if _is_credential(name) else value}" for name, value in query]
    return Endpoint(
        printable=f"{parts.scheme}://{authority}{parts.path}{'?…' if parts.query else ''}",
        hosts=(host,),
        secrets=_unique(
            *_user_secrets(parts.username, parts.password),
            *(value for name, value in query if _is_credential(name)),
        ),
        identity=" ".join(
            (parts.scheme, _authority(host, port or ports[parts.scheme]), parts.path, *shape)
        ),
    )


def together(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Several endpoints of one target as one, 1 or more."""
    first, *others = endpoints
    more = f" and {len(others)} more" if others else ""
    return Endpoint(
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
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in _REDIS_OPTIONS and not name.startswith("ssl_"):
            raise ValueError(
                "must set no more than db, username, password, protocol, client_name, ssl_...: "
                "the client prefers what the URL sets to the size and the limits that are measured"
            )
    return found


def _of_postgres(dsn: str, environ: Mapping[str, str]) -> Endpoint:
    """A PostgreSQL URI, with the variables that its client also reads.

    Hosts are those of the authority and of `?host=` together, or PGHOST where neither names one, so
    none can be dialled that was not looked at.
    """
    _refuse_odd_characters(dsn)
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise ValueError(_DSN_FORM) from None
    if parts.scheme not in PORTS["postgres"]:
        raise ValueError(_DSN_FORM)
    _refuse_second_at_sign(parts.netloc)
    if "#" in dsn:
        raise ValueError("must hold no #; write one in a password as %23")
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name in ("service", "servicefile") for name, _ in query):
        raise ValueError("must name its host itself, not through service=")
    user_info, _, authority = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    options = {name: value for name, value in query if value}
    places = _places(authority)
    for name in ("host", "hostaddr"):
        places += _places(options.get(name, ""))
    places = places or _places(environ.get("PGHOST", ""))
    ports = options.get("port") or environ.get("PGPORT") or str(PORTS["postgres"]["postgresql"])
    port = ",".join(_port(entry) for entry in ports.split(","))
    written = [_authority(host, own or port) for host, own in places if not host.startswith("/")]
    sockets = [host for host, _ in places if host.startswith("/")]
    database = (
        unquote(parts.path.removeprefix("/"))
        or options.get("dbname")
        or options.get("database", "")
    )
    where = f" (socket {', '.join(sockets)})" if sockets else ""
    shape = sorted(f"{name}={value}" for name, value in query if not _is_credential(name) and value)
    return Endpoint(
        printable=f"postgresql://{','.join(written)}/{quote(database, safe='')}{where}",
        hosts=tuple(host for host, _ in places) or ("localhost",),
        secrets=_unique(
            password,
            unquote(password),
            *(value for name, value in query if _is_credential(name)),
            environ.get("PGPASSWORD", ""),
        ),
        identity=" ".join(("postgresql", *written, *sockets, database, unquote(user), *shape)),
    )


_DSN_FORM = f"must have the form {FORMS['postgres']}"


def _places(authority: str) -> list[tuple[str, str]]:
    """(host, port or "") of each entry of a comma-separated list."""
    if not authority:
        return []
    places = []
    for entry in authority.split(","):
        text = unquote(entry)
        if text.startswith("/"):  # a socket folder, with a colon and port at most
            path, _, port = text.partition(":")
            places.append((path, port))
            continue
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            port = rest.removeprefix(":")
        elif text.count(":") > 1:  # a bare IPv6 address, as ?host= may hold
            host, port = text, ""
        else:
            host, _, port = text.partition(":")
        if not normal_host(host):
            raise ValueError("must name a host in each entry, before its port")
        places.append((normal_host(host), _port(port)))
    return places


def _port(text: str) -> str:
    if text and not (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535):
        raise ValueError("must have a port from 1 to 65535")
    return text


def _authority(host: str, port: int | str | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _refuse_odd_characters(text: str) -> None:
    # Parsers disagree about these, so the host that was checked might not be the one dialled.
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise ValueError(
            "must hold no space, backslash or control character; write them as %20 ..."
        )


def _refuse_second_at_sign(authority: str) -> None:
    if authority.count("@") > 1:
        raise ValueError("must hold one @ before the host; write one in a password as %40")


def _is_credential(name: str) -> bool:
    return name.lower() not in _NO_CREDENTIAL and CREDENTIAL.search(name) is not None


def _user_secrets(user: str | None, password: str | None) -> list[str]:
    """The password in each form it may show up in; the user name where it is the key itself."""
    if user is None:
        return []
    secrets = []
    if len(password or "") < _SHORTEST_PASSWORD:
        secrets += [user, unquote(user)]
    pair = f"{unquote(user)}:{unquote(password or '')}"
    header = base64.b64encode(pair.encode()).decode()
    return [*secrets, password or "", unquote(password or ""), pair, header]


def _unique(*secrets: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(secret for secret in secrets if secret))
