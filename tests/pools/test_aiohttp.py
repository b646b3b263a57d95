"""What only aiohttp does: it repeats a call in silence where the kept connection was dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from poolkit.errors import CallFailed
from poolkit.pools.aiohttp import AiohttpPool
from poolkit.workload import HttpWork
from tests.pools.test_contract import opened, run, stamps

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class OnceEach:
    """A server that answers one request on each connection and hangs up at the second."""

    def __init__(self) -> None:
        self.requests = 0

    async def __aenter__(self) -> OnceEach:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop_listening()

    def stop_listening(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def second_call(
    prepare: Callable[[OnceEach], object] = lambda _: None,
    *,
    method: Any = "GET",
    **options: Any,
) -> tuple[str, int, int, int]:
    """A call on a connection that dies of it: outcome, disconnects, dials, requests served."""

    async def go() -> tuple[str, int, int, int]:
        async with OnceEach() as server:
            pool = AiohttpPool(HttpWork(method, server.url), 1, **options)
            async with opened(pool):
                await pool.call(stamps())
                prepare(server)
                kind = "ok"
                try:
                    await pool.call(stamps())
                except CallFailed as failure:
                    kind = failure.kind
                seen = pool.statistics()
                return kind, seen.disconnects, seen.connections_opened, server.requests

    return run(go())


def test_a_hidden_retry_that_succeeds_is_counted() -> None:
    """The caller sees a good answer; the second request on the first connection was lost."""
    assert second_call() == ("ok", 1, 2, 3)


def test_a_hidden_retry_that_is_refused_is_counted() -> None:
    """Nobody listens any more: both that the connection was dead and that the dial was refused."""
    assert second_call(OnceEach.stop_listening) == ("connection_refused", 1, 1, 2)


def test_a_call_that_may_not_be_repeated_is_one_disconnect() -> None:
    """A POST is not sent twice."""
    assert second_call(method="POST") == ("disconnected", 1, 1, 2)


def test_a_hidden_retry_that_dials_in_vain_is_a_dial_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server is gone, not slow: the brake on refused connections is to see it."""

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    def black_hole(_: OnceEach) -> None:
        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", never)

    assert second_call(black_hole, call_timeout=0.2)[:2] == ("dial_timeout", 1)


def test_a_function_asks_for_as_many_connections_as_it_likes() -> None:
    """Two requests of one call are no retry."""

    async def go() -> int:
        async with OnceEach() as server:

            async def twice(session: aiohttp.ClientSession) -> None:
                for _ in range(2):
                    async with session.get(server.url) as response:
                        await response.read()

            pool = AiohttpPool(HttpWork("GET", server.url, function=twice), 2)
            async with opened(pool):
                await pool.call(stamps())
                return pool.statistics().disconnects

    assert run(go()) == 0
