"""Listens to an AsyncEngine of SQLAlchemy through methods of its pool.

They run in a greenlet of their own; the task that asks stands in the greenlet's parent.
"""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

from greenlet import getcurrent  # type: ignore[import-untyped, unused-ignore]
from sqlalchemy.exc import TimeoutError as NoConnectionInTime
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from poolkit.monitor.tap import PoolState, Tap


def hook_of(engine: Any) -> SqlalchemyHook | None:
    """The hook of an engine with a pool that keeps connections; None for anything else."""
    if isinstance(engine, AsyncEngine) and isinstance(engine.pool, QueuePool):
        return SqlalchemyHook(engine)
    return None


class SqlalchemyHook:
    """One engine; `dispose` gives it a new pool, which is then listened to as well."""

    driver = "sqlalchemy"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine: Any = engine.sync_engine
        self._tap: Tap | None = None
        self._pool: Any = None  # the one that is listened to

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return self._engine

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        self._tap = self._engine._poolkit_tap = tap
        # An event would do, but from the first listener on every statement looks for more.
        dispose = self._engine.dispose

        def follow(*arguments: Any, **options: Any) -> None:
            dispose(*arguments, **options)
            # The old pool is listened to as well, until what is out of it has come back.
            self._listen()

        self._engine.dispose = follow
        self._listen()

    def detach(self) -> None:
        """Leave the engine as it was."""
        if self._tap is None:
            return
        self._tap = None
        for name in ("dispose", "_poolkit_tap"):
            vars(self._engine).pop(name, None)
        self._leave()

    def state(self) -> PoolState:
        """The pool's own figures; an engine never closes, it makes a new pool."""
        pool = self._engine.pool
        overflow = pool._max_overflow
        size = None if overflow < 0 else pool.size() + overflow
        return PoolState(size, pool.checkedout(), pool.checkedin())

    def forgotten(self) -> set[int]:
        """None: the engine gives back what the garbage collector takes."""
        return set()

    def unclear(self) -> set[int]:
        """None: the engine gives back what the garbage collector takes."""
        return set()

    def _listen(self) -> None:
        tap = self._tap
        if tap is None or self._pool is self._engine.pool:
            return
        self._pool = pool = self._engine.pool
        pool._do_get = _get(tap, pool._do_get)
        pool._create_connection = _dial(tap, pool._create_connection)
        pool._do_return_conn = _put(tap, pool._do_return_conn)

    def _leave(self) -> None:
        for name in ("_do_get", "_create_connection", "_do_return_conn"):
            vars(self._pool).pop(name, None)


def _caller() -> FrameType | None:
    """The frame that waits for the greenlet, or that of a caller without one."""
    parent = getcurrent().parent
    frame: FrameType | None = None if parent is None else parent.gr_frame
    return sys._getframe(2) if frame is None else frame


def _get(tap: Tap, get: Any) -> Any:
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
            tap.failed(
                call,
                is_timeout=isinstance(error, NoConnectionInTime),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise
        finally:
            inside.discard(task)
        tap.got(call, id(entry))
        return entry

    return _do_get


def _dial(tap: Tap, create: Any) -> Any:
    def _create_connection() -> Any:
        began = tap.dial_begins()
        entry = create()
        tap.dial_ends(began)
        return entry

    return _create_connection


def _put(tap: Tap, put: Any) -> Any:
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
