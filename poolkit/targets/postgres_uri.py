"""A PostgreSQL URI in its one form, with what the environment adds to it.

libpq and asyncpg read a URI differently: which of two hosts counts, when a list is split, what a
plus is. Here it is read once, every host with its port; what the two would take for different
things is refused, and the form that is handed on has nothing left to disagree about.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlsplit

from poolkit.drivers.table import FORMS
from poolkit.targets.hosts import (
    authority,
    canonical_host,
    canonical_port,
    refuse_odd_characters,
    requoted,
    split_entry,
    split_user,
)

PORT = 5432
SCHEMES = ("postgresql", "postgres")
_FORM = f"must have the form {FORMS['postgres']}"
_ONCE = "must say only once what {name}= says: clients disagree about which one counts"
# Option -> the variable in which a client would find it, unasked. Each leads elsewhere, or makes
# another load of the same DSN. The others say who logs in and how TLS is done; a service file
# (PGSERVICEFILE) is not read without a service, and a passfile holds passwords only.
_VARIABLES = {
    "service": "PGSERVICE",
    "hostaddr": "PGHOSTADDR",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "options": "PGOPTIONS",
}
# Options that stand before the ?, where they are not given as options.
_PLACED = ("host", "hostaddr", "port", "user", "password", "dbname", "database")


@dataclass(frozen=True, slots=True)
class PostgresUri:
    """What a URI and the environment say together.

    Attributes:
        places: host or socket folder, and port, of each server in order; empty: the client's own
            socket on this machine, where nothing names one.
        user, password: as written, percent signs included.
        query: name and value, decoded, as written: also those that are placed before the ?.
        port: of the socket where `places` is empty; None: the client's own.
    """

    places: tuple[tuple[str, int], ...]
    user: str
    password: str
    database: str
    query: tuple[tuple[str, str], ...]
    port: int | None = None

    @property
    def canonical(self) -> str:
        """The text that libpq, asyncpg and SQLAlchemy read as this URI; secrets included."""
        options = {name: value for name, value in self.query if value}
        user = requoted(self.user) or quote(options.get("user", ""), safe="")
        password = requoted(self.password) or quote(options.get("password", ""), safe="")
        info = f"{user}:{password}@" if password else user and f"{user}@"
        where = ",".join(
            f"{quote(host, safe='')}:{port}" if host.startswith("/") else authority(host, port)
            for host, port in self.places
        )
        path = f"/{quote(self.database, safe='')}" if self.database else ""
        left = [(name, value) for name, value in options.items() if name not in _PLACED]
        if self.port is not None:
            left.insert(0, ("port", str(self.port)))
        query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in left)
        return f"postgresql://{info}{where}{path}{'?' if query else ''}{query}"


def read_postgres_uri(dsn: str, environ: Mapping[str, str]) -> PostgresUri:
    """Take a URI apart; ValueError names the rule that it, or the environment, breaks."""
    refuse_odd_characters(dsn)
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in SCHEMES or not dsn[len(parts.scheme) :].startswith("://"):
        raise ValueError(_FORM)
    user, password, where = split_user(parts.netloc)
    if "#" in dsn:
        raise ValueError("must hold no #; write one in a password as %23")
    _refuse_undecodable(dsn)
    options, query = _options(parts.query)
    database = unquote(parts.path.removeprefix("/"))
    _refuse_twice(options, user, password, where, database)
    _refuse_variables(options, environ)
    places, port = _places(where, options, environ)
    return PostgresUri(
        places=places,
        user=user or "",
        password=password or "",
        database=database or options.get("dbname") or options.get("database", ""),
        query=query,
        port=port,
    )


def _refuse_undecodable(dsn: str) -> None:
    if re.search(r"%(00|(?![0-9a-fA-F]{2}))", dsn):
        raise ValueError("must hold no % but before two digits of a character, and no %00")
    try:
        unquote_to_bytes(dsn).decode()
    except UnicodeDecodeError:
        raise ValueError("must hold characters of UTF-8 in its %XX") from None


def _options(query: str) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The options that have a value, and all as written."""
    if "+" in query:
        raise ValueError("must hold no + behind the ?: write %2B for a plus, %20 for a space")
    pairs = parse_qsl(query, keep_blank_values=True)
    given = [name for name, value in pairs if value]
    for name in given:
        if given.count(name) > 1:
            raise ValueError("must set no option twice: clients disagree about which one counts")
        if name in ("service", "servicefile"):
            raise ValueError("must name its host itself, not through service=")
        if name.startswith("oauth_"):
            raise ValueError(
                "must set no oauth_...: the client would ask another server for a login"
            )
        if name == "replication":
            raise ValueError(
                "must set no replication=: its commands are no SQL, and read-only stops none"
            )
    return {name: value for name, value in pairs if value}, tuple(pairs)


