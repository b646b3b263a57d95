"""What only aiohttp does: a silent second try on a dead connection, dials in their parts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.base import DialTimes
from poolkit.errors import CallFailed
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
from poolkit.targets.workload import HttpWork
from tests.drivers.test_contract import Call, opened, run, stamps

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

    assert second_call(black_hole, call_timeout=1.0)[:2] == ("dial_timeout", 1)


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


@pytest.mark.lab
@pytest.mark.skipif(
    not can_speak_tls(), reason="trustme is not installed: pip install 'poolkit[lab]'"
)
def test_a_dial_is_taken_apart() -> None:
    """Look-up, TCP and TLS of a new connection, each where it belongs; a kept one adds nothing."""
    slow = 0.05  # s of a look-up

    async def go(url: str, certificate: Path | None) -> tuple[DialTimes, Call]:
        async with opened(AiohttpPool(HttpWork("GET", url), 1)) as pool:
            assert isinstance(pool, AiohttpPool)
            connector = pool._connector
            assert connector is not None
            if certificate is not None:
                connector._ssl = ssl.create_default_context(cafile=str(certificate))
            look_up = connector._resolver.resolve

            async def resolve(*arguments: Any, **options: Any) -> Any:
                await asyncio.sleep(slow)
                return await look_up(*arguments, **options)

            connector._resolver.resolve = resolve  # type: ignore[method-assign]
            first = await Call().go(pool)
            await Call().go(pool)
            found = pool.statistics().dial_times
            assert found is not None
            return found, first

    with (
        HttpUpstream(Workers(workers=2, service_time=0.001)) as upstream,
        HttpUpstream(upstream.truth, tls_names=["localhost"]) as front,
    ):
        secure, call = run(go(f"https://localhost:{front.port}/", front.certificate))
        plain, _ = run(go(upstream.url, None))
    assert secure.dials == plain.dials == 1
    assert secure.dns >= 0.9 * slow
    assert min(secure.tcp, secure.tls) > 0
    whole = call.stamps.dialled_at - call.acquired
    assert secure.dns + secure.tcp + secure.tls == pytest.approx(whole, abs=0.005)
    assert plain.dns < slow  # an address needs no look-up
    assert plain.tcp > 0
    assert plain.tls == 0
