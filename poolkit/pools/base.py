"""The one protocol behind which every client library's pool stands.

A new driver is one file beside this one, a row in `poolkit.pools.registry` and a row in the
contract test; nothing else imports the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Acquired = Callable[[], None]


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool says of itself at one moment, counted since `open`.

    `connections_opened` counts dials that succeeded, `disconnects` calls that met a connection
    which the peer had closed (retried silently by the library or not).
    """

    pool_size: int
    in_use: int
    idle: int
    waiting: int
    connections_opened: int
    disconnects: int


@runtime_checkable
class HasConnectionBudget(Protocol):
    """A pool whose server says how many connections it has left."""

    async def spare_connections(self) -> int:
        """Connections that may still be opened; raises `CallFailed` where the server won't say."""
        ...


class Pool(Protocol):
    """A connection pool of a client library, reduced to what measuring needs.

    `call` performs one unit of work and calls `acquired()` at the moment when a connection, or the
    right to dial one, is held; it returns after the connection is released, reset included, and
    raises only `CallFailed` and its kinds (or is cancelled).
    """

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        ...

    async def open(self) -> None:
        """Make the pool ready; raises `Unreachable` where it dials in advance and fails."""
        ...

    async def call(self, acquired: Acquired) -> None:
        """Do one unit of work on one connection."""
        ...

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot of the pool's state."""
        ...

    async def close(self) -> None:
        """Close every connection; calls still under way are ended."""
        ...
