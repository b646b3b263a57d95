"""psycopg_pool's AsyncConnectionPool as a pool: a call holds what the pool hands out to it.

Only public interfaces are used. The pool dials in workers of its own, so a call never dials: where
it has to wait for a new connection, the dial is part of its wait. Release is part of the hold: it
commits or rolls back, which is a round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import resource
import socket
import sys
import termios
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.waiting import Ready
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from poolkit.drivers import postgres, replies
from poolkit.drivers.base import Stamps
from poolkit.drivers.calls import Holds, outcome_of, timed_out
from poolkit.drivers.hooks import Hook, PoolState, Tap, of_type, told_ask, told_dial
from poolkit.drivers.pooler import BACKEND_PID
from poolkit.drivers.postgres import APPLICATION, DIAL_TIMEOUT, READ_ONLY
from poolkit.drivers.variants import BASE, NEVER, Question
from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut, Unreachable

if TYPE_CHECKING:
    from poolkit.drivers.pooler import Ask, Console
    from poolkit.targets.workload import SqlWork

CLOSE_TIMEOUT = 2.0  # s
CONSOLE_TIMEOUT = 2.0  # s; libpq takes 2 s at least
NO_LIMIT = 86_400.0  # s; the pool knows no wait without an end
_TCP_INFO = 136  # bytes of Linux's struct tcp_info up to tcpi_bytes_received, a u64
_SO_PEEK_OFF = 42  # Linux's, which Python does not name
_BESIDE = 64 * 2**20  # bytes that small rows may become as objects in one read
_FAR = 2**31 - 1  # bytes, the most that SO_PEEK_OFF takes
_PAGE = resource.getpagesize()
_LOOK = 0.002  # s between looks at how many connections are up

_stamps: ContextVar[Stamps | None] = ContextVar("poolkit_psycopg_stamps", default=None)


@asynccontextmanager
async def console(dsn: str, database: str | None = None) -> AsyncIterator[Console]:
    """The admin console of a pooler such as PgBouncer; `database` is its own, or the DSN names it.

    The console speaks the simple query protocol only, which libpq uses for a text without
    parameters that is not prepared. Raises `psycopg.Error` where it lets nobody in.
    """
    named: dict[str, Any] = {} if database is None else {"dbname": database}
    connection = await AsyncConnection.connect(
        dsn,
        **named,
        autocommit=True,
        application_name=APPLICATION,
        connect_timeout=int(CONSOLE_TIMEOUT),
        prepare_threshold=None,
        row_factory=dict_row,
    )

    async def ask(statement: str) -> list[dict[str, Any]]:
        return await (await connection.execute(statement)).fetchall()

    try:
        yield ask
    finally:
        await connection.close()


class _Connection(AsyncConnection[Any]):
    """A connection that is given up once a call received more than `most` bytes.

    libpq reads by itself and tells nobody how much, so the kernel is asked before each read, and
    at the end. One read goes on while more comes, as far as libpq has room; it makes room for a
    whole message once it has seen the length, which shows in the memory of this process.
    """

    most = replies.MAX_REPLY
    _before = 0
    _is_local = False  # over a Unix socket

    def begin_call(self, most: int) -> None:
        """What is received from here on counts."""
        self.most = most
        self._count_local()
        self._before = self._received()

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        # No coroutine of its own: it would cost at every turn of the loop.
        return super().wait(self._counted(gen), *arguments, **options)

    def _counted(self, steps: Any) -> Any:
        try:
            wanted = next(steps)
            wanted = steps.send((yield wanted))
            while True:
                ready = yield wanted
                if ready & Ready.R:
                    self._check()
                before = _memory()
                wanted = steps.send(ready)
                # Nothing else ran meanwhile. Room doubles, and what has come is copied once.
                if _memory() - before > _BESIDE + 4 * self.most:
                    self._cut()
        except StopIteration as end:
            if not self.closed:
                self._check()
            return end.value

    def _check(self) -> None:
        if self._received() - self._before > self.most:
            self._cut()

    def _cut(self) -> NoReturn:
        self.pgconn.finish()
        raise replies.too_large()

    def _received(self) -> int:
        """Bytes so far, what lies ready included; over a Unix socket since the call began."""
        with contextlib.closing(_Borrowed(self.pgconn.socket)) as kernel:
            if not self._is_local:
                try:
                    told = kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
                    return int.from_bytes(told[-8:], sys.byteorder)
                except OSError:
                    self._is_local = True
                    self._count_local()
            # Each byte that is read moves the offset back.
            read = _FAR - kernel.getsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF)
            ready = bytearray(4)
            fcntl.ioctl(kernel, termios.FIONREAD, ready)
            return read + int.from_bytes(ready, sys.byteorder)

    def _count_local(self) -> None:
        if self._is_local:
            with contextlib.closing(_Borrowed(self.pgconn.socket)) as kernel:
                kernel.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, _FAR)


class _Borrowed(socket.socket):
    """A socket object on a descriptor that belongs to libpq."""

    def __init__(self, descriptor: int) -> None:
        # With a family nothing is looked up; it matters to nobody here.
        super().__init__(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)

    def close(self) -> None:
        self.detach()


@functools.cache
def _statm() -> int:
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


def _memory() -> int:
    """Bytes of this process's data, touched or not; costs 1 us."""
    return int(os.pread(_statm(), 128, 0).split()[5]) * _PAGE


