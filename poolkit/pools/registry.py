"""From a target to its pool: the table of drivers."""

from __future__ import annotations

import importlib

from poolkit.errors import BadInput, MissingExtra
from poolkit.pools.base import Pool
from poolkit.pools.fleet import FleetPool
from poolkit.pools.gate import GatedPool
from poolkit.targets import Target

# driver -> library to import; a driver's adapter is poolkit.pools.<driver>.
LIBRARIES = {"aiohttp": "aiohttp", "asyncpg": "asyncpg"}

# aiohttp's own queue lets a caller that has just released overtake those that wait (starvation).
GATED_DRIVERS = frozenset({"aiohttp"})

CALL_TIMEOUT = 30.0  # s, longest that one call may take while measuring


def make_pool(target: Target, pool_size: int, *, call_timeout: float = CALL_TIMEOUT) -> Pool:
    """A pool of `pool_size` connections (1 or more) of the target's own client library.

    Raises:
        MissingExtra: the library is not installed.
        BadInput: poolkit does not drive this library.
    """
    library = LIBRARIES.get(target.driver)
    if library is None:
        raise BadInput(
            f"driver {target.driver!r} is not one of {', '.join(sorted(LIBRARIES))}",
            "choose one of these drivers in targets.toml",
        )
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise MissingExtra(library, "drivers") from error
    if target.driver == "aiohttp":
        from poolkit.pools.aiohttp import AiohttpPool

        return AiohttpPool(
            target.url or "", pool_size, method=target.method, call_timeout=call_timeout
        )
    from poolkit.pools.asyncpg import AsyncpgPool

    return AsyncpgPool(
        target.resolved_dsn(), target.statements, pool_size, call_timeout=call_timeout
    )


def gate_size(target: Target, pool_size: int) -> int | None:
    """How many calls the gate in front of the target's pool lets through; None: no gate."""
    return pool_size if target.driver in GATED_DRIVERS else None


def make_service_pool(
    target: Target, pool_size: int, *, pools: int, seed: int, gated: bool = True
) -> Pool:
    """The pools of a whole service as it would run: `pools` side by side, each behind its gate.

    `gated` false leaves the gate out, to show what it is good for.
    """

    def one() -> Pool:
        pool = make_pool(target, pool_size)
        gate = gate_size(target, pool_size) if gated else None
        return pool if gate is None else GatedPool(pool, gate)

    return one() if pools == 1 else FleetPool([one() for _ in range(pools)], seed)
