"""The parameters of each client library, with their reasons; no library is needed for them.

    parameters(basis)           from a size and the trials that it rests on
    parameters(basis, found)    and from what a probe found, which goes before what nobody measured
    probed(driver, found)       what the probe's findings decide by themselves

A driver's parameters are those of the module of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from poolkit.drivers.parameters import aiohttp, asyncpg, httpx, psycopg, redis, sqlalchemy
from poolkit.drivers.parameters.basis import Basis
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import Keep
from poolkit.drivers.parameters.start import with_start
from poolkit.records import Parameter

__all__ = ["KEEPS", "PINGS", "Library", "parameters", "probed", "with_start"]


class Library(Protocol):
    """A module of this folder: the parameters of one driver."""

    def parameters(self, basis: Basis, found: Findings) -> tuple[Parameter, ...]:
        """Every parameter, in the order in which the pool is written."""
        ...

    def probed(self, found: Findings) -> tuple[Parameter, ...]:
        """The parameters that a probe's findings decide."""
        ...


_LIBRARIES: Mapping[str, Library] = {
    "aiohttp": aiohttp,
    "asyncpg": asyncpg,
    "httpx": httpx,
    "psycopg": psycopg,
    "redis": redis,
    "sqlalchemy": sqlalchemy,
}
# The setting that ends an idle connection before the server does. psycopg_pool and redis have none:
# they look at no age when they hand a connection out, so their way is to ask for a sign of life.
KEEPS: Mapping[str, Keep] = {
    keep.driver: keep for keep in (aiohttp.KEEP, asyncpg.KEEP, httpx.KEEP, sqlalchemy.KEEP)
}
# Drivers that can ask a connection for a sign of life before they hand it out.
PINGS: Mapping[str, str] = {
    "sqlalchemy": sqlalchemy.PING,
    "psycopg": psycopg.PING,
    "redis": redis.PING,
}


def parameters(basis: Basis, found: Findings | None = None) -> tuple[Parameter, ...]:
    """Every parameter of the target's library, each with its reason."""
    return _LIBRARIES[basis.target.driver].parameters(basis, found or Findings())


def probed(driver: str, found: Findings) -> tuple[Parameter, ...]:
    """The parameters of a driver that a probe's findings decide by themselves."""
    return _LIBRARIES[driver].probed(found)
