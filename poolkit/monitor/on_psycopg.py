"""Listens to psycopg_pool's AsyncConnectionPool, at `getconn` and `putconn`.

The pool dials in workers of its own, so a call that has to wait for a dial waits.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from typing import Any

from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from poolkit.monitor.tap import PoolState, Tap

_Out = dict[int, "weakref.ref[Any]"]

_METHODS = ("getconn", "putconn", "_connect", "_check_connection")


def hook_of(pool: Any) -> PsycopgHook | None:
    """The hook of an async pool; None for another object of psycopg_pool's."""
    return PsycopgHook(pool) if isinstance(pool, AsyncConnectionPool) else None


class PsycopgHook:
    """One AsyncConnectionPool."""

    driver = "psycopg"

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        # The pool forgets what it hands out, so this tells whether the program did too.
        self._out: _Out = {}

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return self._pool

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        pool = self._pool
        pool._poolkit_tap = tap
        pool.getconn = _getconn(tap, pool.getconn, self._out)
        pool.putconn = _putconn(tap, pool.putconn, self._out)
        pool._connect = _dial(tap, pool._connect)
        if getattr(pool, "_check", None) is not None:
            pool._check_connection = _check(tap, pool._check_connection)

    def detach(self) -> None:
        """Leave the pool as it was."""
        for name in (*_METHODS, "_poolkit_tap"):
            vars(self._pool).pop(name, None)

    def state(self) -> PoolState:
        """The pool's own figures, from `get_stats`."""
        said = self._pool.get_stats()
        size, idle = said.get("pool_size", 0), said.get("pool_available", 0)
        if self._pool.closed:
            size = idle = 0
        return PoolState(self._pool.max_size, size - idle, idle, self._pool.closed)

    def forgotten(self) -> set[int]:
        """Keys of connections that were collected while they were handed out."""
        return {key for key, connection in list(self._out.items()) if connection() is None}

    def unclear(self) -> set[int]:
        """None: a weak reference tells of each."""
        return set()


def _getconn(tap: Tap, getconn: Any, out: _Out) -> Any:
    async def _getconn(timeout: float | None = None) -> Any:
        call = tap.ask(sys._getframe(1))
        try:
            connection = await getconn(timeout)
        except BaseException as error:
            tap.failed(
                call,
                is_timeout=isinstance(error, PoolTimeout | TooManyRequests),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise
        tap.got(call, id(connection))
        out[id(connection)] = weakref.ref(connection)
        return connection

    return _getconn


def _check(tap: Tap, check: Any) -> Any:
    async def _check_connection(connection: Any) -> None:
        tap.has_slot()
        try:
            await check(connection)
        except BaseException:
            tap.has_no_slot()
            raise

    return _check_connection


def _putconn(tap: Tap, putconn: Any, out: _Out) -> Any:
    async def _putconn(connection: Any) -> None:
        try:
            await putconn(connection)
        finally:
            out.pop(id(connection), None)
            tap.back(id(connection))

    return _putconn


def _dial(tap: Tap, connect: Any) -> Any:
    async def _connect(*arguments: Any, **options: Any) -> Any:
        began = tap.dial_begins()
        connection = await connect(*arguments, **options)
        tap.dial_ends(began)
        return connection

    return _connect
