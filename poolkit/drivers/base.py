"""The one protocol behind which every client library's pool stands.

A new driver is a file beside this one, which alone imports the library, and a row in
`poolkit.drivers.table`; CONTRIBUTING lists what else it has.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from poolkit.records import Pooler

CLOSE_SECONDS = 2.0


class Stamps(Protocol):
    """Where an adapter notes the moments of one call, in this order; each costs a clock reading.

    Of repeated notes of one kind the first counts, since a library may go through its pool twice in
    a call (aiohttp repeats one on a dead connection). A caller may use one object for its calls.
    """

    @property
    def has_acquired(self) -> bool:
        """Whether `acquired` was noted in this call."""
        ...

    @property
    def has_dialled(self) -> bool:
        """Whether `dialled` was noted in this call."""
        ...

    def acquired(self) -> None:
        """A connection, or the right to dial one, is held."""
        ...

    def dialled(self) -> None:
        """A new connection that this call had to wait for is up; not noted for a kept one."""
        ...

    def served(self) -> None:
        """The work is done; what follows gives the connection back (reset, rollback)."""
        ...


@dataclass(frozen=True, slots=True)
class DialTimes:
    """What the dials that succeeded since `open` took, each part summed up (s)."""

    dials: int
    dns: float
    tcp: float
    tls: float

    def __add__(self, other: DialTimes) -> DialTimes:
        """Those of two pools together."""
        return DialTimes(
            self.dials + other.dials,
            self.dns + other.dns,
            self.tcp + other.tcp,
            self.tls + other.tls,
        )


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool says of itself at one moment, counted since `open`.

    `connections_opened` counts dials that succeeded, `disconnects` calls that met a connection
    which the peer had closed (retried silently by the library or not). `dial_times` is None where
    the library does not show the parts of a dial.
    """

    pool_size: int
    in_use: int
    idle: int
    waiting: int
    connections_opened: int
    disconnects: int
    dial_times: DialTimes | None = None


@runtime_checkable
class HasConnectionBudget(Protocol):
    """A pool whose server says how many connections it has left."""

    async def spare_connections(self) -> int | None:
        """Connections that may still be opened; raises `CallFailed` where the server won't say.

        None: a pooler stands before the server, so connections to it are not the server's.
        """
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What the first call showed of the server, beside that it answers.

    Attributes:
        pooler: how the pooler before a PostgreSQL lends its connections; None: there is none.
        keep_alive: s that a kept HTTP connection may idle, as the server's own header says; None:
            it says nothing.
    """

    pooler: Pooler | None = None
    keep_alive: float | None = None


@runtime_checkable
class HasFacts(Protocol):
    """A pool that tells more of its server, once a call has gone through it."""

    async def facts(self) -> Facts:
        """What was seen; never raises for what the server does."""
        ...


def has_exact_waits(pool: object) -> bool:
    """Whether a pool sees exactly when its calls acquire; only one that says otherwise does not."""
    return bool(getattr(pool, "wait_is_exact", True))


def connections_of(pool: Pool) -> int:
    """Most connections that its calls may use at once: of one pool, unless it says otherwise."""
    return int(getattr(pool, "connections", pool.pool_size))


class Pool(Protocol):
    """A connection pool of a client library, reduced to what measuring needs.

    `call` performs one unit of work and notes its moments on `stamps`; it returns after the
    connection is released, reset included, and raises only `CallFailed` and its kinds (or is
    cancelled). A pool that cannot see exactly when a call acquires has `wait_is_exact` = False.
    """

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        ...

    async def open(self) -> None:
        """Make the pool ready; raises `Unreachable` where it dials in advance and fails."""
        ...

    async def call(self, stamps: Stamps) -> None:
        """Do one unit of work on one connection."""
        ...

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot of the pool's state."""
        ...

    async def close(self) -> None:
        """Close every connection; calls still under way are ended."""
        ...


async def close_pool(pool: Pool, seconds: float = CLOSE_SECONDS) -> None:
    """Close the pool; what a silent server keeps open after `seconds` ends with the event loop."""
    task = asyncio.ensure_future(pool.close())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if task.done():
        task.result()