class PsycopgPool(postgres.PostgresPool):
    """One AsyncConnectionPool that does the same work in every call.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        work: the statements to run on one connection, or the coroutine function that gets an
            `AsyncConnection`; the pool commits them on return, as its `connection()` does.
        pool_size: `max_size`, 1 or more.
        min_size: connections dialled at `open` and kept; None: all of them.
        call_timeout: s, most that a call may hold its connection.
        pool_timeout: s, most that a call may wait for a connection; None: no limit.
        max_waiting: calls that may wait at once; a further one is turned away as a pool timeout;
            0: no limit.
        check: whether each checkout first asks the server for a sign of life, and replaces a dead
            connection.
        max_lifetime: s after which a connection is replaced when it is returned.
        max_reply: bytes that one call may receive.
    """

    logger = "psycopg"
    spelling = "named"
    errors = (psycopg.Error,)

    def __init__(
        self,
        dsn: str,
        work: SqlWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        pool_timeout: float | None = None,
        min_size: int | None = None,
        max_waiting: int = 0,
        check: bool = False,
        max_lifetime: float = 3600.0,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        super().__init__(dsn, work, pool_size, call_timeout, max_reply)
        self._checks = check
        self.options = {
            "min_size": pool_size if min_size is None else min_size,
            "timeout": NO_LIMIT if pool_timeout is None else pool_timeout,
            "max_waiting": max_waiting,
            "max_lifetime": max_lifetime,
            "check": self._checked if check else None,
        }
        self._holds: Holds[AsyncConnection[Any]] = Holds(call_timeout)

    async def open(self) -> None:
        """Dial the connections that are kept; raises `Unreachable` with the server's reason."""
        try:
            # The pool itself dials again and again without a word, so a dial beforehand asks why.
            await self.look()
            self._pool = AsyncConnectionPool(
                self._dsn,
                connection_class=_Connection,
                kwargs=self.session,
                max_size=self._pool_size,
                open=False,
                configure=self._dialled,
                **self.options,
            )
            await self._pool.open()
            await self._wait_full(self._pool)
            self._holds.start()
        except BaseException as error:
            await self.close()
            if isinstance(error, psycopg.Error | OSError | ValueError):
                raise postgres.unreachable(error) from error
            raise

    async def _look(self) -> tuple[bool, dict[str, Any]]:
        options: dict[str, Any] = {
            "connect_timeout": int(DIAL_TIMEOUT),
            "application_name": APPLICATION,
        }
        is_pooled = await self._has_other_pid(options)
        if is_pooled:
            options["prepare_threshold"] = None
        elif self._work.read_only:
            given = conninfo_to_dict(self._dsn).get("options") or ""
            options["options"] = f"{given} -c {READ_ONLY}=on".strip()
        return is_pooled, options

    async def _has_other_pid(self, options: dict[str, Any]) -> bool:
        connection = await AsyncConnection.connect(self._dsn, **options | {"autocommit": True})
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                row = await (await connection.execute(BACKEND_PID)).fetchone()
            return row is None or row[0] != connection.pgconn.backend_pid
        finally:
            await connection.close()

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Ask]:
        """A connection outside the pool, to ask over."""
        connection = await AsyncConnection.connect(self._dsn, **self.session | {"autocommit": True})

        async def ask(statement: str) -> Any:
            row = await (await connection.execute(statement)).fetchone()
            return None if row is None else row[0]

        try:
            yield ask
        finally:
            await connection.close()

    async def _wait_full(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        async with asyncio.timeout(DIAL_TIMEOUT):
            size = self.options["min_size"]
            while True:
                statistics = pool.get_stats()
                if statistics["pool_available"] >= size:
                    return
                if statistics.get("connections_errors", 0):
                    await self._has_other_pid(self.session)
                    # That one found its place; those before it did not.
                    raise Unreachable(
                        f"the database refused one of {self.options['min_size']} connections",
                        "lower max_size, or see the server's log",
                    )
                await asyncio.sleep(_LOOK)

    async def call(self, stamps: Stamps) -> None:
        """Run the work on one connection and return it, end of the transaction included."""
        if self._pool is None:
            raise RuntimeError("the pool is not open")
        connection: _Connection | None = None
        holds = self._holds
        if self._checks:
            _stamps.set(stamps)
        try:
            async with self._pool.connection() as connection:
                stamps.acquired()
                connection.begin_call(self._max_reply)
                work = self._work
                if self._single is not None:
                    # Here rather than in functions of their own: each would cost every call, and
                    # every await within it.
                    holds.calls[connection] = (asyncio.current_task(), holds.deadline)
                    statement, names = self._single
                    values = work.draw()
                    cursor = await connection.execute(statement, values if names else None)
                    if cursor.pgresult is not None and cursor.pgresult.nfields:
                        await cursor.fetchall()
                else:
                    # A function has a limit of its own; what is left is for the release.
                    holds.begin(connection, 1.0 if work.function is None else 2.0)
                    await self._do(connection)
                stamps.served()
        except asyncio.CancelledError:
            late = self._late(connection)
            if late is not None:
                raise late from None
            raise
        except CallFailed as failure:
            outcome = self._late(connection) or outcome_of(
                failure, self.errors, lambda error: self._translated(error, connection)
            )
            is_cut = outcome.kind == replies.KIND
            if outcome is failure and not is_cut and connection is not None and connection.closed:
                self._disconnects += 1
            raise outcome from failure.__cause__
        except Exception as error:
            raise (self._late(connection) or self._translated(error, connection)) from error
        finally:
            if connection is not None:
                holds.calls.pop(connection, None)
                if holds.expired:
                    self._late(connection)  # it swallowed its cancellation

    async def _run(
        self, connection: Any, statement: Any, names: tuple[str, ...], values: Any
    ) -> None:
        # psycopg reads a lone % as it stands only where it is given no parameters.
        cursor = await connection.execute(statement, values if names else None)
        if cursor.pgresult is not None and cursor.pgresult.nfields:
            await cursor.fetchall()

    async def _ask(self, statement: str) -> Any:
        async with self._pool.connection() as connection:
            (value,) = await (await connection.execute(statement)).fetchone()
        return value

    def _late(self, connection: AsyncConnection[Any] | None) -> CallTimedOut | None:
        """What a call whose time was over ends with; its cancellation is taken back."""
        if connection is None or not self._holds.end(connection):
            return None
        return timed_out()

    def _translated(self, error: Exception, connection: AsyncConnection[Any] | None) -> CallFailed:
        if isinstance(error, PoolTimeout):
            return PoolTimedOut("pool_timeout")
        if isinstance(error, TooManyRequests):
            return PoolTimedOut("too_many_waiting")
        if isinstance(error, PoolClosed):
            return CallFailed("pool_closed")
        if not isinstance(error, psycopg.Error | OSError):
            return CallFailed(type(error).__name__)
        outcome = postgres.failure(error)
        # libpq has no SQLSTATE for a connection that broke off.
        is_told = type(outcome) is not CallFailed or outcome.kind == "no_transactions"
        if not is_told and connection is not None and connection.closed:
            outcome = CallFailed("disconnected", type(error).__name__)
        if outcome.kind == "disconnected":
            self._disconnects += 1
        return outcome

    async def _dialled(self, connection: AsyncConnection[Any]) -> None:
        self._opened += 1
        if self.is_pooled and self._work.read_only:
            # Sends nothing: from now on its transactions begin with BEGIN READ ONLY.
            await connection.set_read_only(True)

    async def _checked(self, connection: AsyncConnection[Any]) -> None:
        # The check is part of the hold; it runs in the caller's task.
        stamps = _stamps.get()
        if stamps is not None:
            stamps.acquired()
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            self._disconnects += 1
            raise

    def _figures(self) -> tuple[int, int, int]:
        figures = self._pool.get_stats()
        waiting = figures.get("requests_waiting", 0)
        return len(self._holds), figures.get("pool_available", 0), waiting

    async def close(self) -> None:
        """Close every connection, those of calls still under way as well."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        self._holds.stop()
        await pool.close(timeout=CLOSE_TIMEOUT)
        for connection in self._holds.connections:
            _cut(connection)


def _cut(connection: AsyncConnection[Any]) -> None:
    """End the connection so that whoever waits on it is told, and closes it."""
    if connection.closed:
        return
    with socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


# What a probe compares and tries.

QUESTIONS = (
    Question("check", "check", BASE, note="the pool's own sign of life, one round trip"),
    Question("transaction", BASE, "autocommit", note="BEGIN and COMMIT together"),
    Question("reset callback", "reset", BASE, note="one that asks once and rolls back"),
    Question(
        "no prepared statements", "unprepared", BASE, note="prepare_threshold", is_of_prepared=True
    ),
)
SKIPPED: dict[str, str] = {}


def vary(pool: PsycopgPool, variant: str) -> None:
    """Make a pool that has looked one of the variants that `QUESTIONS` name."""
    options: dict[str, dict[str, Any]] = {
        "check": {"check": AsyncConnectionPool.check_connection},
        "reset": {"reset": _ask_once},
    }
    session: dict[str, dict[str, Any]] = {
        "autocommit": {"autocommit": True},
        "unprepared": {"prepare_threshold": None},
    }
    pool.options |= options.get(variant, {})
    pool.session |= session.get(variant, {})


async def _ask_once(connection: AsyncConnection[Any]) -> None:
    await connection.execute("select 1")
    await connection.rollback()


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter: the pool looks at no age when it hands out, but asks if told to."""
    return {"check": ping, "max_lifetime": NEVER if keep is None else keep}


# A service's own pool, listened to at `getconn` and `putconn`.


def hook_of(pool: Any) -> PsycopgHook | None:
    """The hook of an async pool; None for another object of psycopg_pool's."""
    return PsycopgHook(pool) if isinstance(pool, AsyncConnectionPool) else None


class PsycopgHook(Hook):
    """One AsyncConnectionPool."""

    driver = "psycopg"

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        # The pool forgets what it hands out, so this tells whether the program did too.
        self._out: dict[int, weakref.ref[Any]] = {}

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        pool = self._place

        def taken(connection: Any) -> int:
            self._out[id(connection)] = weakref.ref(connection)
            return id(connection)

        self._replace(
            pool,
            _poolkit_tap=tap,
            getconn=told_ask(tap, pool.getconn, of_type(PoolTimeout, TooManyRequests), taken),
            putconn=_told_putconn(tap, pool.putconn, self._out),
            _connect=told_dial(tap, pool._connect),
        )
        if getattr(pool, "_check", None) is not None:
            self._replace(pool, _check_connection=_told_check(tap, pool._check_connection))

    def state(self) -> PoolState:
        """The pool's own figures, from `get_stats`."""
        pool = self._place
        figures = pool.get_stats()
        size, idle = figures.get("pool_size", 0), figures.get("pool_available", 0)
        if pool.closed:
            size = idle = 0
        return PoolState(pool.max_size, size - idle, idle, pool.closed)

    def forgotten(self) -> set[int]:
        """Keys of connections that were collected while they were handed out."""
        return {key for key, connection in list(self._out.items()) if connection() is None}


def _told_check(tap: Tap, check: Any) -> Any:
    async def _check_connection(connection: Any) -> None:
        tap.has_slot()
        try:
            await check(connection)
        except BaseException:
            tap.has_no_slot()
            raise

    return _check_connection


def _told_putconn(tap: Tap, putconn: Any, out: dict[int, weakref.ref[Any]]) -> Any:
    async def _putconn(connection: Any) -> None:
        try:
            await putconn(connection)
        finally:
            out.pop(id(connection), None)
            tap.back(id(connection))

    return _putconn
