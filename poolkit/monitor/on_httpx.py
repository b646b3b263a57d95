"""Listens to the connection pool (httpcore's) below an httpx client; httpx2 and httpcore2 alike.

A request begins to hold where it enters a connection. httpcore may hand one connection to several
requests: all but the first are sent back and wait on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from poolkit.monitor.call import Call
from poolkit.monitor.tap import PoolState, Tap

_NEEDED = ("handle_async_request", "create_connection", "connections", "_max_connections")


def hook_of(pool: Any) -> HttpxHook | None:
    """The hook of an AsyncClient, its transport or httpcore's own pool; None for anything else."""
    for step in ("_transport", "_pool"):
        pool = getattr(pool, step, pool)
    return HttpxHook(pool) if all(hasattr(pool, name) for name in _NEEDED) else None


class HttpxHook:
    """One httpcore pool.

    State: `_calls`, the call of every request on its way, and the connections that tell of
    themselves.
    """

    driver = "httpx"

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._tap: Tap | None = None
        self._calls: dict[int, Call] = {}

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return self._pool

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        pool = self._pool
        self._tap = pool._poolkit_tap = tap
        for connection in pool.connections:
            self._listen(connection)
        create, handle = pool.create_connection, pool.handle_async_request
        errors = sys.modules[type(pool).__module__.partition(".")[0]]

        def create_connection(origin: Any) -> Any:
            return self._listen(create(origin))

        async def handle_async_request(request: Any) -> Any:
            call = tap.ask(sys._getframe(1))
            self._calls[id(request)] = call
            try:
                response = await handle(request)
            except BaseException as error:
                tap.failed(
                    call,
                    is_timeout=isinstance(error, errors.PoolTimeout),
                    is_cancelled=isinstance(error, asyncio.CancelledError),
                )
                raise
            finally:
                del self._calls[id(request)]
            response.stream = _Stream(response.stream, tap)
            tap.got(call, id(response.stream))
            return response

        pool.create_connection = create_connection
        pool.handle_async_request = handle_async_request

    def detach(self) -> None:
        """Leave the pool as it was."""
        for name in ("create_connection", "handle_async_request", "_poolkit_tap"):
            vars(self._pool).pop(name, None)
        for connection in self._pool.connections:
            for name in ("handle_async_request", "_connect"):
                vars(connection).pop(name, None)
        self._tap = None

    def state(self) -> PoolState:
        """The pool's own figures; a closed pool is an empty one, httpcore tells no more."""
        connections = self._pool.connections
        idle = sum(connection.is_idle() for connection in connections)
        size = self._pool._max_connections
        return PoolState(
            None if size >= sys.maxsize else size, len(connections) - idle, idle, False
        )

    def forgotten(self) -> set[int]:
        """None: a response that is collected tells of it itself."""
        return set()

    def unclear(self) -> set[int]:
        """None: a response that is collected tells of it itself."""
        return set()

    def _listen(self, connection: Any) -> Any:
        tap = self._tap
        assert tap is not None
        handle, connect = connection.handle_async_request, connection._connect

        async def _connect(request: Any) -> Any:
            began = tap.dial_begins()
            stream = await connect(request)  # TLS included
            tap.dial_ends(began)
            return stream

        async def handle_async_request(request: Any) -> Any:
            call = self._calls.get(id(request))
            if call is not None:
                tap.takes_slot(call)
            try:
                return await handle(request)
            except Exception as error:
                if call is not None and type(error).__name__ == "ConnectionNotAvailable":
                    tap.waits_again(call)
                raise

        connection._connect = _connect
        connection.handle_async_request = handle_async_request
        return connection


class _Stream:
    """A response's body, whose end gives the connection back."""

    __slots__ = ("__weakref__", "_is_over", "_stream", "_tap")

    def __init__(self, stream: Any, tap: Tap) -> None:
        self._stream = stream
        self._tap = tap
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = self._stream.__aiter__()
        return iterator

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            if not self._is_over:
                self._is_over = True
                self._tap.back(id(self))

    def __del__(self) -> None:
        if not self._is_over:
            # httpcore knows nothing of it: the connection stays taken for good.
            self._tap.lose(id(self))
