"""asyncpg's Pool as a pool: the wait is seen through its public hooks.

`setup` runs when a connection is handed out and `connect` when one is dialled, both in the
caller's task, so the first of them in a call is the moment at which the call holds a slot. Release
is part of the hold: it waits for the reset query.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import Any

import asyncpg

from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut
from poolkit.pools import postgres_errors
from poolkit.pools.base import PoolStatistics, Stamps
from poolkit.pools.postgres_errors import DIAL_TIMEOUT
from poolkit.pools.postgres_session import (
    APPLICATION,
    BACKEND_PID,
    READ_ONLY,
    SPARE_CONNECTIONS,
)
from poolkit.pools.slot import SlotCall
from poolkit.pools.user_function import run_function
from poolkit.workload import SqlWork

CLOSE_TIMEOUT = 1.0  # s; a silent server never ends the release of a connection

# The pool prints a traceback for every connection that it cannot restore; the calls tell of it.
logging.getLogger("asyncpg.pool").addHandler(logging.NullHandler())


class _Call(SlotCall):
    """What the pool's hooks learn of one call, carried to them by the task's context."""

    __slots__ = ("is_acquiring",)

    def __init__(self, stamps: Stamps) -> None:
        super().__init__(stamps)
        # Until it is handed its connection. The pool restores others in tasks of its own, which
        # inherit the context of a call that is past this.
        self.is_acquiring = True


_call: ContextVar[_Call | None] = ContextVar("poolkit_asyncpg_call", default=None)


def _acquiring_call() -> _Call | None:
    """The call that acquires in this task; None in the pool's own tasks."""
    call = _call.get()
    return call if call is not None and call.is_acquiring else None


async def session_options(
    dsn: str, *, read_only: bool, call_timeout: float
) -> tuple[bool, dict[str, Any]]:
    """Whether a pooler stands before the server, and the options to dial it with.

    Behind a pooler statements are not prepared, and the caller must begin read-only transactions.
    Costs one dial. Raises what asyncpg raises.
    """
    settings = {"application_name": APPLICATION}
    options: dict[str, Any] = {
        "timeout": DIAL_TIMEOUT,
        "command_timeout": call_timeout,
        "server_settings": settings,
    }
    connection = await asyncpg.connect(dsn, statement_cache_size=0, **options)
    try:
        pid = await connection.fetchval(BACKEND_PID, timeout=DIAL_TIMEOUT)
        is_pooled = pid != connection.get_server_pid()
    finally:
        await connection.close(timeout=DIAL_TIMEOUT)
    if is_pooled:
        options["statement_cache_size"] = 0
    elif read_only:
        settings[READ_ONLY] = "on"
    return is_pooled, options


class AsyncpgPool:
    """One asyncpg pool that does the same work in every call.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        work: the statements to run on one connection, or the coroutine function that gets it.
        pool_size: both `min_size` and `max_size`: every connection is dialled at `open`.
        call_timeout: s, most that one statement, or the function, may take.
    """

    def __init__(
        self,
        dsn: str,
        work: SqlWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
    ) -> None:
        self._dsn = dsn
        self._work = work
        self._statements = tuple((s.numbered, s.names) for s in work.statements)
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._pool: Any = None
        self._is_pooled = False
        self._opened = 0
        self._disconnects = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    async def open(self) -> None:
        """Dial every connection; raises `Unreachable` with the server's reason."""
        try:
            self._is_pooled, options = await session_options(
                self._dsn, read_only=self._work.read_only, call_timeout=self._call_timeout
            )
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=self._pool_size,
                max_size=self._pool_size,
                connect=self._dial,
                setup=self._handed_out,
                **options,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise postgres_errors.unreachable(error) from error

    async def call(self, stamps: Stamps) -> None:
        """Do the work on one connection and return it, reset included."""
        call = _Call(stamps)
        _call.set(call)
        try:
            async with self._pool.acquire() as connection:
                if self._is_pooled and self._work.read_only:
                    # Its COMMIT is a round trip of the release that only a pooler makes needed.
                    async with connection.transaction(readonly=True):
                        await self._do(connection, stamps)
                else:
                    await self._do(connection, stamps)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise self._translated(error, call) from error

    async def _do(self, connection: Any, stamps: Stamps) -> None:
        work = self._work
        if work.function is not None:
            await run_function(work.function, connection, self._call_timeout)
        else:
            values = work.draw()
            for number, (text, names) in enumerate(self._statements):
                if number and work.pause:
                    await asyncio.sleep(work.pause)
                await connection.fetch(text, *(values[name] for name in names))
        stamps.served()

    async def _dial(self, *arguments: Any, **options: Any) -> Any:
        call = _acquiring_call()
        if call is not None:
            call.take_slot()
        connection = await asyncpg.connect(*arguments, **options)
        self._opened += 1
        if call is not None:
            call.stamps.dialled()
        return connection

    async def _handed_out(self, _connection: Any) -> None:
        call = _acquiring_call()
        if call is not None:
            call.take_slot()
            call.is_acquiring = False

    def _translated(self, error: Exception, call: _Call) -> CallFailed:
        if isinstance(error, TimeoutError):
            return CallTimedOut("call_timeout") if call.has_slot else PoolTimedOut("pool_timeout")
        if isinstance(error, asyncpg.InterfaceError):
            outcome = CallFailed("disconnected", type(error).__name__)
        else:
            outcome = postgres_errors.failure(error)
        if outcome.kind == "disconnected":
            self._disconnects += 1
        return outcome

    async def spare_connections(self) -> int | None:
        """How many more connections the server has for this user, beyond those already in use.

        None where a pooler stands in between: then its own limits count, which it does not tell.
        """
        if self._is_pooled:
            return None
        try:
            return int(await self._pool.fetchval(SPARE_CONNECTIONS))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise CallFailed(type(error).__name__) from error

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot; the number of waiters has no public name in asyncpg."""
        if self._pool is None:
            return PoolStatistics(self._pool_size, 0, 0, 0, self._opened, self._disconnects)
        idle = self._pool.get_idle_size()
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=self._pool.get_size() - idle,
            idle=idle,
            waiting=sum(not waiter.done() for waiter in self._pool._queue._getters),
            connections_opened=self._opened,
            disconnects=self._disconnects,
        )

    async def close(self) -> None:
        """Close every connection, those of calls still under way as well."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._pool.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()
