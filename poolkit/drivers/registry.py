"""From a target to its pool."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from poolkit.drivers.base import Pool
from poolkit.drivers.fleet import FleetPool, GatedPool
from poolkit.drivers.table import DRIVERS, Kind
from poolkit.errors import BadInput, MissingExtra
from poolkit.targets import Target
from poolkit.targets.settings import FUNCTIONS
from poolkit.targets.workload import http_work, load_function, redis_work, sql_work

_WORK: Mapping[Kind, Callable[[Target, int], Any]] = {
    "http": http_work,
    "postgres": sql_work,
    "redis": redis_work,
}
CALL_TIMEOUT = 30.0  # s, longest that one call may take while measuring
# What a pool of one size can have of these is its size less this; other sizes may have it all. (A
# pool of one connection has nothing to spare for an overflow: equal totals are compared.)
_WITHIN_SIZE = {"min_size": 0, "max_keepalive_connections": 0, "max_overflow": 1}


def driver_module(driver: str) -> Any:
    """The driver's own file, which loads its library."""
    return importlib.import_module(f"poolkit.drivers.{driver}")


def adapter_of(driver: str) -> Any:
    """The driver's pool: a class that takes the work (databases: the DSN, the work) and a size."""
    return getattr(driver_module(driver), DRIVERS[driver].adapter)


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
    libraries = (target.library,) if target.library else DRIVERS[target.driver].libraries
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
    arguments = {"call_timeout": call_timeout, "max_reply": target.max_reply}
    arguments |= _settings(target, pool_size)
    adapter = adapter_of(target.driver)
    where = () if target.is_http else (target.resolved_dsn(),)
    pool: Pool = adapter(*where, _WORK[target.kind](target, seed), pool_size, **arguments)
    return pool


def _settings(target: Target, pool_size: int) -> dict[str, Any]:
    """What targets.toml sets of the client library, as arguments of its adapter."""
    arguments = {}
    for key, value in target.library_settings().items():
        if key in FUNCTIONS:
            value = load_function(value, f"targets.{target.name}.{key}")
        if key in _WITHIN_SIZE:
            value = min(value, pool_size - _WITHIN_SIZE[key])
        arguments[DRIVERS[target.driver].settings[key]] = value
    return arguments


def dialled_by_need(target: Target) -> Target:
    """The target with a pool that dials no connection before a call needs it."""
    return target if target.min_size is not None else with_min_size(target, 0)


def dials_beforehand(target: Target) -> bool:
    """Whether the target's library dials a `min_size` of connections as its pool begins."""
    return "min_size" in DRIVERS[target.driver].settings


def with_min_size(target: Target, min_size: int) -> Target:
    """The target with a pool that dials so many connections as it begins, where it can."""
    return target.model_copy(update={"min_size": min_size}) if dials_beforehand(target) else target


def gate_size(target: Target, pool_size: int) -> int | None:
    """How many calls the gate in front of the target's pool lets through; None: no gate."""
    gated = DRIVERS[target.driver].is_gated if target.gate is None else target.gate
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
