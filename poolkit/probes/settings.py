"""The target's own pool with the settings that a probe tries, straight or through a relay."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.drivers.parameters import KEEPS, PINGS
from poolkit.drivers.registry import adapter_of, driver_module
from poolkit.drivers.table import Kind
from poolkit.errors import MissingExtra
from poolkit.probes.line import Dial, Upstream
from poolkit.targets import Target

# What a connection of our own needs: the kind of a driver, also a module here -> its library.
_LIBRARIES: Mapping[Kind, str] = {"http": "h11", "postgres": "asyncpg", "redis": "redis"}


class Wire(Protocol):
    """A module of this folder: how the probes speak to one kind of target.

    `TLS_REQUEST` is what is sent before a handshake, answered with S; empty: nothing.
    """

    TLS_REQUEST: bytes

    async def dialer(self, target: Target) -> Dial:
        """Opens connections as the target's are; `NoLine` where there can be none."""
        ...

    def upstream(self, target: Target) -> Upstream | str:
        """Where a relay in front of the target leads; a text: why there can be none."""
        ...

    def work(self, target: Target, port: int | None) -> tuple[Any, ...]:
        """What the adapter takes before the size; through `port` here, None: straight."""
        ...


def wire_of(target: Target) -> Wire:
    """How the probes speak to the target; MissingExtra where the library for it is missing."""
    library = _LIBRARIES[target.kind]
    if importlib.util.find_spec(library) is None:
        raise MissingExtra(library, "drivers")
    return cast("Wire", importlib.import_module(f"poolkit.probes.{target.kind}"))


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


def make_way(target: Target, way: Way, size: int, *, port: int | None, call_timeout: float) -> Pool:
    """A pool of the target's driver kept this way; through `port` here, None: straight.

    Raises:
        MissingExtra: the driver is not installed.
    """
    arguments = driver_module(target.driver).keeping(way.keep, ping=way.ping)
    if target.library is not None:
        arguments["library"] = target.library
    work = wire_of(target).work(target, port)
    arguments |= {"call_timeout": call_timeout, "max_reply": target.max_reply}
    pool: Pool = adapter_of(target.driver)(*work, size, **arguments)
    return pool
