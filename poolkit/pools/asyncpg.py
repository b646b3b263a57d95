"""asyncpg's Pool as a pool: the wait is seen through its public hooks.

`setup` runs when a connection is handed out and `connect` when one is dialled, both in the
caller's task, so the first of them in a call is the moment at which the call holds a slot. Release
is part of the hold: it waits for the reset query.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import asyncpg

from poolkit.errors import CallFailed, CallRejected, CallTimedOut, PoolTimedOut, Unreachable
from poolkit.pools.base import PoolStatistics, Stamps

DIAL_TIMEOUT = 10.0  # s
_SPARE_CONNECTIONS = """
select current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int
     - coalesce(current_setting('reserved_connections', true)::int, 0)
     - (select count(*) from pg_stat_activity where backend_type = 'client backend')
"""


class _Call:
    """What the pool's hooks learn of one call, carried to them by the task's context."""

    __slots__ = ("has_slot", "stamps", "task")

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.has_slot = False
        # The pool restores connections in tasks of its own, which inherit some caller's context.
        self.task = asyncio.current_task()

    def take_slot(self) -> None:
        """The call holds a connection from here on; the first time counts."""
        if not self.has_slot:
            self.has_slot = True
            self.stamps.acquired()


_call: ContextVar[_Call | None] = ContextVar("poolkit_asyncpg_call", default=None)


def _current_call() -> _Call | None:
    """The call that this task makes; None in the pool's own tasks."""
    call = _call.get()
    return call if call is not None and call.task is asyncio.current_task() else None


class AsyncpgPool:
    """One asyncpg pool that runs the same statements in every call.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        statements: SQL texts, run one after the other on one connection.
        pool_size: both `min_size` and `max_size`: every connection is dialled at `open`.
        call_timeout: s, most that one statement may take.
        read_only: whether transactions refuse to write.
    """

    def __init__(
        self,
        dsn: str,
        statements: Sequence[str],
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        read_only: bool = True,
    ) -> None:
        self._dsn = dsn
        self._statements = tuple(statements)
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._read_only = read_only
        self._pool: Any = None
        self._opened = 0
        self._disconnects = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    async def open(self) -> None:
        """Dial every connection; raises `Unreachable` with the server's reason."""
        settings = {"application_name": "poolkit"}
        if self._read_only:
            settings["default_transaction_read_only"] = "on"
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=self._pool_size,
                max_size=self._pool_size,
                timeout=DIAL_TIMEOUT,
                command_timeout=self._call_timeout,
                connect=self._dial,
                setup=self._handed_out,
                server_settings=settings,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise Unreachable(*_refusal(error)) from error

    async def call(self, stamps: Stamps) -> None:
        """Run the statements on one connection and return it, reset included."""
        call = _Call(stamps)
        _call.set(call)
        try:
            async with self._pool.acquire() as connection:
                for statement in self._statements:
                    await connection.fetch(statement)
                stamps.served()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise self._translated(error, call) from error

    async def _dial(self, *arguments: Any, **options: Any) -> Any:
        call = _current_call()
        if call is not None:
            call.take_slot()
        connection = await asyncpg.connect(*arguments, **options)
        self._opened += 1
        if call is not None:
            call.stamps.dialled()
        return connection

    async def _handed_out(self, _connection: Any) -> None:
        call = _current_call()
        if call is not None:
            call.take_slot()

    def _translated(self, error: Exception, call: _Call) -> CallFailed:
        if isinstance(error, TimeoutError):
            return CallTimedOut("call_timeout") if call.has_slot else PoolTimedOut("pool_timeout")
        if isinstance(error, asyncpg.TooManyConnectionsError):
            return CallRejected("too_many_connections")
        if isinstance(
            error,
            asyncpg.PostgresConnectionError
            | asyncpg.AdminShutdownError
            | asyncpg.CrashShutdownError
            | asyncpg.InterfaceError
            | ConnectionResetError
            | BrokenPipeError,
        ):
            self._disconnects += 1
            return CallFailed("disconnected", type(error).__name__)
        if isinstance(error, OSError):
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return CallFailed("too_many_open_files")
            if error.errno == errno.ECONNREFUSED or "Connect call failed" in str(error):
                return CallFailed("connection_refused")
            return CallFailed("os_error", errno.errorcode.get(error.errno or 0, ""))
        return CallFailed(type(error).__name__, str(error).splitlines()[0] if str(error) else "")

    async def spare_connections(self) -> int:
        """How many more connections the server has for this user, beyond those already in use."""
        try:
            return int(await self._pool.fetchval(_SPARE_CONNECTIONS))
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
            async with asyncio.timeout(2.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _refusal(error: Exception) -> tuple[str, str]:
    """Cause and remedy for a pool that could not be opened; names no password."""
    if isinstance(error, asyncpg.InvalidPasswordError):
        return "the database refused the user or password", "check the DSN's user and password"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"the database refused the login: {error}", "check the DSN's user and pg_hba.conf"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"no such database: {error}", "check the database name at the end of the DSN"
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return (
            f"the database has no free connection: {error}",
            "lower max_size, or free connections",
        )
    if isinstance(error, TimeoutError):
        return (
            f"no answer from the database within {DIAL_TIMEOUT:g} s",
            "check host and port, and that a firewall lets this machine through",
        )
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return (
            "the database refused the connection",
            "check host and port in the DSN, and that the server runs",
        )
    if isinstance(error, OSError):
        return (
            f"the database's host cannot be reached: {error.strerror or type(error).__name__}",
            "check the host name in the DSN",
        )
    if isinstance(error, ValueError | asyncpg.InterfaceError):
        return (
            f"the DSN cannot be used: {type(error).__name__}",
            "write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    return f"the database refused the connection: {error}", "check the DSN and the server's log"
