"""SQLAlchemy's async engine on asyncpg as a pool: the wait is seen by a pool class of ours.

Neither an event nor a public hook tells when a checkout begins to wait, so a subclass of the
engine's own pool notes when `_do_get` returns a kept connection, or the dial of a new one begins.
Both run in the caller's task (in a greenlet with its context). Release is part of the hold: it ends
the transaction, which is a round trip.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent  # type: ignore[import-untyped, unused-ignore]
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionInTime
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool

from poolkit.drivers import postgres, replies
from poolkit.drivers.base import Stamps
from poolkit.drivers.calls import outcome_of
from poolkit.drivers.hooks import Hook, PoolState, Tap, of_type, tell_failure
from poolkit.drivers.variants import BASE, Question
from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut

if TYPE_CHECKING:
    from types import FrameType

    from poolkit.drivers.pooler import Ask
    from poolkit.targets.workload import SqlWork

CLOSE_TIMEOUT = 2.0  # s

# The stamps of the call that runs in this task.
_stamps: ContextVar[Stamps | None] = ContextVar("poolkit_sqlalchemy_stamps", default=None)


class _TimedPool(AsyncAdaptedQueuePool):
    """The engine's default pool, which also tells when a call holds its connection."""

    waiting = 0
    max_reply = replies.MAX_REPLY

    def _do_get(self) -> ConnectionPoolEntry:
        self.waiting += 1
        try:
            entry = super()._do_get()
        finally:
            self.waiting -= 1
        stamps = _stamps.get()
        if stamps is not None:
            stamps.acquired()
        connection: Any = entry.driver_connection if entry.dbapi_connection is not None else None
        if connection is not None:  # else it is dialled anew
            connection._protocol.allowance = self.max_reply
        return entry

    def _create_connection(self) -> ConnectionPoolEntry:
        # Called from `_do_get`: the slot is taken while the dial lasts.
        stamps = _stamps.get()
        if stamps is not None:
            stamps.acquired()
        self.waiting -= 1
        try:
            return super()._create_connection()
        finally:
            self.waiting += 1


