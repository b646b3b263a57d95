"""From a target to its pool: the table of drivers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from poolkit.drivers.base import Pool
from poolkit.drivers.fleet import FleetPool, GatedPool
from poolkit.errors import BadInput, MissingExtra
from poolkit.targets import Target
from poolkit.targets.settings import FUNCTIONS, SETTINGS
from poolkit.targets.workload import http_work, load_function, sql_work

# Their own queues let a caller that has just released overtake those that wait (starvation).
GATED_DRIVERS = frozenset({"aiohttp", "httpx"})

CALL_TIMEOUT = 30.0  # s, longest that one call may take while measuring


def _aiohttp(target: Target, pool_size: int, seed: int, settings: dict[str, Any]) -> Pool:
    from poolkit.drivers.aiohttp import AiohttpPool

    return AiohttpPool(http_work(target, seed), pool_size, **settings)


def _within(settings: dict[str, Any], key: str, most: int) -> None:
    """Hold a setting to what a pool of the size at hand can have; other sizes may have it all."""
    if key in settings:
        settings[key] = min(settings[key], most)


def _asyncpg(target: Target, pool_size: int, seed: int, settings: dict[str, Any]) -> Pool:
    from poolkit.drivers.asyncpg import AsyncpgPool

    _within(settings, "min_size", pool_size)
    return AsyncpgPool(target.resolved_dsn(), sql_work(target, seed), pool_size, **settings)


def _httpx(target: Target, pool_size: int, seed: int, settings: dict[str, Any]) -> Pool:
    from poolkit.drivers.httpx import HttpxPool

    _within(settings, "max_keepalive_connections", pool_size)
    return HttpxPool(http_work(target, seed), pool_size, **settings)


def _sqlalchemy(target: Target, pool_size: int, seed: int, settings: dict[str, Any]) -> Pool:
    from poolkit.drivers.sqlalchemy import SqlalchemyPool

    # Equal totals are compared, and a size of one has nothing to spare for an overflow.
    _within(settings, "max_overflow", pool_size - 1)
    return SqlalchemyPool(target.resolved_dsn(), sql_work(target, seed), pool_size, **settings)


def _psycopg(target: Target, pool_size: int, seed: int, settings: dict[str, Any]) -> Pool:
    from poolkit.drivers.psycopg import PsycopgPool

    _within(settings, "min_size", pool_size)
    return PsycopgPool(target.resolved_dsn(), sql_work(target, seed), pool_size, **settings)


# driver -> the libraries that it needs, and the maker of its pool. A driver's adapter is
# poolkit.drivers.<driver>, imported when it is first asked for.
_Maker = Callable[[Target, int, int, dict[str, Any]], Pool]
DRIVERS: dict[str, tuple[tuple[str, ...], _Maker]] = {
    "aiohttp": (("aiohttp",), _aiohttp),
    "asyncpg": (("asyncpg",), _asyncpg),
    "psycopg": (("psycopg", "psycopg_pool"), _psycopg),
    "sqlalchemy": (("sqlalchemy", "greenlet", "asyncpg"), _sqlalchemy),
    "httpx": (("httpx",), _httpx),
}


def check_driver(target: Target) -> None:
    """Look whether the target's driver can be used, without loading it.

    Raises:
        MissingExtra: a library is not installed.
        BadInput: poolkit has no adapter for it.
    """
    if target.driver not in DRIVERS:
        raise BadInput(
            f"driver {target.driver!r} is not one of {', '.join(sorted(DRIVERS))}",
            "choose one of these drivers in targets.toml",
        )
    libraries = (target.library,) if target.library else DRIVERS[target.driver][0]
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "drivers")


def make_pool(
    target: Target, pool_size: int, *, seed: int = 0, call_timeout: float = CALL_TIMEOUT
) -> Pool:
    """A pool of `pool_size` connections (1 or more) of the target's own client library.

    `seed` is that of the values drawn for statements with parameters.

    Raises:
        MissingExtra: the library is not installed.
        BadInput: poolkit does not drive this library, or the target's work cannot be loaded.
    """
    check_driver(target)
    _, maker = DRIVERS[target.driver]
    return maker(target, pool_size, seed, {"call_timeout": call_timeout, **_settings(target)})


def _settings(target: Target) -> dict[str, Any]:
    """What targets.toml sets of the client library, as arguments of its adapter."""
    arguments = {}
    for key, value in target.library_settings().items():
        if key in FUNCTIONS:
            value = load_function(value, f"targets.{target.name}.{key}")
        arguments[SETTINGS[key][target.driver]] = value
    return arguments


def gate_size(target: Target, pool_size: int) -> int | None:
    """How many calls the gate in front of the target's pool lets through; None: no gate."""
    gated = target.driver in GATED_DRIVERS if target.gate is None else target.gate
    return pool_size if gated else None


def make_service_pool(
    target: Target, pool_size: int, *, pools: int, seed: int, gated: bool = True
) -> Pool:
    """The pools of a whole service as it would run: `pools` side by side, each behind its gate.

    `gated` false leaves the gate out, to show what it is good for.
    """

    def one(index: int) -> Pool:
        pool = make_pool(target, pool_size, seed=seed + index)
        gate = gate_size(target, pool_size) if gated else None
        return pool if gate is None else GatedPool(pool, gate)

    return one(0) if pools == 1 else FleetPool([one(index) for index in range(pools)], seed)
