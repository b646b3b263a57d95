"""asyncpg's Pool as a pool: the wait is seen through its public interface.

A call holds its slot when the pool hands it a connection, or where it dials one or runs the user's
`setup` before that: `connect` and `setup` run in the caller's task. Release is part of the hold: it
waits for the reset query.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import asyncpg

from poolkit.drivers import postgres, replies
from poolkit.drivers.base import Stamps
from poolkit.drivers.calls import outcome_of, run_function
from poolkit.drivers.hooks import Hook, PoolState, Tap, of_type, told_ask, told_dial
from poolkit.drivers.pooler import BACKEND_PID
from poolkit.drivers.postgres import APPLICATION, DIAL_TIMEOUT, READ_ONLY
from poolkit.drivers.table import keeps
from poolkit.drivers.variants import BASE, NEVER, Question
from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut, Unreachable

if TYPE_CHECKING:
    from poolkit.drivers.pooler import Ask
    from poolkit.targets.workload import SqlWork, WorkFunction

_, IDLE_LIFETIME = keeps("asyncpg")  # s
CLOSE_TIMEOUT = 1.0  # s; a silent server never ends the release of a connection

LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_SERVER_ERRORS: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, OSError)
_OPEN_ERRORS: tuple[type[Exception], ...] = (*_SERVER_ERRORS, ValueError)

# The stamps of the call that acquires in this task. The pool restores connections in tasks of its
# own, which inherit the context of the call that made them begin, and dial on when its stamps are
# another call's. So it is None from where the call has its connection, or begins to dial one.
_acquiring: ContextVar[Stamps | None] = ContextVar("poolkit_asyncpg_acquiring", default=None)


def _take_stamps() -> Stamps | None:
    """The stamps of the call that acquires in this task, handed out once."""
    stamps = _acquiring.get()
    _acquiring.set(None)
    return stamps


async def session_options(
    dsn: str, *, read_only: bool, call_timeout: float, max_reply: int = replies.MAX_REPLY
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
    bounded(connection, max_reply)
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


def bounded(connection: Any, most: int) -> Any:
    """The connection, cut off where a call receives more than `most` bytes."""
    replies.bound(connection._protocol, most, connection._transport)
    return connection


@asynccontextmanager
async def asked(dsn: str, options: dict[str, Any]) -> AsyncIterator[Ask]:
    """A connection to ask over."""
    connection = await asyncpg.connect(dsn, **options)
    try:
        yield connection.fetchval
    finally:
        connection.terminate()


class AsyncpgPool(postgres.PostgresPool):
    """One asyncpg pool that does the same work in every call.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        work: the statements to run on one connection, or the coroutine function that gets it.
        pool_size: `max_size`, 1 or more.
        call_timeout: s, most that one statement, or the function, may take.
        max_inactive_connection_lifetime: s after which an idle connection beyond `min_size` is
            closed; 0: never.
        min_size: connections dialled at `open` and kept, however idle; None: all of them.
        statement_cache_size: prepared statements kept on each connection; None: asyncpg's own
            default, and none behind a pooler.
        reset: whether a connection is reset before it goes back, which is a round trip.
        init, setup: the user's callbacks: run on each new connection, and each time one is handed
            out (then part of the hold).
        max_reply: bytes that one call may receive.
    """

    # The pool prints a traceback for every connection that it cannot restore.
    logger = "asyncpg.pool"
    spelling = "numbered"
    errors = LIBRARY_ERRORS

    def __init__(
        self,
        dsn: str,
        work: SqlWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        max_inactive_connection_lifetime: float = IDLE_LIFETIME,
        min_size: int | None = None,
        statement_cache_size: int | None = None,
        reset: bool = True,
        init: WorkFunction | None = None,
        setup: WorkFunction | None = None,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        super().__init__(dsn, work, pool_size, call_timeout, max_reply)
        self._init = init
        self._setup = setup
        self.options = {
            "min_size": pool_size if min_size is None else min_size,
            "max_inactive_connection_lifetime": max_inactive_connection_lifetime,
        }
        if statement_cache_size is not None:
            self.options["statement_cache_size"] = statement_cache_size
        if init is not None:
            self.options["init"] = self._initialise
        if setup is not None:
            self.options["setup"] = self._set_up
        if not reset:
            self.options["reset"] = _no_reset

    async def open(self) -> None:
        """Dial every connection; raises `Unreachable` with the server's reason."""
        try:
            await self.look()
            self._pool = await asyncpg.create_pool(
                self._dsn,
                max_size=self._pool_size,
                connect=self._dial,
                **self.session | self.options,
            )
        except CallFailed as failure:
            raise Unreachable(
                f"the init function failed on a new connection ({failure.kind})",
                "correct the function that init names; psql shows what its statements do",
            ) from failure
        except _OPEN_ERRORS as error:
            raise postgres.unreachable(error) from error

    async def call(self, stamps: Stamps) -> None:
        """Do the work on one connection and return it, reset included."""
        work = self._work
        # Once a call instead of once a moment, and no further coroutine on the way to the library:
        # what a call pays here bends what is measured.
        _acquiring.set(stamps)
        try:
            # The generator ends calls that hang.
            async with self._pool.acquire() as connection:  # poolkit: ignore[no-acquire-timeout]
                stamps.acquired()
                _acquiring.set(None)
                connection._con._protocol.allowance = self._max_reply
                if self.is_pooled and work.read_only:
                    # Its COMMIT is a round trip of the release that only a pooler makes needed.
                    async with connection.transaction(readonly=True):
                        await self._do(connection)
                        stamps.served()
                elif self._single is not None:
                    text, names = self._single
                    values = work.draw()
                    await connection.fetch(text, *[values[name] for name in names])
                    stamps.served()
                else:
                    await self._do(connection)
                    stamps.served()
        except CallFailed as failure:
            raise outcome_of(
                failure, LIBRARY_ERRORS, lambda error: self._translated(error, stamps)
            ) from failure.__cause__
        except Exception as error:
            raise self._translated(error, stamps) from error

    async def _look(self) -> tuple[bool, dict[str, Any]]:
        return await session_options(
            self._dsn,
            read_only=self._work.read_only,
            call_timeout=self._call_timeout,
            max_reply=self._max_reply,
        )

    def aside(self) -> AbstractAsyncContextManager[Ask]:
        """A connection outside the pool, to ask over."""
        return asked(self._dsn, self.session)

    async def _run(
        self, connection: Any, statement: Any, names: tuple[str, ...], values: Any
    ) -> None:
        await connection.fetch(statement, *[values[name] for name in names])

    async def _ask(self, statement: str) -> Any:
        async with asyncio.timeout(self._call_timeout):
            return await self._pool.fetchval(statement)

    async def _dial(self, *arguments: Any, **options: Any) -> Any:
        stamps = _take_stamps()
        if stamps is not None:
            stamps.acquired()
        try:
            connection = await asyncpg.connect(*arguments, **options)
        except TimeoutError as error:
            if stamps is None:
                raise
            raise CallTimedOut("dial_timeout") from error
        bounded(connection, self._max_reply)
        self._opened += 1
        if stamps is not None:
            stamps.dialled()
        return connection

    async def _initialise(self, connection: Any) -> None:
        assert self._init is not None
        await run_function(self._init, connection, self._call_timeout, name="init")

    async def _set_up(self, connection: Any) -> None:
        stamps = _take_stamps()
        if stamps is not None:
            stamps.acquired()
        assert self._setup is not None
        await run_function(self._setup, connection, self._call_timeout, name="setup")

    def _translated(self, error: Exception, stamps: Stamps) -> CallFailed:
        if isinstance(error, TimeoutError):
            if not stamps.has_acquired:
                return PoolTimedOut("pool_timeout")
            return CallTimedOut("call_timeout")
        if (large := replies.cut_off(error)) is not None:
            return large
        if not isinstance(error, _SERVER_ERRORS):
            return CallFailed(type(error).__name__)
        outcome = postgres.failure(error)
        if outcome.kind == "disconnected":
            self._disconnects += 1
        return outcome

    def _figures(self) -> tuple[int, int, int]:
        idle = self._pool.get_idle_size()
        # The number of waiters has no public name in asyncpg.
        waiting = sum(not waiter.done() for waiter in self._pool._queue._getters)
        return self._pool.get_size() - idle, idle, waiting

    async def close(self) -> None:
        """Close every connection, those of calls still under way as well."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._pool.close()
        except _SERVER_ERRORS:
            self._pool.terminate()


async def _no_reset(_connection: Any) -> None:
    """What stands in for asyncpg's reset where the user does without."""


