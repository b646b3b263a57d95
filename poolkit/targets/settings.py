"""How a target's client library is set up beside its measured size, and the caps of the load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from poolkit.drivers.table import DRIVERS, MAX_REPLY
from poolkit.targets.words import check_function_name, nearest, read_bytes

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
# They read only and take no body; naming another method is what allows writes.
READING_METHODS: tuple[Method, ...] = ("GET", "HEAD", "OPTIONS")
FUNCTIONS = ("init", "setup")  # settings that name a function of the user's
Binds = Literal["limit", "limit_per_host"]
HttpxLibrary = Literal["httpx", "httpx2"]
RedisPoolClass = Literal["blocking", "default"]
# Of any count, time (s) and rate: larger ones overflow timers and libraries.
_MOST = 1_000_000_000


class Settings(BaseModel):
    """The keys of a target that set its client library up; None: the library's own default.

    Args:
        keepalive_timeout: aiohttp, httpx: s that an idle connection is kept, more than 0.
        library: httpx: which of the two packages with its interface; httpx2 is the maintained fork.
        max_keepalive_connections: httpx: idle connections kept, 0 or more; at most each size.
        ttl_dns_cache: aiohttp: s that a looked-up address is kept, a whole number, 0 or more.
        sweep: aiohttp with several `urls`: whether the measured size is the session's `limit`, the
            hosts taking what they need of it, or is shared out evenly as `limit_per_host`. None:
            both limits are the size.
        min_size: asyncpg, psycopg: connections dialled beforehand and kept, 0 or more; at most each
            size. Others are dialled on demand.
        statement_cache_size: asyncpg: prepared statements kept on a connection, 0 or more.
        reset: asyncpg: whether connections are reset before they go back (a round trip).
        init, setup: asyncpg: "module:function", run on each new connection, and each time one is
            handed out.
        max_overflow: sqlalchemy: of each measured size, the connections that are dialled on demand
            and closed on return; at most size - 1 are. The engine's pool_size is the rest.
        pool_timeout: sqlalchemy: s that a call may wait for a connection, more than 0.
        pool_pre_ping: sqlalchemy: whether each checkout asks the server for a sign of life.
        pool_recycle: sqlalchemy: s after which a connection is replaced, more than 0.
        pool_use_lifo: sqlalchemy: hand out the connection that was returned last.
        timeout: psycopg, redis: s that a call may wait for a connection, more than 0.
        max_waiting: psycopg: calls that may wait at once, 0 for any number.
        pool_class: redis: "blocking" is the pool that lets callers wait for a connection, "default"
            the one that the library takes by itself and that turns them away.
        health_check_interval: redis: s of idling after which a connection is asked for a sign of
            life before its next command, a whole number; 0: never.
        max_rate: no more calls/s than this are sent, 1.2 times the target rate (with its growth) or
            more; where push is False that rate or more.
        max_calls: no more calls than this are sent by one run, the first ones included, 1 or more.
        max_reply: bytes that one call may receive, decompressed or not, 1 KiB or more; in
            targets.toml a text with its unit, such as "64 MiB", or a number of bytes.
    """

    keepalive_timeout: float | None = Field(None, gt=0, le=_MOST)
    library: HttpxLibrary | None = None
    max_keepalive_connections: int | None = Field(None, ge=0, le=_MOST)
    ttl_dns_cache: int | None = Field(None, ge=0, le=_MOST)
    sweep: Binds | None = None
    min_size: int | None = Field(None, ge=0, le=_MOST)
    statement_cache_size: int | None = Field(None, ge=0, le=_MOST)
    reset: bool | None = None
    init: str | None = None
    setup: str | None = None
    max_overflow: int | None = Field(None, ge=0, le=_MOST)
    pool_timeout: float | None = Field(None, gt=0, le=_MOST)
    pool_pre_ping: bool | None = None
    pool_recycle: float | None = Field(None, gt=0, le=_MOST)
    pool_use_lifo: bool | None = None
    timeout: float | None = Field(None, gt=0, le=_MOST)
    max_waiting: int | None = Field(None, ge=0, le=_MOST)
    pool_class: RedisPoolClass | None = None
    health_check_interval: int | None = Field(None, ge=0, le=_MOST)
    max_rate: float | None = Field(None, gt=0, le=_MOST)
    max_calls: int | None = Field(None, ge=1, le=_MOST)
    max_reply: Annotated[int, BeforeValidator(read_bytes)] = MAX_REPLY

    @field_validator(*FUNCTIONS)
    @classmethod
    def _check_function(cls, function: str | None) -> str | None:
        return check_function_name(function)

    def library_settings(self) -> dict[str, Any]:
        """The settings of the client library that are given, as written."""
        given = {key: getattr(self, key) for key in SETTINGS}
        return {key: value for key, value in given.items() if value is not None}


# Key -> the drivers that know it, each with the name of the argument that its adapter has for it.
# A new setting is a field above and a row in the table of drivers.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    key: {name: row.settings[key] for name, row in DRIVERS.items() if key in row.settings}
    for key in Settings.model_fields
    if any(key in row.settings for row in DRIVERS.values())
}


def settings_of(driver: str) -> tuple[str, ...]:
    """The keys that set this driver up."""
    return tuple(key for key, drivers in SETTINGS.items() if driver in drivers)


def misplaced_settings(given: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """(key, broken rule) of settings that belong to another driver than the target's."""
    driver = str(given.get("driver"))
    own = settings_of(driver)
    for key, drivers in SETTINGS.items():
        if key in given and driver not in drivers:
            takes = f"{driver} takes {', '.join(own)}" if own else f"{driver} has no such settings"
            yield key, f"belongs to {' and '.join(drivers)}; {takes}{nearest(key, own)}"
