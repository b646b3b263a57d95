"""The HTTP upstream does what its model says, seen from outside."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import time
from collections.abc import Iterator

import aiohttp
import pytest

from poolkit.errors import PoolkitError
from poolkit.lab.models import Contended, CpuBound, Mixed, Model, Workers
from poolkit.lab.upstream import HttpUpstream, can_speak_tls

pytestmark = pytest.mark.lab

MODELS: list[Model] = [
    Workers(workers=2, service_time=0.020),
    Mixed(workers=2, fast=0.010, slow=0.040, slow_share=0.2),
    CpuBound(delay=0.010, cpu=0.005),
    Contended(base=0.010, sigma=0.5, kappa=0.05),
]


@pytest.fixture(params=MODELS, ids=lambda model: model.kind)
def upstream(request: pytest.FixtureRequest) -> Iterator[HttpUpstream]:
    with HttpUpstream(request.param) as server:
        yield server


async def call_many(url: str, callers: int, calls_each: int) -> list[int]:
    """Statuses of callers that each call one after the other."""
    connector = aiohttp.TCPConnector(limit=callers)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def caller() -> list[int]:
            statuses = []
            for _ in range(calls_each):
                async with session.get(url) as response:
                    await response.json()
                    statuses.append(response.status)
            return statuses

        results = await asyncio.gather(*(caller() for _ in range(callers)))
    return [status for result in results for status in result]


def least_seconds(model: Model, calls: int) -> float:
    """Time below which no number of callers can have this many answers (all waits left out)."""
    return calls / model.plateau


def test_answers_every_call_and_no_faster_than_its_plateau(upstream: HttpUpstream) -> None:
    """Little's law as a bound: served / time <= plateau, whatever else the machine does."""
    began = time.monotonic()
    statuses = asyncio.run(call_many(upstream.url, callers=8, calls_each=10))
    seconds = time.monotonic() - began
    assert statuses == [200] * 80
    # Calls of the first round may begin in an empty upstream: one call a place is free.
    free = upstream.truth.places or 1
    assert seconds >= least_seconds(upstream.truth, 80 - free)


def test_stats_tell_what_happened(upstream: HttpUpstream) -> None:
    """Calls, connections and the most in service are counted; looking at them is not."""
    upstream.stats()
    asyncio.run(call_many(upstream.url, callers=8, calls_each=3))
    stats = upstream.stats()
    assert stats["served"] == 24
    assert stats["in_system"] == stats["in_service"] == 0
    assert stats["connections_opened"] == 8
    assert 1 <= stats["max_in_system"] <= 8
    assert stats["max_in_service"] == min(
        stats["max_in_system"], upstream.truth.places or stats["max_in_system"]
    )
    assert stats["mean_seconds"] > 0
    assert stats["mean_lateness"] >= 0


def test_a_call_takes_at_least_its_service_time() -> None:
    """Timers never fire early: 5 calls of 20 ms, constant, on one caller."""
    with HttpUpstream(Workers(workers=2, service_time=0.020)) as server:
        began = time.monotonic()
        asyncio.run(call_many(server.url, callers=1, calls_each=5))
        assert time.monotonic() - began >= 0.100
        assert server.stats()["mean_seconds"] >= 0.020


def test_pipelined_calls_are_answered_in_order() -> None:
    """A constant model serves two at once; their answers still keep their order and number."""
    request = b"GET /%d HTTP/1.1\r\nHost: lab\r\n\r\n"
    last = b"GET /2 HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
    with HttpUpstream(MODELS[0]) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(request % 0 + request % 1 + last)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert server.stats()["served"] == 3


def test_a_request_that_is_no_http_is_refused() -> None:
    """400, and the connection closes."""
    with (
        HttpUpstream(MODELS[0]) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
    ):
        client.sendall(b"\x00\x01 nonsense\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_idle_connections_close_after_the_keepalive() -> None:
    """The server says nothing and closes; before, the connection may be used again."""
    with HttpUpstream(Workers(1, 0.001), keepalive=0.2) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for _ in range(2):
            client.request("GET", "/")
            client.getresponse().read()
        began = time.monotonic()
        assert client.sock.recv(1) == b""
        assert time.monotonic() - began >= 0.1
        client.close()
        assert server.stats()["connections_opened"] == 1


def test_a_failing_upstream_fails_every_call() -> None:
    """`status` is the answer to all calls, not to the look at the truth."""
    with HttpUpstream(Workers(2, 0.001), status=500) as server:
        assert asyncio.run(call_many(server.url, callers=2, calls_each=2)) == [500] * 4
        assert server.stats()["served"] == 4


def test_kill_and_restart_keep_the_port() -> None:
    """A crash refuses connections; after `restart` the same URL answers from a fresh model."""
    with HttpUpstream(Workers(2, 0.001)) as server:
        asyncio.run(call_many(server.url, callers=1, calls_each=2))
        url = server.url
        server.kill()
        with pytest.raises(aiohttp.ClientConnectionError):
            asyncio.run(call_many(url, callers=1, calls_each=1))
        server.restart()
        assert server.url == url
        assert server.stats()["served"] == 0
        assert asyncio.run(call_many(url, callers=1, calls_each=1)) == [200]


def test_a_server_that_cannot_listen_says_why() -> None:
    """The child's own words reach the caller, and no process stays."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = HttpUpstream(MODELS[0], port=taken.getsockname()[1])
        with pytest.raises(PoolkitError, match="did not start") as caught, server:
            pass
    assert "address already in use" in caught.value.remedy.lower()


@pytest.mark.skipif(
    not can_speak_tls(), reason="trustme is not installed: pip install 'poolkit[lab]'"
)
def test_calls_go_through_tls_and_an_idle_end_too() -> None:
    """Its certificate is for the names that were asked; the upstream's close reaches the client."""
    names = ("localhost", "other.test")
    with HttpUpstream(Workers(2, service_time=0.001), keepalive=0.3, tls_names=names) as front:
        context = ssl.create_default_context(cafile=str(front.certificate))
        for name in ("localhost", "other.test"):
            with (
                socket.create_connection(("127.0.0.1", front.port), timeout=5.0) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert secure.recv(4096).startswith(b"HTTP/1.1 200")
                assert secure.recv(4096) == b""  # after 0.3 s of silence
        with (
            socket.create_connection(("127.0.0.1", front.port), timeout=5.0) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(plain, server_hostname="nobody.test")
        assert front.stats()["served"] == 2
        folder = front.certificate.parent
        assert folder.exists()
    assert not folder.exists()