# What a probe compares and tries.

QUESTIONS = (
    Question("reset on release", BASE, "no reset", note="one round trip: reset="),
    Question("setup callback", "setup", BASE, note="one that asks the server once"),
    Question(
        "no prepared-statement cache",
        "no cache",
        BASE,
        note="one more round trip",
        is_of_prepared=True,
    ),
)
SKIPPED = {"pre_ping": "asyncpg has none; a setup callback that asks costs the same"}


def vary(pool: AsyncpgPool, variant: str) -> None:
    """Make a pool that has looked one of the variants that `QUESTIONS` name."""
    options: dict[str, dict[str, Any]] = {
        "no reset": {"reset": _no_reset},
        "setup": {"setup": _ask_once},
        "no cache": {"statement_cache_size": 0},
    }
    pool.options |= options.get(variant, {})


async def _ask_once(connection: Any) -> None:
    await connection.fetchval("select 1")


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter by which connections are kept `keep` s at most; None: for ever."""
    del ping
    # asyncpg 0.32 leaves connections up to min_size alone, however long they idle.
    seconds, size = (NEVER, None) if keep is None else (keep, 0)
    return {"max_inactive_connection_lifetime": seconds, "min_size": size}


# A service's own pool, listened to where it hands out, takes back and dials.


def hook_of(pool: Any) -> AsyncpgHook | None:
    """The hook of a pool; None for another object of asyncpg's."""
    return AsyncpgHook(pool) if isinstance(pool, asyncpg.Pool) else None


