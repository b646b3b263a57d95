"""The table of drivers: one row each, and whatever the rest of poolkit asks about one by name.

It loads no library and nothing else of poolkit's, so that everybody may read it. A driver's own
code is `poolkit.drivers.NAME`, loaded when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

DNS_CACHE = 10  # s that aiohttp keeps a looked-up address unless told otherwise
Driver = Literal["aiohttp", "httpx", "asyncpg", "sqlalchemy", "psycopg", "redis"]
Kind = Literal["http", "postgres", "redis"]
# How the address of each is written.
FORMS: Mapping[Kind, str] = {
    "http": "http://HOST:PORT/PATH",
    "postgres": "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    "redis": "redis://USER:PASSWORD@HOST:PORT/DATABASE",
}
# What a failed attempt left behind; `disconnected`: not known.
Safety = Literal["not_sent", "rolled_back", "disconnected"]


# What a setting does to connections that idle. "ends": none that idled longer is handed out;
# "shrinks": one is closed each time it passes; "asks": each is asked for a sign of life when it is
# handed out, which finds one that the server closed, but waits as long as a call does where the
# connection was dropped in silence.
Does = Literal["ends", "shrinks", "asks"]
PING_WAITS = "a connection that was dropped in silence makes a ping wait as long as a call"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSetting:
    """A setting of a library's own pool about connections that idle, as its source has it.

    Args:
        name, default: the argument and its default (s); None: off by default, or a switch.
        floor: the argument, and its default, of connections that it leaves alone for ever.
        zero_is_endless: whether 0 turns it off.
        from_dial: whether it counts from the dial, and so ends connections in use as well.
        words: what it leaves undone.
    """

    name: str
    does: Does
    default: float | None = None
    floor: tuple[str, int] | None = None
    zero_is_endless: bool = False
    from_dial: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One driver.

    Args:
        kind: what its pool connects to.
        adapter: the name of the pool in the driver's file.
        libraries: what has to be installed to drive it.
        settings: key of targets.toml -> argument of the adapter.
        idle: the arguments of the library's own pool about idle connections.
        has_lifetime: whether the pool replaces a connection at an age, used or not.
        keeps_addresses: whether it remembers what a name was looked up as.
        is_gated: whether a gate stands before its pool unless targets.toml says otherwise: its own
            queue lets a caller that has just released overtake those that wait (starvation).
        watched: package of the class of a pool that can be listened to -> the packages whose
            frames are then not the program's own.
        watched_names: what such a pool is called.
        lost: how a lost connection shows: an exception's class by its full name (no library has to
            be installed to read it), words of its text in lower case (empty where the class stands
            for nothing else), and what the attempt left behind.
    """

    kind: Kind
    adapter: str
    libraries: tuple[str, ...]
    settings: Mapping[str, str]
    idle: tuple[IdleSetting, ...] = ()
    has_lifetime: bool = False
    keeps_addresses: bool = False
    is_gated: bool = False
    watched: Mapping[str, tuple[str, ...]]
    watched_names: str
    lost: tuple[tuple[str, str, Safety], ...] = ()


