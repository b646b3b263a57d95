"""Whom each client library would dial for a URL or DSN, by the library's own parser."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.request
from collections.abc import Callable

import asyncpg.connect_utils as asyncpg_parser
import httpx
import redis.asyncio.connection as redis_asyncio
import redis.connection
import yarl
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from poolkit.targets.endpoint import PORTS

Place = tuple[str, int]
ANY_SOCKET = ""  # in place of a host: the client's own socket on this machine
_CONTEXT = ssl.create_default_context()
_OWN_SOCKETS = frozenset(
    {"/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost"}
)


def by_yarl(url: str) -> list[Place]:
    """aiohttp's."""
    found = yarl.URL(url)
    assert found.raw_host is not None
    assert found.port is not None
    return [(found.raw_host, found.port)]


def by_httpx(url: str) -> list[Place]:
    """httpx's, which leaves the usual port out."""
    found = httpx.URL(url)
    return [(found.raw_host.decode(), found.port or PORTS["http"][found.scheme])]


def by_urllib(url: str) -> list[Place]:
    """That of Prometheus's client, with the connection that it would open."""
    request = urllib.request.Request(url)
    host = request.host.rpartition("@")[2]  # urllib dials no URL with a user
    made = http.client.HTTPConnection(host)
    if request.type == "https":
        made = http.client.HTTPSConnection(host, context=_CONTEXT)
    return [(made.host, made.port)]


def by_redis(url: str) -> list[Place]:
    """redis-py's, of both its halves."""
    found = dict(redis_asyncio.parse_url(url))
    assert dict(redis.connection.parse_url(url))["host"] == found["host"]
    return [(found["host"], found.get("port", 6379))]


def by_libpq(dsn: str) -> list[Place]:
    """psycopg's: libpq's parser, with what libpq takes from the environment and service files."""
    found = conninfo_to_dict(dsn)
    defaults = {
        option.keyword.decode(): (option.val or b"").decode()
        for option in pq.Conninfo.get_defaults()
    }
    said = {name: str(found.get(name) or defaults[name] or "") for name in ("host", "hostaddr")}
    assert not said["hostaddr"]
    assert not defaults["service"]
    ports = str(found.get("port") or defaults["port"] or 5432).split(",")
    if not said["host"]:
        return [(ANY_SOCKET, int(port)) for port in ports]
    hosts = said["host"].split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [(host, int(port)) for host, port in zip(hosts, ports, strict=True)]


def by_asyncpg(dsn: str) -> list[Place]:
    """asyncpg's."""
    addresses, _ = asyncpg_parser._parse_connect_dsn_and_args(
        dsn=dsn, host=None, port=None, user="u", password="p", passfile=None, database="d",
        ssl=False, service=None, servicefile=None, direct_tls=None, server_settings=None,
        target_session_attrs=None, krbsrvname=None, gsslib=None,
    )  # fmt: skip
    places = []
    for address in addresses:
        if isinstance(address, tuple):
            places.append((address[0], int(address[1])))
        else:
            folder, _, port = address.rpartition("/.s.PGSQL.")
            places.append((folder or "/", int(port)))
    if {host for host, _ in places} == _OWN_SOCKETS:
        return [(ANY_SOCKET, places[0][1])]
    return places


def by_sqlalchemy(dsn: str) -> list[Place]:
    """SQLAlchemy's, which knows one host and no socket before the path."""
    found = make_url(dsn)
    assert found.host is not None
    return [(found.host, found.port or 5432)]


Reader = Callable[[str], list[Place]]
HTTP: tuple[Reader, ...] = (by_yarl, by_httpx, by_urllib)
POSTGRES: tuple[Reader, ...] = (by_libpq, by_asyncpg)
# What may be set beside a DSN.
VARIABLES = (
    *("PGHOST", "PGPORT", "PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGPASSFILE", "PGOPTIONS"),
    *("PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGUSER", "PGDATABASE", "PGPASSWORD"),
)


def with_variables(environ: dict[str, str]) -> None:
    """Set these of VARIABLES and no other: libpq reads the process's own environment."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(environ)