class AsyncpgHook(Hook):
    """One asyncpg pool.

    It has no room for attributes of its own and no public way to learn of waits, so while it is
    listened to it is of a class made for it: a subclass whose methods tell of each call. A test
    holds every name that this relies on against the installed asyncpg.
    """

    driver = "asyncpg"

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self._class: Any = None  # the pool's own, while it is listened to

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return type(self._place)

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        self._class = kind = type(self._place)
        for holder in self._place._holders:
            if holder._setup is not None:
                holder._setup = _Setup(tap, holder._setup)
        self._place.__class__ = type(
            kind.__name__,
            (kind,),
            {
                "__slots__": (),
                "__module__": kind.__module__,
                "_poolkit_tap": tap,
                "_acquire": told_ask(tap, kind._acquire, of_type(TimeoutError)),
                "release": _told_release(tap, kind.release),
                "_get_new_connection": told_dial(tap, kind._get_new_connection),
            },
        )

    def detach(self) -> None:
        """Leave the pool as it was."""
        if self._class is not None:
            self._place.__class__ = self._class
            self._class = None
        for holder in self._place._holders:
            if isinstance(holder._setup, _Setup):
                holder._setup = holder._setup.setup

    def state(self) -> PoolState:
        """The pool's own figures."""
        pool = self._place
        size, idle = pool.get_size(), pool.get_idle_size()
        tap = getattr(type(pool), "_poolkit_tap", None)
        # They hold a slot; those whose connection is being set up still count as idle there.
        taken = 0 if tap is None else len(tap.dialling)
        set_up = sum(h._proxy is not None and h._in_use is None for h in pool._holders)
        return PoolState(
            pool.get_max_size(), size - idle + taken, max(0, idle - set_up), pool._closed
        )

    def forgotten(self) -> set[int]:
        """Keys of connections that are handed out and that nothing in the program refers to.

        The pool itself keeps what it hands out, so the garbage collector never tells; the count of
        references does.
        """
        keys = set()
        for holder in self._place._holders:
            proxy = holder._proxy
            # One that is being released has no connection below it.
            if (
                proxy is not None
                and proxy._con is not None
                and sys.getrefcount(proxy) <= _OF_THE_LIBRARY
            ):
                keys.add(id(proxy))
        return keys


def _references_of_two() -> int:
    """What `sys.getrefcount` says, counted as in `forgotten`, where two attributes refer."""
    both: list[Any] = [object()]
    both.append(both[0])
    for proxy in both:
        if proxy is not None:
            return sys.getrefcount(proxy)
    return 0


# A connection that is handed out is known to its holder and to the connection below it.
_OF_THE_LIBRARY = _references_of_two()


class _Setup:
    """The `setup` of a pool: while it runs, its call has a connection already."""

    __slots__ = ("_tap", "setup")

    def __init__(self, tap: Tap, setup: Any) -> None:
        self._tap = tap
        self.setup = setup

    async def __call__(self, connection: Any) -> None:
        self._tap.has_slot()
        await self.setup(connection)


def _told_release(tap: Tap, release: Any) -> Any:
    async def _release(pool: Any, connection: Any, *, timeout: float | None = None) -> Any:
        try:
            return await release(pool, connection, timeout=timeout)
        finally:
            tap.back(id(connection))

    return _release
