"""redis.asyncio's connection pools as a pool: a call holds one connection for its commands.

Three public methods of the pool show the moments of a call: `get_available_connection` hands a
connection out, `ensure_connection` makes it ready (and dials where it must), `release` takes it
back. No failed command is repeated (a Redis made without a pool repeats it up to 10 times), so that
a failure counts as one. Nor does the pool listen to Redis Enterprise's notices of maintenance:
where redis-py 8.1 might, it looks at no socket before it hands it out, so a connection that the
server has closed fails the next command.
"""

from __future__ import annotations

import functools
import socket
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from poolkit.drivers import replies
from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.drivers.calls import outcome_of, run_function
from poolkit.drivers.hooks import Hook, PoolState, Tap, told_ask, told_dial
from poolkit.drivers.table import FORMS
from poolkit.drivers.variants import BASE, Question
from poolkit.errors import (
    BadInput,
    CallFailed,
    CallRejected,
    CallTimedOut,
    PoolTimedOut,
    Unreachable,
)

if TYPE_CHECKING:
    from poolkit.targets.workload import RedisWork

PoolClass = Literal["blocking", "default"]

DIAL_TIMEOUT = 5.0  # s
_ALWAYS = 1e-6  # s; a health check before every command
# Answers of a server that is there and turns the call away.
_SHED = ("max number of clients", "OOM ", "LOADING ", "BUSY ", "CLUSTERDOWN ")
# Commands that say nothing of keys and change nothing; others that only read have the flag.
_HARMLESS = ("PING", "ECHO", "TIME")

# The stamps of the call whose task asks for a connection.
_stamps: ContextVar[Stamps | None] = ContextVar("poolkit_redis_stamps", default=None)


class _Stamped(ConnectionPool):
    """Notes the moments of each call; counts dials, lost connections and calls that wait."""

    opened = 0
    disconnects = 0
    waiting = 0
    health_check_interval = 0.0
    max_reply = replies.MAX_REPLY

    def get_available_connection(self) -> AbstractConnection:
        connection: AbstractConnection = super().get_available_connection()  # type: ignore[no-untyped-call]
        stamps = _stamps.get()
        if stamps is not None:
            self.waiting -= not stamps.has_acquired
            stamps.acquired()
        return connection

    def make_connection(self) -> AbstractConnection:
        connection: AbstractConnection = super().make_connection()  # type: ignore[no-untyped-call]
        self._bound(connection)
        # It keeps a weak reference.
        connection.register_connect_callback(self._dialled)  # type: ignore[no-untyped-call]
        return connection

    def _bound(self, connection: Any) -> None:
        connect = connection._connect

        async def connect_bounded() -> None:
            await connect()
            # Before the login, whose answers count as well.
            transport = connection._writer.transport
            connection.poolkit_bound = replies.bound(
                transport.get_protocol(), self.max_reply, transport
            )

        connection._connect = connect_bounded

    async def _dialled(self, connection: AbstractConnection) -> None:
        del connection
        self.opened += 1
        stamps = _stamps.get()
        if stamps is not None:
            stamps.dialled()

    async def ensure_connection(self, connection: Any) -> None:
        was_up, opened = connection.is_connected, self.opened
        # Not before it is up: a health check would come between the lines of the handshake.
        connection.health_check_interval = 0.0
        await super().ensure_connection(connection)
        connection.health_check_interval = self.health_check_interval
        connection.poolkit_bound.allowance = self.max_reply
        if was_up and self.opened > opened:
            self.disconnects += 1  # the peer had closed it, and the library dialled anew

    async def release(self, connection: AbstractConnection) -> None:
        stamps = _stamps.get()
        if stamps is not None:
            stamps.served()
        await super().release(connection)


class _Blocking(BlockingConnectionPool, _Stamped):
    """The pool that lets callers wait; in this order, for it asks `super()` for its connections."""