class SqlalchemyPool(postgres.PostgresPool):
    """One async engine on asyncpg that does the same work in every call.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        work: the statements to run on one connection, or the coroutine function that gets an
            `AsyncConnection`. What it wrote is committed, unless the work is read-only.
        pool_size: most connections in all, 1 or more; those that are kept are dialled at `open`.
        call_timeout: s, most that one statement may take, or the whole of the user's function.
        pool_timeout: s, most that a call may wait for a connection; None: no limit.
        max_overflow: how many of `pool_size` are dialled on demand and closed on return unless
            somebody waits; 0 to `pool_size` - 1. The engine's own `pool_size` is what is left.
        pool_pre_ping: whether each checkout first asks the server for a sign of life.
        pool_recycle: s after which a connection is replaced when it is handed out; -1: never.
        pool_use_lifo: hand out the connection that was returned last instead of first.
        max_reply: bytes that one call may receive.
    """

    logger = "sqlalchemy"
    spelling = "colon"

    def __init__(
        self,
        dsn: str,
        work: SqlWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        pool_timeout: float | None = None,
        max_overflow: int = 0,
        pool_pre_ping: bool = False,
        pool_recycle: float = -1,
        pool_use_lifo: bool = False,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        if not 0 <= max_overflow < pool_size:
            raise ValueError(
                f"max_overflow must be 0 to pool_size - 1 ({pool_size - 1}), got {max_overflow}"
            )
        # Not above: a service's engine is watched whether or not it runs on asyncpg.
        import asyncpg

        from poolkit.drivers.asyncpg import LIBRARY_ERRORS, asked, bounded, session_options

        self._connect = asyncpg.connect
        self._bounded = bounded
        self._bare = asked
        self._session_options = session_options
        self.errors = (DBAPIError, *LIBRARY_ERRORS)
        dsn = dsn.replace("postgresql+asyncpg://", "postgresql://", 1)
        super().__init__(dsn, work, pool_size, call_timeout, max_reply)
        self._kept = pool_size - max_overflow
        self.options = {
            "max_overflow": max_overflow,
            "pool_timeout": pool_timeout,
            "pool_pre_ping": pool_pre_ping,
            "pool_recycle": pool_recycle,
            "pool_use_lifo": pool_use_lifo,
        }
        # Of SQLAlchemy's own connections; `session` is asyncpg's.
        self.connect_args: dict[str, Any] = {"async_creator_fn": self._dial}
        self.commits = not work.read_only
        self._engine: AsyncEngine | None = None
        # Every connection that is up: at the end those still in use are cut off.
        self._connections: set[Any] = set()

    async def open(self) -> None:
        """Dial every connection that is kept; raises `Unreachable` with the server's reason."""
        try:
            await self.look()
            if self.is_pooled:
                self.connect_args |= {
                    "prepared_statement_cache_size": 0,
                    # The unnamed statement, which leaves nothing behind on the server.
                    "prepared_statement_name_func": lambda: "",
                }
                self.options["execution_options"] = {"postgresql_readonly": self._work.read_only}
            # asyncpg reads the DSN itself: nothing is lost in a conversion to SQLAlchemy's form,
            # and the engine's own URL, which it prints in places, holds no password.
            self._engine = create_async_engine(
                "postgresql+asyncpg://",
                poolclass=_TimedPool,
                pool_size=self._kept,
                hide_parameters=True,
                connect_args=self.connect_args,
                **self.options,
            )
            pool: Any = self._engine.sync_engine.pool
            pool.max_reply = self._max_reply
            self._pool = pool
            event.listen(pool, "connect", self._connected)
            event.listen(pool, "close", self._closed)
            event.listen(pool, "invalidate", self._invalidated)
            await self._dial_all(self._engine)
        except BaseException as error:
            await self.close()
            if isinstance(error, DBAPIError):
                raise postgres.unreachable(_of_driver(error)) from error
            if isinstance(error, Exception):
                raise postgres.unreachable(error) from error
            raise

    async def _dial_all(self, engine: AsyncEngine) -> None:
        connections = [engine.connect() for _ in range(self._kept)]
        # SQLAlchemy looks at the server over its first connection, before it dials others.
        await connections[0].start()
        results = await asyncio.gather(
            *(connection.start() for connection in connections[1:]), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        for connection in connections:
            if connection.sync_connection is not None:
                await connection.close()
        if failures:
            raise failures[0]

    async def call(self, stamps: Stamps) -> None:
        """Run the work on one connection and return it, end of the transaction included."""
        if self._engine is None:
            raise RuntimeError("the pool is not open")
        _stamps.set(stamps)
        connection: AsyncConnection | None = None
        try:
            async with self._engine.connect() as connection:
                if self._single is None:
                    await self._do(connection)
                else:
                    # Here rather than in `_do`: a further coroutine would cost at every await.
                    statement, names = self._single
                    values = self._work.draw()
                    result = await connection.execute(statement, values if names else None)
                    if result.returns_rows:
                        result.all()
                stamps.served()
                if self.commits:
                    await connection.commit()
        except CallFailed as failure:
            raise outcome_of(
                failure, self.errors, lambda error: self._translated(error, connection)
            ) from failure.__cause__
        except Exception as error:
            raise self._translated(error, connection) from error

    async def _look(self) -> tuple[bool, dict[str, Any]]:
        return await self._session_options(
            self._dsn,
            read_only=self._work.read_only,
            call_timeout=self._call_timeout,
            max_reply=self._max_reply,
        )

    def aside(self) -> AbstractAsyncContextManager[Ask]:
        """A connection outside the pool, to ask over."""
        return self._bare(self._dsn, self.session)

    def _prepared(self, statement: str) -> Any:
        return text(statement)

    async def _run(
        self, connection: Any, statement: Any, names: tuple[str, ...], values: Any
    ) -> None:
        result = await connection.execute(statement, values if names else None)
        if result.returns_rows:
            result.all()

    async def _ask(self, statement: str) -> Any:
        assert self._engine is not None
        async with self._engine.connect() as connection:
            return await connection.scalar(text(statement))

    def _translated(self, error: Exception, connection: AsyncConnection | None) -> CallFailed:
        if isinstance(error, NoConnectionInTime):
            return PoolTimedOut("pool_timeout")
        if isinstance(error, TimeoutError):
            return CallTimedOut("dial_timeout" if connection is None else "call_timeout")
        if (large := replies.cut_off(error)) is not None:
            return large
        if isinstance(error, DBAPIError):
            cause = _of_driver(error)
            outcome = postgres.failure(cause)
            if error.connection_invalidated and type(outcome) is CallFailed:
                return CallFailed("disconnected", type(cause).__name__)
            return outcome
        if isinstance(error, (*self.errors, OSError)):
            return postgres.failure(error)
        return CallFailed(type(error).__name__)

    async def _dial(self, **_options: Any) -> Any:
        connection = await self._connect(self._dsn, **self.session)
        return self._bounded(connection, self._max_reply)

    def _connected(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        self._opened += 1
        self._connections.add(connection)
        stamps = _stamps.get()
        if stamps is not None:
            stamps.dialled()

    def _closed(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        self._connections.discard(connection)

    def _invalidated(
        self, _connection: Any, _entry: ConnectionPoolEntry, error: BaseException | None
    ) -> None:
        # A connection found dead, by a call or by the ping before it; a cancelled call gives up a
        # connection that was well.
        if isinstance(error, Exception):
            self._disconnects += 1

    def _figures(self) -> tuple[int, int, int]:
        return self._pool.checkedout(), self._pool.checkedin(), self._pool.waiting

    async def close(self) -> None:
        """Close every connection, those of calls still under way as well."""
        if self._engine is None:
            return
        engine, self._engine, self._pool = self._engine, None, None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await engine.dispose()
        except TimeoutError:
            pass  # a server that went silent: what is left is cut off below
        for connection in tuple(self._connections):
            connection.driver_connection.terminate()
        self._connections.clear()


def _of_driver(error: DBAPIError) -> BaseException:
    """asyncpg's exception behind SQLAlchemy's, whose text also quotes the statement."""
    translated = error.orig
    if translated is None:
        return error
    return translated.__cause__ or translated


# What a probe compares and tries.

QUESTIONS = (
    Question("pool_pre_ping", "ping", BASE, note="BEGIN, the ping, ROLLBACK"),
    Question(
        "rollback on checkin",
        BASE,
        "autocommit",
        part="release",
        note="AUTOCOMMIT for reads saves it",
    ),
    Question("transaction", BASE, "autocommit", note="BEGIN and ROLLBACK together"),
    Question("checkout callback", "callback", BASE, note="one that asks the server once"),
    Question(
        "no prepared-statement cache",
        "no cache",
        BASE,
        note="one more round trip",
        is_of_prepared=True,
    ),
)
SKIPPED: dict[str, str] = {}


def vary(pool: SqlalchemyPool, variant: str) -> None:
    """Make a pool that has looked one of the variants that `QUESTIONS` name."""
    pool.commits = False  # what a variant wrote is rolled back
    options: dict[str, dict[str, Any]] = {
        "ping": {"pool_pre_ping": True},
        "autocommit": {"isolation_level": "AUTOCOMMIT"},
        "callback": {"pool_events": [(_ask_once, "checkout")]},
    }
    pool.options |= options.get(variant, {})
    if variant == "no cache":
        pool.connect_args["prepared_statement_cache_size"] = 0


def _ask_once(connection: Any, _entry: Any, _proxy: Any) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("select 1")
    finally:
        cursor.close()


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter by which connections live `keep` s at most (None: for ever)."""
    return {"pool_pre_ping": ping, "pool_recycle": -1 if keep is None else keep}


# A service's own engine, listened to through methods of its pool. They run in a greenlet of their
# own; the task that asks stands in the greenlet's parent.


def hook_of(engine: Any) -> SqlalchemyHook | None:
    """The hook of an engine with a pool that keeps connections; None for anything else."""
    if isinstance(engine, AsyncEngine) and isinstance(engine.pool, QueuePool):
        return SqlalchemyHook(engine)
    return None


class SqlalchemyHook(Hook):
    """One engine; `dispose` gives it a new pool, which is then listened to as well."""

    driver = "sqlalchemy"

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine.sync_engine)
        self._tap: Tap | None = None
        self._pool: Any = None  # the one that is listened to

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        self._tap = tap
        # An event would do, but from the first listener on every statement looks for more.
        dispose = self._place.dispose

        def follow(*arguments: Any, **options: Any) -> None:
            dispose(*arguments, **options)
            # The old pool is listened to as well, until what is out of it has come back.
            self._listen()

        self._replace(self._place, _poolkit_tap=tap, dispose=follow)
        self._listen()

    def detach(self) -> None:
        """Leave the engine as it was."""
        self._tap = None
        super().detach()

    def state(self) -> PoolState:
        """The pool's own figures; an engine never closes, it makes a new pool."""
        pool = self._place.pool
        overflow = pool._max_overflow
        size = None if overflow < 0 else pool.size() + overflow
        return PoolState(size, pool.checkedout(), pool.checkedin())

    def _listen(self) -> None:
        tap = self._tap
        if tap is None or self._pool is self._place.pool:
            return
        self._pool = pool = self._place.pool
        self._replace(
            pool,
            _do_get=_told_get(tap, pool._do_get),
            _create_connection=_told_dial(tap, pool._create_connection),
            _do_return_conn=_told_put(tap, pool._do_return_conn),
        )


def _caller() -> FrameType | None:
    """The frame that waits for the greenlet, or that of a caller without one."""
    parent = getcurrent().parent
    frame: FrameType | None = None if parent is None else parent.gr_frame
    return sys._getframe(2) if frame is None else frame


def _told_get(tap: Tap, get: Any) -> Any:
    inside: set[int] = set()  # ids of tasks; a pool serves one loop, and its tasks outlive this

    def _do_get() -> Any:
        task = id(asyncio.current_task())
        if task in inside:
            # The pool asks itself again where another task was quicker.
            return get()
        call = tap.ask(_caller())
        inside.add(task)
        try:
            entry = get()
        except BaseException as error:
            tell_failure(tap, call, error, of_type(NoConnectionInTime))
            raise
        finally:
            inside.discard(task)
        tap.got(call, id(entry))
        return entry

    return _do_get


def _told_dial(tap: Tap, create: Any) -> Any:
    def _create_connection() -> Any:
        began = tap.dial_begins()
        entry = create()
        tap.dial_ends(began)
        return entry

    return _create_connection


def _told_put(tap: Tap, put: Any) -> Any:
    def _do_return_conn(entry: Any) -> None:
        # The connection of one that was collected is detached by its finalizer.
        frame: FrameType | None = sys._getframe(1)
        is_collected = False
        if frame is not None and frame.f_code.co_name == "detach":
            frame = frame.f_back
            is_collected = frame is not None and frame.f_code.co_name == "_finalize_fairy"
        put(entry)
        tap.back(id(entry), is_collected=is_collected)

    return _do_return_conn
