"""Listens to an asyncpg Pool.

The pool has no room for attributes of its own, so while it is listened to it is of a class made for
it: a subclass whose `_acquire`, `release` and `_get_new_connection` tell of each call.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg

from poolkit.monitor.tap import PoolState, Tap


def hook_of(pool: Any) -> AsyncpgHook | None:
    """The hook of a pool; None for another object of asyncpg's."""
    return AsyncpgHook(pool) if isinstance(pool, asyncpg.Pool) else None


class AsyncpgHook:
    """One asyncpg pool."""

    driver = "asyncpg"

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._class: Any = None  # the pool's own, while it is listened to

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return type(self._pool)

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        self._class = kind = type(self._pool)
        for holder in self._pool._holders:
            if holder._setup is not None:
                holder._setup = _Setup(tap, holder._setup)
        self._pool.__class__ = type(
            kind.__name__,
            (kind,),
            {
                "__slots__": (),
                "__module__": kind.__module__,
                "_poolkit_tap": tap,
                "_acquire": _acquire(tap, kind._acquire),
                "release": _release(tap, kind.release),
                "_get_new_connection": _dial(tap, kind._get_new_connection),
            },
        )

    def detach(self) -> None:
        """Leave the pool as it was."""
        if self._class is not None:
            self._pool.__class__ = self._class
            self._class = None
        for holder in self._pool._holders:
            if isinstance(holder._setup, _Setup):
                holder._setup = holder._setup.setup

    def state(self) -> PoolState:
        """The pool's own figures."""
        pool = self._pool
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
        for holder in self._pool._holders:
            proxy = holder._proxy
            # One that is being released has no connection below it.
            if (
                proxy is not None
                and proxy._con is not None
                and sys.getrefcount(proxy) <= _OF_THE_LIBRARY
            ):
                keys.add(id(proxy))
        return keys

    def unclear(self) -> set[int]:
        """None: the count of references tells of each."""
        return set()


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


def _acquire(tap: Tap, acquire: Any) -> Any:
    async def _acquire(pool: Any, timeout: float | None) -> Any:
        call = tap.ask(sys._getframe(1))
        try:
            connection = await acquire(pool, timeout)
        except BaseException as error:
            tap.failed(
                call,
                is_timeout=isinstance(error, TimeoutError),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise
        tap.got(call, id(connection))
        return connection

    return _acquire


def _release(tap: Tap, release: Any) -> Any:
    async def _release(pool: Any, connection: Any, *, timeout: float | None = None) -> Any:
        try:
            return await release(pool, connection, timeout=timeout)
        finally:
            tap.back(id(connection))

    return _release


def _dial(tap: Tap, dial: Any) -> Any:
    async def _get_new_connection(pool: Any) -> Any:
        began = tap.dial_begins()
        connection = await dial(pool)
        tap.dial_ends(began)
        return connection

    return _get_new_connection