class RedisPool:
    """One client on one pool that sends the same commands in every call.

    State: `options`, arguments of the library's own pool, and `health_check_interval`; both may be
    changed before `open`.

    Args:
        url: redis:// or rediss://; never logged.
        work: the commands to send together, or the coroutine function that gets a client which
            holds one connection.
        pool_size: `max_connections`, 1 or more.
        pool_class: "blocking" lets a caller wait for a connection; "default", which the library
            takes unless told otherwise, turns it away at once.
        pool_timeout: s that a caller may wait for a connection; None: no limit.
        call_timeout: s, most that the server may let a call wait for its answer.
        health_check_interval: s of idling after which a connection is asked for a sign of life
            before its next command; 0: never.
        max_reply: bytes that one call may receive.
    """

    wait_is_exact = True
    # A pooler before the server is none of Redis's customs, so a probe has nothing to look for.
    is_pooled = False

    def __init__(
        self,
        url: str,
        work: RedisWork,
        pool_size: int,
        *,
        pool_class: PoolClass = "blocking",
        pool_timeout: float | None = None,
        call_timeout: float = 30.0,
        health_check_interval: float = 0.0,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        self._url = url
        self._work = work
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._max_reply = max_reply
        self.session: dict[str, Any] = {}
        self.options: dict[str, Any] = {
            "max_connections": pool_size,
            "socket_timeout": call_timeout,
            "socket_connect_timeout": DIAL_TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        self.health_check_interval = health_check_interval
        self._class: type[_Stamped] = _Stamped
        if pool_class == "blocking":
            self._class = _Blocking
            self.options["timeout"] = pool_timeout
        self._pool: Any = None  # the library's, while it is open
        self._client: Any = None

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    async def look(self) -> None:
        """Nothing has to be known before `open`."""

    async def open(self) -> None:
        """Dial one connection and look whether the commands only read, where they must.

        Raises:
            Unreachable: with the server's reason.
            BadInput: a command writes, and the work is `read_only`.
        """
        try:
            self._pool = self._class.from_url(self._url, **self.options)
            self._pool.health_check_interval = self.health_check_interval
            self._pool.max_reply = self._max_reply
            self._client = Redis.from_pool(self._pool)
            await self._client.ping()
            if self._work.read_only and self._work.function is None:
                await self._check_commands()
        except (exceptions.RedisError, OSError, ValueError) as error:
            await self.close()
            raise _unreachable(error) from error
        except CallFailed as failure:
            await self.close()
            raise _unreachable(failure) from failure
        except BaseException:
            await self.close()
            raise

    async def call(self, stamps: Stamps) -> None:
        """Send the commands on one connection and return it."""
        pool, work = self._pool, self._work
        pool.waiting += 1
        token = _stamps.set(stamps)
        try:
            if work.function is not None:
                async with self._client.client() as holder:
                    await run_function(work.function, holder, self._call_timeout)
            elif len(work.commands) == 1:
                await self._client.execute_command(*work.draw()[0])
            else:
                # One round trip, not a transaction.
                pipeline = self._client.pipeline(transaction=False)
                for command in work.draw():
                    pipeline.execute_command(*command)
                await pipeline.execute()
        except CallFailed as failure:
            raise outcome_of(
                failure, (exceptions.RedisError,), functools.partial(self._translated, stamps)
            ) from failure.__cause__
        except (exceptions.RedisError, OSError) as error:
            raise self._translated(stamps, error) from error
        finally:
            _stamps.reset(token)
            pool.waiting -= not stamps.has_acquired

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot, from the library's own books."""
        pool = self._pool
        idle, in_use = (0, 0) if pool is None else _counts(pool)
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=in_use,
            idle=idle,
            waiting=0 if pool is None else pool.waiting,
            connections_opened=0 if pool is None else pool.opened,
            disconnects=0 if pool is None else pool.disconnects,
        )

    async def spare_connections(self) -> int | None:
        """How many more clients the server accepts; None where it does not say (before 7.0)."""
        try:
            clients = await self._client.info("clients")
        except exceptions.NoPermissionError:
            return None
        except (exceptions.RedisError, OSError) as error:
            raise CallFailed(type(error).__name__) from error
        most = clients.get("maxclients")
        return None if most is None else int(most) - int(clients["connected_clients"])

    async def close(self) -> None:
        """Close every connection, those of calls still under way as well."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _check_commands(self) -> None:
        """Nothing in Redis keeps a client from writing, so the server is asked what writes."""
        verbs = dict.fromkeys(command.verb for command in self._work.commands)
        connection = await self._pool.get_connection()
        try:
            # The library cannot read the answer to a command that the server does not know.
            await connection.send_command("COMMAND", "INFO", *verbs)
            answer = await connection.read_response()
        except exceptions.NoPermissionError:
            raise BadInput(
                "the user may not ask what its commands do (COMMAND INFO), so they may write",
                "allow it (ACL SETUSER ... +command), or say read_only = false in targets.toml",
            ) from None
        finally:
            await self._pool.release(connection)
        flags = {verb: _texts(info[2]) for verb, info in zip(verbs, answer, strict=True) if info}
        for verb in verbs:
            # An unknown one changes nothing, and its call says so.
            if verb not in _HARMLESS and "readonly" not in flags.get(verb, {"readonly"}):
                raise BadInput(
                    f"{verb} may write, and nothing is written unless targets.toml allows it",
                    "say read_only = false where the data may be changed, or measure a command "
                    "that reads",
                )

    def _translated(self, stamps: Stamps, error: Exception) -> CallFailed:
        outcome = _failure(error)
        if isinstance(outcome, CallTimedOut) and not stamps.has_acquired:
            return PoolTimedOut("pool_timeout")
        if outcome.kind == "disconnected":
            self._pool.disconnects += 1
        return outcome


def _counts(pool: Any) -> tuple[int, int]:
    """Idle connections and those in use, of the library's pool."""
    (idle, _), (in_use, _) = pool.get_connection_count()
    return idle, in_use


def _texts(flags: Any) -> set[str]:
    return {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in flags}


def _is_full(error: BaseException) -> bool:
    """Whether the default pool turned a caller away."""
    return isinstance(error, exceptions.MaxConnectionsError)


def _gave_up(error: BaseException) -> bool:
    """Whether the pool gave up on a caller; BlockingConnectionPool has only words for it."""
    return _is_full(error) or str(error) == "No connection available."


def _failure(error: Exception) -> CallFailed:
    """The outcome that a library's exception stands for."""
    text = str(error)
    if _gave_up(error):
        return PoolTimedOut("pool_full" if _is_full(error) else "pool_timeout")
    if isinstance(error, exceptions.TimeoutError):
        return CallTimedOut("dial_timeout" if "connecting" in text else "call_timeout")
    if text.startswith(_SHED):
        return CallRejected(type(error).__name__)
    if isinstance(error.__context__, socket.gaierror):
        return CallFailed("host_not_found")
    if isinstance(error.__cause__, ConnectionRefusedError) or "Connect call failed" in text:
        return CallFailed("connection_refused")
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        return CallFailed(type(error).__name__)
    if isinstance(error, exceptions.ConnectionError | OSError):
        return CallFailed("disconnected", type(error).__name__)
    return CallFailed(type(error).__name__, text.partition(" ")[0])


def _unreachable(error: Exception) -> Unreachable:
    """Cause and remedy of a pool that could not be opened; names no password."""
    if isinstance(error, ValueError):  # its text may quote the URL
        return Unreachable(
            f"the URL cannot be used: {type(error).__name__}",
            f"write it as {FORMS['redis']}",
        )
    failure = error if isinstance(error, CallFailed) else _failure(error)
    if isinstance(failure, CallRejected):
        return Unreachable(
            "redis turns clients away", "free connections, or raise maxclients; then try again"
        )
    cause, remedy = {
        "connection_refused": (
            "redis refused the connection: nothing listens there",
            "check host and port, and that the server runs",
        ),
        "host_not_found": ("redis cannot be reached: no such host", "check the host in the URL"),
        "AuthenticationError": (
            "redis refused the user or password",
            "check both in the URL; write special characters as %XX",
        ),
        "AuthenticationWrongNumberOfArgsError": (
            "redis refused the password: the server has none set",
            "leave the password out of the URL",
        ),
    }.get(
        failure.kind,
        (f"redis refused the first call: {failure.kind}", "check the URL and the server's log"),
    )
    return Unreachable(cause, remedy)


# What a probe compares and tries.

QUESTIONS = (
    Question(
        "health check", "health check", BASE, note="a PING before the command, one round trip"
    ),
)
SKIPPED = {"reset on release": "redis resets nothing: a connection goes back as it is"}


def vary(pool: RedisPool, variant: str) -> None:
    """Make a pool one of the variants that `QUESTIONS` name."""
    if variant == "health check":
        pool.health_check_interval = _ALWAYS


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter: the pool looks at no age when it hands out, but asks if told to."""
    del keep
    return {"health_check_interval": _ALWAYS if ping else 0.0}


# A service's own pool, listened to where it hands out, makes ready and takes back.


def hook_of(pool: Any) -> RedisHook | None:
    """The hook of an async pool, or of the pool of a client; None for another object of redis's."""
    pool = pool.connection_pool if isinstance(pool, Redis) else pool
    return RedisHook(pool) if isinstance(pool, ConnectionPool) else None


class RedisHook(Hook):
    """One ConnectionPool or BlockingConnectionPool."""

    driver = "redis"

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        pool = self._place
        ensure, release = pool.ensure_connection, pool.release
        dial = told_dial(tap, ensure)

        async def ensure_connection(connection: Any) -> None:
            await (ensure if connection.is_connected else dial)(connection)

        async def told_release(connection: Any) -> None:
            try:
                await release(connection)
            finally:
                tap.back(id(connection))

        self._replace(
            pool,
            _poolkit_tap=tap,
            get_connection=told_ask(tap, pool.get_connection, _gave_up),
            ensure_connection=ensure_connection,
            release=told_release,
        )

    def state(self) -> PoolState:
        """The pool's own figures; it is never closed, it dials anew."""
        idle, in_use = _counts(self._place)
        return PoolState(self._place.max_connections, in_use, idle)

    def forgotten(self) -> set[int]:
        """Keys of connections that are handed out and that nothing in the program refers to.

        The pool keeps what it hands out, so the count of references tells: that of one in use which
        only the library knows.
        """
        return {
            id(connection)
            for connection in self._place._in_use_connections
            if sys.getrefcount(connection) <= _references_within(connection)
        }


def _references_within(connection: Any) -> int:
    """What `sys.getrefcount` says of a connection in use that only the library refers to."""
    # The pool's set, the variable that is counted, the argument of the count; its own helpers.
    helpers = ("_maint_notifications_pool_handler", "_maint_notifications_connection_handler")
    return 3 + sum(getattr(connection, name, None) is not None for name in helpers)
