"""The driver's own settings that a probe tries, and its pool through a relay."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.drivers.parameters import KEEPS, PINGS
from poolkit.drivers.registry import adapter_of, driver_module
from poolkit.errors import MissingExtra
from poolkit.probes.http_line import place, tls_context
from poolkit.probes.relay import LOOPBACK, Upstream
from poolkit.targets import Target
from poolkit.targets.workload import HttpWork, SqlWork, http_work, sql_work

_POSTGRES_PORT = 5432
_VERIFYING = ("verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class Way:
    """How a pool's connections are kept: `keep` s at most (None: for ever), asked first or not."""

    keep: float | None = None
    ping: bool = False

    def words(self, driver: str) -> str:
        """The setting as the driver's own parameter."""
        if not looks_at_age(driver) or (self.ping and self.keep is None):
            return f"{PINGS[driver]} {'on' if self.ping else 'off'}"
        value = "off" if self.keep is None else f"{units.number(self.keep)} s"
        return f"{KEEPS[driver].name} = {value}"


def looks_at_age(driver: str) -> bool:
    """Whether the driver's pool looks at how old a connection is when it hands it out."""
    return driver in KEEPS


def make_way(
    target: Target, way: Way, size: int, *, port: int | None, call_timeout: float, host: str = ""
) -> Pool:
    """A pool of the target's driver kept this way; through `port` here, None: straight.

    Raises:
        MissingExtra: the driver is not installed.
    """
    arguments = driver_module(target.driver).keeping(way.keep, ping=way.ping)
    arguments |= {"call_timeout": call_timeout}
    if target.library is not None:
        arguments["library"] = target.library
    adapter = adapter_of(target.driver)
    if target.is_http:
        pool: Pool = adapter(request(target, port, host), size, **arguments)
    else:
        dsn = target.resolved_dsn() if port is None else _moved(target.resolved_dsn(), port)
        pool = adapter(dsn, statements(target), size, **arguments)
    return pool


def request(target: Target, port: int | None = None, host: str = "") -> HttpWork:
    """The target's request, sent to `port` on this machine where one is given.

    A function of the user's is left out: it may write, and it names hosts of its own.
    """
    work = replace(http_work(target), function=None)
    if port is None:
        return work
    parts = urlsplit(work.url)
    user, at, authority = parts.netloc.rpartition("@")
    url = parts._replace(scheme="http", netloc=f"{user}{at}{host or LOOPBACK}:{port}")
    return replace(work, url=urlunsplit(url), headers={"Host": authority, **work.headers})


def statements(target: Target, seed: int = 1) -> SqlWork:
    """The target's statements; `select 1` where a function of the user's stands in their place."""
    return SqlWork(["select 1"]) if target.work is not None else sql_work(target, seed)


def upstream(target: Target) -> Upstream | str:
    """Where a relay in front of the target leads; a text: why there can be none."""
    if target.is_http:
        url = http_work(target).url
        host, port = place(url)
        return Upstream(host, port, context=tls_context(url))
    dsn = target.resolved_dsn()
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    if options.get("sslmode") in _VERIFYING:
        return "the DSN's sslmode ties TLS to the server's name"
    try:
        host, port = parts.hostname or "", parts.port or _POSTGRES_PORT
    except ValueError:
        return "the DSN names several hosts"
    if len(target.hosts) != 1 or "host" in options or "port" in options or not host:
        return "the DSN does not name one host and port before its path"
    if target.host.startswith("/"):
        return Upstream("", port, path=str(Path(target.host) / f".s.PGSQL.{port}"))
    return Upstream(host, port)


def _moved(dsn: str, port: int) -> str:
    parts = urlsplit(dsn)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{LOOPBACK}:{port}"))


def need(library: str) -> None:
    """`MissingExtra` where a library of the drivers is not installed."""
    if importlib.util.find_spec(library) is None:
        raise MissingExtra(library, "drivers")