# Defaults are those of aiohttp 3.14, httpx 0.28, asyncpg 0.32 and psycopg_pool 3.3.
DRIVERS: dict[str, Row] = {
    "aiohttp": Row(
        kind="http",
        adapter="AiohttpPool",
        libraries=("aiohttp",),
        settings={
            "keepalive_timeout": "keepalive_timeout",
            "ttl_dns_cache": "ttl_dns_cache",
            "sweep": "binds",
        },
        idle=(IdleSetting(name="keepalive_timeout", does="ends", default=15.0),),
        keeps_addresses=True,
        is_gated=True,
        watched={"aiohttp": ("aiohttp",)},
        watched_names="aiohttp.ClientSession or TCPConnector",
        lost=(
            ("aiohttp.client_exceptions.ServerDisconnectedError", "", "disconnected"),
            ("aiohttp.client_exceptions.ClientConnectorError", "", "not_sent"),
        ),
    ),
    "httpx": Row(
        kind="http",
        adapter="HttpxPool",
        libraries=("httpx",),
        settings={
            "keepalive_timeout": "keepalive_expiry",
            "library": "library",
            "max_keepalive_connections": "max_keepalive_connections",
        },
        idle=(IdleSetting(name="keepalive_expiry", does="ends", default=5.0),),
        is_gated=True,
        watched={
            "httpx": ("httpx", "httpcore"),
            "httpcore": ("httpx", "httpcore"),
            "httpx2": ("httpx2", "httpcore2"),
            "httpcore2": ("httpx2", "httpcore2"),
        },
        watched_names="httpx.AsyncClient",
        lost=(
            ("httpx.ConnectError", "", "not_sent"),
            ("httpx.ReadError", "", "disconnected"),
            ("httpx.WriteError", "", "disconnected"),
            ("httpx.CloseError", "", "disconnected"),
            ("httpx.RemoteProtocolError", "disconnected", "disconnected"),
        ),
    ),
    "asyncpg": Row(
        kind="postgres",
        adapter="AsyncpgPool",
        libraries=("asyncpg",),
        settings={
            name: name for name in ("min_size", "statement_cache_size", "reset", "init", "setup")
        },
        idle=(
            IdleSetting(
                name="max_inactive_connection_lifetime",
                does="ends",
                default=300.0,
                floor=("min_size", 10),
                zero_is_endless=True,
                words="asyncpg 0.32 leaves connections up to min_size alone, however long they "
                "idle",
            ),
        ),
        watched={"asyncpg": ("asyncpg",)},
        watched_names="asyncpg.Pool",
        lost=(
            ("asyncpg.exceptions.ConnectionDoesNotExistError", "", "disconnected"),
            ("asyncpg.exceptions._base.InterfaceError", "connection is closed", "disconnected"),
        ),
    ),
    "sqlalchemy": Row(
        kind="postgres",
        adapter="SqlalchemyPool",
        libraries=("sqlalchemy", "greenlet", "asyncpg"),
        settings={
            name: name
            for name in (
                *("max_overflow", "pool_timeout", "pool_pre_ping", "pool_recycle"),
                "pool_use_lifo",
            )
        },
        idle=(
            IdleSetting(name="pool_recycle", does="ends", from_dial=True),
            IdleSetting(name="pool_pre_ping", does="asks"),
        ),
        has_lifetime=True,
        watched={"sqlalchemy": ("sqlalchemy", "asyncpg", "greenlet")},
        watched_names="SQLAlchemy's AsyncEngine (on its default pool)",
    ),
    "psycopg": Row(
        kind="postgres",
        adapter="PsycopgPool",
        libraries=("psycopg", "psycopg_pool"),
        settings={"min_size": "min_size", "timeout": "pool_timeout", "max_waiting": "max_waiting"},
        idle=(
            IdleSetting(
                name="max_idle",
                does="shrinks",
                default=600.0,
                floor=("min_size", 4),
                words="closes one unused connection beyond min_size each time it passes",
            ),
            IdleSetting(name="check", does="asks"),
        ),
        has_lifetime=True,
        watched={"psycopg_pool": ("psycopg_pool", "psycopg")},
        watched_names="psycopg_pool.AsyncConnectionPool",
        lost=(
            ("psycopg.OperationalError", "the connection is closed", "disconnected"),
            ("psycopg.OperationalError", "server closed the connection", "disconnected"),
            ("psycopg.OperationalError", "connection failed", "not_sent"),
            ("psycopg.OperationalError", "connection reset", "disconnected"),
            ("psycopg.OperationalError", "consuming input failed", "disconnected"),
            ("psycopg.OperationalError", "sending query failed", "disconnected"),
            ("psycopg.OperationalError", "terminating connection", "disconnected"),
        ),
    ),
    "redis": Row(
        kind="redis",
        adapter="RedisPool",
        libraries=("redis",),
        settings={
            "pool_class": "pool_class",
            "timeout": "pool_timeout",
            "health_check_interval": "health_check_interval",
        },
        idle=(IdleSetting(name="health_check_interval", does="asks"),),
        is_gated=True,
        watched={"redis": ("redis",)},
        watched_names="redis.asyncio's ConnectionPool or Redis",
        lost=(
            ("redis.exceptions.ConnectionError", "connection closed by server", "disconnected"),
            ("redis.exceptions.ConnectionError", "while reading from", "disconnected"),
            ("redis.exceptions.ConnectionError", "while writing to socket", "disconnected"),
            ("redis.exceptions.ConnectionError", "connecting to", "not_sent"),
        ),
    ),
}
SUPPORTED_DRIVERS: tuple[Driver, ...] = get_args(Driver)
HTTP_DRIVERS = tuple(name for name in SUPPORTED_DRIVERS if DRIVERS[name].kind == "http")
DATABASE_DRIVERS = tuple(name for name in SUPPORTED_DRIVERS if name not in HTTP_DRIVERS)


def idle_setting(driver: str, *does: Does) -> IdleSetting | None:
    """The driver's setting that does one of these to idle connections."""
    return next((one for one in DRIVERS[driver].idle if one.does in does), None)


def keeps(driver: str) -> tuple[str, float]:
    """The argument that ends idle connections and its default (s), of a driver that has both."""
    found = idle_setting(driver, "ends")
    assert found is not None
    assert found.default is not None
    return found.name, found.default


def pings(driver: str) -> str:
    """The argument that has connections asked before use, of a driver that has one."""
    found = idle_setting(driver, "asks")
    assert found is not None
    return found.name