def _refuse_twice(
    options: Mapping[str, str],
    user: str | None,
    password: str | None,
    where: str,
    database: str,
) -> None:
    """Whatever is said twice: libpq obeys the option, asyncpg what stands before the ?."""
    before = {"host": where, "hostaddr": where or options.get("host"), "user": user}
    before |= {"password": password, "dbname": database}
    before["database"] = database or options.get("dbname")
    for name, said in before.items():
        if said and name in options:
            raise ValueError(_ONCE.format(name=name))


def _refuse_variables(options: Mapping[str, str], environ: Mapping[str, str]) -> None:
    for name, variable in _VARIABLES.items():
        if environ.get(variable) and name not in options:
            write = "the host" if name in ("service", "hostaddr") else f"{name}="
            raise ValueError(
                f"must be dialled without {variable}, which some clients obey unasked: "
                f"unset {variable}, and write {write} in the DSN where it is meant"
            )


def _places(
    where: str, options: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[tuple[tuple[str, int], ...], int | None]:
    """Each server with its port; without any, the port of the client's own socket."""
    found = [_written(entry) for entry in where.split(",")] if where else []
    if "hostaddr" in options:
        found = [(_address(entry), None) for entry in options["hostaddr"].split(",")]
    elif not found and (listed := options.get("host") or environ.get("PGHOST")):
        found = [_listed(entry) for entry in listed.split(",")]
    if "port" in options and any(port for _, port in found):
        raise ValueError(_ONCE.format(name="port"))
    said = options.get("port") or environ.get("PGPORT")
    ports = [canonical_port(entry) or PORT for entry in said.split(",")] if said else [PORT]
    if len(ports) > 1 and len(ports) != len(found):
        raise ValueError("must have one port for all hosts, or one for each")
    if not found:
        return (), ports[0] if said else None
    ports = ports * len(found) if len(ports) == 1 else ports
    return _filled(found, ports), None


def _filled(
    found: Sequence[tuple[str, int | None]], ports: Sequence[int]
) -> tuple[tuple[str, int], ...]:
    return tuple((host, own or port) for (host, own), port in zip(found, ports, strict=True))


def _written(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry before the path, where a host is percent-encoded once."""
    host, port = split_entry(entry)
    return _host(unquote(host)), port


def _listed(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry of ?host= or PGHOST, where nothing is encoded any more."""
    if entry.startswith("/") or (entry.count(":") > 1 and not entry.startswith("[")):
        return _host(entry), None
    host, port = split_entry(entry)
    return _host(host), port


def _host(text: str) -> str:
    if not text:
        raise ValueError("must name a host in each entry, before its port")
    return _folder(text) if text.startswith("/") else canonical_host(text)


def _folder(text: str) -> str:
    """The folder of a Unix socket."""
    # libpq splits the list after decoding; asyncpg takes a path with .s.PGSQL. for the socket.
    if "," in text or ".s.PGSQL." in text or not text.isprintable():
        raise ValueError(
            "must name its socket by the folder, such as %2Frun%2Fpostgresql, without a comma"
        )
    return "/" + text.strip("/")


def _address(text: str) -> str:
    host = canonical_host(text)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(
            "must have an address in hostaddr=; a name belongs before the path"
        ) from None
    return host
