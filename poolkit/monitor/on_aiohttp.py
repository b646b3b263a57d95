"""Listens to the connector of an aiohttp session, at `connect` and where connections return."""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

import aiohttp

from poolkit.monitor.tap import PoolState, Tap

_MOST_HOSTS = 1000  # a crawler meets more
_METHODS = ("connect", "_create_connection", "_release")


def hook_of(pool: Any) -> AiohttpHook | None:
    """The hook of a session or connector; None for another object of aiohttp's."""
    connector = pool.connector if isinstance(pool, aiohttp.ClientSession) else pool
    return AiohttpHook(connector) if isinstance(connector, aiohttp.BaseConnector) else None


class AiohttpHook:
    """One connector; sessions that share it are one pool."""

    driver = "aiohttp"

    def __init__(self, connector: Any) -> None:
        self._connector = connector
        self._hosts: set[Any] = set()  # seen so far, as far as they matter

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return self._connector

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        connector = self._connector
        connector._poolkit_tap = tap
        connector.connect = _connect(tap, connector.connect)
        connector._create_connection = _dial(tap, connector._create_connection)
        connector._release = _release(tap, connector._release)

    def detach(self) -> None:
        """Leave the connector as it was."""
        for name in (*_METHODS, "_poolkit_tap"):
            vars(self._connector).pop(name, None)

    def state(self) -> PoolState:
        """The connector's own figures; the size is that of the hosts it has spoken to so far."""
        connector = self._connector
        # The loop's thread may change these meanwhile; a copy is made at once.
        kept = list(connector._conns.values())
        return PoolState(
            self._size(),
            len(connector._acquired),
            sum(len(idle) for idle in kept),
            connector.closed,
        )

    def _size(self) -> int | None:
        """`limit`, or `limit_per_host` for each host where that is less."""
        limit: int | None = self._connector.limit or None
        each: int = self._connector.limit_per_host
        if not each:
            return limit
        for key in (*list(self._connector._acquired_per_host), *list(self._connector._conns)):
            if len(self._hosts) < _MOST_HOSTS:
                self._hosts.add(key)
        size = each * max(1, len(self._hosts))
        return size if limit is None else min(limit, size)

    def forgotten(self) -> set[int]:
        """Keys of connections that are handed out and that nothing in the program refers to.

        aiohttp keeps a response alive until its body has come, so the garbage collector never
        tells; the count of references does.
        """
        return {
            id(protocol)
            for protocol in list(self._connector._acquired)
            for told in _told_at_end(protocol)
            if sys.getrefcount(told.__self__) <= _OF_THE_LIBRARY
        }

    def unclear(self) -> set[int]:
        """Keys of connections without a response that can be found, such as those of WebSockets."""
        return {
            id(protocol)
            for protocol in list(self._connector._acquired)
            if not _told_at_end(protocol)
        }


def _told_at_end(protocol: Any) -> list[Any]:
    """Methods of responses that aiohttp calls when a body has come; empty: none is on its way."""
    body = getattr(protocol, "_payload", None)
    return [
        told
        for told in getattr(body, "_eof_callbacks", ())
        if isinstance(getattr(told, "__self__", None), aiohttp.ClientResponse)
    ]


class _Referred:
    def told(self) -> None:
        """Stands for a method of a response."""


def _references_of_one() -> int:
    """What `sys.getrefcount` says, counted as in `forgotten`, where one bound method refers."""
    methods: list[Any] = [_Referred().told]
    return next(sys.getrefcount(told.__self__) for told in methods)


_OF_THE_LIBRARY = _references_of_one()


def _connect(tap: Tap, connect: Any) -> Any:
    async def _connect(*arguments: Any, **options: Any) -> Any:
        call = tap.ask(sys._getframe(1))
        try:
            connection = await connect(*arguments, **options)
        except BaseException as error:
            tap.failed(
                call,
                is_timeout=isinstance(error, TimeoutError),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise
        tap.got(call, id(connection.protocol))
        return connection

    return _connect


def _dial(tap: Tap, create: Any) -> Any:
    async def _create_connection(*arguments: Any, **options: Any) -> Any:
        began = tap.dial_begins()
        protocol = await create(*arguments, **options)
        tap.dial_ends(began)
        return protocol

    return _create_connection


def _release(tap: Tap, release: Any) -> Any:
    def _release(key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # What is collected releases itself, or its response does through it.
        frame: FrameType | None = sys._getframe(1)
        if frame is not None and frame.f_code.co_name == "release":
            frame = frame.f_back
        is_collected = frame is not None and frame.f_code.co_name == "__del__"
        release(key, protocol, should_close=should_close)
        tap.back(id(protocol), is_collected=is_collected)

    return _release
