"""The moments of a call inside httpx: when it holds a connection, and when a new one is up.

httpx's pool (httpcore's, httpcore2's) tells nobody how long a request waited. Exact: this pool's
own objects are wrapped where the pool hands a request to a connection; the library's classes stay
as they are, and a call pays about a microsecond. Inferred: the first trace event of the request,
which comes a few turns of the event loop after the wait is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from poolkit.drivers.base import Stamps
from poolkit.errors import CallFailed


class Books:
    """What is counted over all calls; `waiting` and `holding` only where waits are inferred."""

    __slots__ = ("holding", "opened", "waiting")

    def __init__(self) -> None:
        self.opened = 0
        self.waiting = 0
        self.holding = 0

    def leave(self, call: Call) -> None:
        """The call is over, whether it ever held a connection or not."""
        if call.has_slot:
            self.holding -= 1
        else:
            self.waiting -= 1


class Call:
    """What is learnt of one call, carried to the connection by the task's context."""

    __slots__ = ("has_slot", "is_dialling", "stamps")

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.has_slot = False
        self.is_dialling = False

    def take_slot(self) -> None:
        """The call holds a connection from here on; the first time counts."""
        if not self.has_slot:
            self.has_slot = True
            self.stamps.acquired()

    def dialled(self) -> None:
        """The connection that the call dialled is up."""
        self.is_dialling = False
        self.stamps.dialled()


current: ContextVar[Call | None] = ContextVar("poolkit_httpx_call", default=None)


class _Entrance:
    """Stands before one connection and stamps the request that gets it.

    httpcore 1.0 hands a connection that was just released to every request in its queue, and to
    newcomers; the first to enter has it, the others are sent back to wait. So only a request that
    enters a free connection alone is stamped at once. (One that gets in because the request before
    it was cancelled within those turns is stamped when its answer begins.)

    State: how many requests are inside, from their entry to the head of their answer.
    """

    __slots__ = ("_handle", "_inside", "_is_idle", "_is_new")

    def __init__(self, connection: Any) -> None:
        self._handle: Callable[[Any], Awaitable[Any]] = connection.handle_async_request
        self._is_idle: Callable[[], bool] = connection.is_idle
        self._is_new = True
        self._inside = 0

    async def __call__(self, request: Any) -> Any:
        call = current.get()
        if call is None:
            return await self._handle(request)
        is_sure = not self._inside and (self._is_new or self._is_idle())
        if is_sure:
            call.take_slot()
        self._is_new = False
        self._inside += 1
        try:
            response = await self._handle(request)
        finally:
            self._inside -= 1
        if not is_sure:
            call.take_slot()
        return response


def can_watch(pool: Any, origin: Any) -> bool:
    """Whether a pool has everything that `watch` and exact statistics rely on.

    Args:
        pool: the pool inside a transport, None where there is none.
        origin: any origin; a connection to it is made on trial and never dialled.
    """
    books = ("create_connection", "_connections", "_requests")
    if pool is None or not all(hasattr(pool, name) for name in books):
        return False
    connection = pool.create_connection(origin)
    return all(hasattr(connection, name) for name in ("handle_async_request", "_connect"))


def watch(pool: Any, books: Books, hosts: frozenset[bytes]) -> None:
    """Stamp the calls of this one pool from now on, count its dials, and dial `hosts` only."""
    create: Callable[[Any], Any] = pool.create_connection

    def create_connection(origin: Any) -> Any:
        connection = create(origin)
        connect: Callable[[Any], Awaitable[Any]] = connection._connect

        async def dial(request: Any) -> Any:
            check_host(request.url.host, hosts)
            call = current.get()
            if call is not None:
                call.is_dialling = True
            stream = await connect(request)  # TLS included
            books.opened += 1
            if call is not None:
                call.dialled()
            return stream

        connection._connect = dial
        connection.handle_async_request = _Entrance(connection)
        return connection

    pool.create_connection = create_connection


def check_host(host: bytes, hosts: frozenset[bytes]) -> None:
    """The user's function holds the client: it may not carry load to a host that is not meant."""
    if host not in hosts:
        raise CallFailed("host_not_allowed")


def tracer(books: Books, hosts: frozenset[bytes]) -> Callable[[Any], Awaitable[None]]:
    """A hook for a client's requests that stamps their calls at the first trace event.

    Requests to another host than `hosts` go nowhere.
    """

    async def on_request(request: Any) -> None:
        check_host(request.url.raw_host, hosts)
        call = current.get()
        is_tls = request.url.scheme == "https"
        is_up = "connection.start_tls.complete" if is_tls else "connection.connect_tcp.complete"

        async def trace(event: str, _info: Any) -> None:
            if event == is_up:
                books.opened += 1
            if call is None:
                return
            if not call.has_slot:
                books.waiting -= 1
                books.holding += 1
                call.take_slot()
            if event == "connection.connect_tcp.started":
                call.is_dialling = True
            elif event == is_up:
                call.dialled()

        request.extensions["trace"] = trace

    return on_request
