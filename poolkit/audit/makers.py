"""The calls that make a pool, an engine, a session or a client, and how each is used and closed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Maker:
    """One way to make something that holds connections.

    `is_http` tells sessions and clients from database pools; `noun` is what people call it.
    """

    driver: str
    noun: str
    is_http: bool


_AIOHTTP = Maker("aiohttp", "ClientSession", is_http=True)
_HTTPX = Maker("httpx", "AsyncClient", is_http=True)
_ASYNCPG = Maker("asyncpg", "asyncpg pool", is_http=False)
_PSYCOPG = Maker("psycopg", "psycopg pool", is_http=False)
_ENGINE = Maker("sqlalchemy", "SQLAlchemy engine", is_http=False)

# Library and last part of the dotted name; libraries export the same thing from several modules.
_MAKERS = {
    ("aiohttp", "ClientSession"): _AIOHTTP,
    ("httpx", "AsyncClient"): _HTTPX,
    ("httpx2", "AsyncClient"): _HTTPX,
    ("asyncpg", "create_pool"): _ASYNCPG,
    ("psycopg_pool", "AsyncConnectionPool"): _PSYCOPG,
    ("psycopg_pool", "ConnectionPool"): _PSYCOPG,
    ("sqlalchemy", "create_async_engine"): _ENGINE,
    ("sqlalchemy", "create_engine"): _ENGINE,
    ("sqlmodel", "create_engine"): _ENGINE,
}
LIBRARIES = frozenset(library for library, _ in _MAKERS)

# How each kind hands out a connection, for as long as the `async with` lasts.
ACQUIRES = {
    "asyncpg": frozenset({"acquire"}),
    "psycopg": frozenset({"connection", "getconn"}),
    "sqlalchemy": frozenset({"connect", "begin"}),
}
# Short cuts that acquire a connection of their own for one statement.
ACQUIRES_FOR_ONE_CALL = {
    "asyncpg": frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval"}),
    "psycopg": frozenset(),
    "sqlalchemy": frozenset(),
}
REQUESTS = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "request", "send", "stream"}
    | {"ws_connect"}
)
CLOSES = frozenset({"close", "aclose", "dispose", "terminate", "close_all", "__aexit__"})


def maker_of(name: str) -> Maker | None:
    """The maker that a dotted name stands for, or None."""
    return _MAKERS.get((name.partition(".")[0], name.rpartition(".")[2]))
