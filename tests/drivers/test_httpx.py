"""httpx and httpx2 behind the pool protocol: limits, dials, waits, and every way to fail."""

from __future__ import annotations

import asyncio
import math
import os
import resource
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from poolkit.drivers.base import Pool
from poolkit.drivers.fleet import GatedPool
from poolkit.drivers.httpx import HttpxPool
from poolkit.errors import CallFailed, CallRejected, CallTimedOut, PoolTimedOut
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.stamps import CallStamps
from poolkit.targets.workload import HttpWork
from tests.drivers.test_contract import until

pytest.importorskip("httpx")
pytest.importorskip("httpx2")

Library = Literal["httpx", "httpx2"]
LIBRARIES: tuple[Library, ...] = ("httpx", "httpx2")
HOLD = 0.03  # s
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(url: str) -> HttpWork:
    return HttpWork("GET", url)


def running(function: Callable[[Any], Coroutine[Any, Any, object]]) -> HttpWork:
    return HttpWork("GET", "http://127.0.0.1/", function=function)


def stamps() -> CallStamps:
    return CallStamps(time.perf_counter, 0.0)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=100, service_time=HOLD)) as server:
        yield server


@asynccontextmanager
async def opened(pool: Pool) -> AsyncIterator[Pool]:
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that does to each connection what `serve` says; yields its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def failure(pool: HttpxPool) -> CallFailed:
    async with opened(pool):
        with pytest.raises(CallFailed) as caught:
            await asyncio.wait_for(pool.call(stamps()), 60.0)
    return caught.value


async def closed_loop(pool: Pool, callers: int, calls: int) -> list[float]:
    """The waits (s) of callers that begin the next call as soon as one ends."""
    waits: list[float] = []

    async def caller() -> None:
        for _ in range(calls):
            started, call = time.perf_counter(), stamps()
            await pool.call(call)
            waits.append(call.acquired_at - started)

    async with opened(pool):
        await asyncio.gather(*(caller() for _ in range(callers)))
        waits.append(float(pool.statistics().connections_opened))
    return waits


# -- limits and dials --------------------------------------------------------------------------


@pytest.mark.alone
@pytest.mark.lab
@pytest.mark.parametrize(
    ("library", "kept", "low", "high"),
    [
        ("httpx", 2, 0.5, 1.0),  # the collapse: idle and busy connections are counted alike
        ("httpx", 4, 0.0, 0.2),
        ("httpx2", 2, 0.0, 0.2),  # fixed
        ("httpx2", 4, 0.0, 0.2),
    ],
)
def test_dials_per_call(
    upstream: HttpUpstream, library: Library, kept: int, low: float, high: float
) -> None:
    """4 callers on 4 connections: httpx 0.28 dials anew unless all may be kept alive."""
    pool = HttpxPool(get(upstream.url), 4, max_keepalive_connections=kept, library=library)
    before = upstream.stats()["connections_opened"]
    *waits, dials = asyncio.run(closed_loop(pool, callers=4, calls=6))
    assert upstream.stats()["connections_opened"] - before == dials
    assert low <= dials / len(waits) <= high


@pytest.mark.alone
@pytest.mark.lab
def test_the_gate_ends_starvation_on_httpx(upstream: HttpUpstream) -> None:
    """Alone, httpx 0.28 lets whoever has just released go first; httpx2 and the gate do not."""

    def longest_over_mean(pool: Pool) -> float:
        *waits, _ = asyncio.run(closed_loop(pool, callers=8, calls=6))
        return max(waits) / (sum(waits) / len(waits))

    alone = longest_over_mean(HttpxPool(get(upstream.url), 2))
    gated = longest_over_mean(GatedPool(HttpxPool(get(upstream.url), 2), 2))
    fork = longest_over_mean(HttpxPool(get(upstream.url), 2, library="httpx2"))
    assert alone > 3.0
    assert gated < 2.0
    assert fork < 2.0


@pytest.mark.alone
@pytest.mark.lab
def test_the_pool_timeout_starts_anew_on_httpx(upstream: HttpUpstream) -> None:
    """httpx 0.28 serves a call that waited far longer than its pool timeout allows.

    Each time a newcomer takes the connection that was promised to it, its wait begins again.
    """
    limit = 2 * HOLD
    pool = HttpxPool(get(upstream.url), 2, pool_timeout=limit)
    *waits, _ = asyncio.run(closed_loop(pool, callers=8, calls=6))
    assert max(waits) > 2 * limit


@pytest.mark.lab
def test_an_expired_connection_is_dialled_anew(upstream: HttpUpstream, library: Library) -> None:
    """`keepalive_expiry` is handed on: a connection that idled longer is not used again."""

    async def go() -> int:
        pool = HttpxPool(get(upstream.url), 1, library=library, keepalive_expiry=0.02)
        async with opened(pool):
            await pool.call(stamps())
            await asyncio.sleep(0.05)
            await pool.call(stamps())
            return pool.statistics().connections_opened

    assert asyncio.run(go()) == 2


# -- waits -------------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("infers_wait", [False, True], ids=["exact", "inferred"])
def test_waits_are_those_of_the_queue(
    upstream: HttpUpstream, library: Library, infers_wait: bool
) -> None:
    """5 calls at once on one connection wait 0, 1, 2, 3, 4 holds; only the first one dials."""

    async def go() -> tuple[list[float], list[CallStamps], bool]:
        pool = HttpxPool(get(upstream.url), 1, library=library, infers_wait=infers_wait)
        async with opened(pool):
            await pool.call(stamps())  # what httpx imports on its first call is no wait
            calls = [stamps() for _ in range(5)]
            begun = time.perf_counter()
            await asyncio.gather(*(pool.call(call) for call in calls))
            waits = sorted(call.acquired_at - begun for call in calls)
            assert pool.statistics().connections_opened == 1
            return waits, calls, pool.wait_is_exact

    waits, calls, is_exact = asyncio.run(go())
    assert is_exact is not infers_wait
    for number, wait in enumerate(waits):
        # No reply comes early, so each further call waits at least one more hold.
        assert wait >= number * HOLD * 0.98
    for call in calls:
        assert math.isnan(call.dialled_at)
        assert call.served_at - call.acquired_at >= HOLD * 0.98
    ends = sorted(call.served_at for call in calls)
    begins = sorted(call.acquired_at for call in calls)
    # One connection: nobody holds it before the call before has ended.
    assert all(later >= end - 0.002 for end, later in zip(ends, begins[1:], strict=False))


@pytest.mark.lab
@pytest.mark.parametrize("infers_wait", [False, True], ids=["exact", "inferred"])
def test_a_dial_is_noted_after_the_slot_is_held(library: Library, infers_wait: bool) -> None:
    """acquired, dialled, served, in this order, where a connection was made."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    async def go() -> tuple[CallStamps, int]:
        async with serving(serve) as url:
            pool = HttpxPool(get(url), 1, library=library, infers_wait=infers_wait)
            async with opened(pool):
                call = stamps()
                await pool.call(call)
                return call, pool.statistics().connections_opened

    call, dials = asyncio.run(go())
    assert call.acquired_at <= call.dialled_at <= call.served_at
    assert dials == 1


def test_the_library_is_left_as_it_was(library: Library) -> None:
    """Only the pool's own objects are watched: another client in the process is not touched."""
    import importlib

    core = importlib.import_module({"httpx": "httpcore", "httpx2": "httpcore2"}[library])
    before = dict(vars(core.AsyncConnectionPool)), dict(vars(core.AsyncHTTPConnection))

    async def go() -> bool:
        pool = HttpxPool(get("http://127.0.0.1:1/"), 1, library=library)
        async with opened(pool):
            with pytest.raises(CallFailed):
                await pool.call(stamps())
            return pool.wait_is_exact

    assert asyncio.run(go())
    assert (dict(vars(core.AsyncConnectionPool)), dict(vars(core.AsyncHTTPConnection))) == before


@pytest.mark.lab
@pytest.mark.parametrize("infers_wait", [False, True], ids=["exact", "inferred"])
def test_who_holds_and_who_waits(
    upstream: HttpUpstream, library: Library, infers_wait: bool
) -> None:
    """The books agree with the calls under way, also after one of each was cancelled."""

    async def go() -> None:
        pool = HttpxPool(get(upstream.url), 2, library=library, infers_wait=infers_wait)
        async with opened(pool):
            tasks = [asyncio.create_task(pool.call(stamps())) for _ in range(5)]
            await until(pool, in_use=2, waiting=3)
            tasks[0].cancel()  # holds
            tasks[4].cancel()  # waits
            await asyncio.gather(*tasks, return_exceptions=True)
            seen = pool.statistics()
            assert (seen.in_use, seen.waiting) == (0, 0)
            await asyncio.gather(*(pool.call(stamps()) for _ in range(2)))

    asyncio.run(go())


# -- work --------------------------------------------------------------------------------------


def test_method_headers_and_body_arrive(library: Library) -> None:
    """The request is the one that the work describes."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        received.append(await reader.readexactly(4))
        writer.write(OK)
        await reader.read()

    async def go() -> None:
        async with serving(serve) as url:
            work = HttpWork("POST", url + "x?y=1", {"X-Key": "k"}, b"body")
            async with opened(HttpxPool(work, 1, library=library)) as pool:
                await pool.call(stamps())

    asyncio.run(go())
    head = received[0].decode().lower()
    assert head.startswith("post /x?y=1 http/1.1\r\n")
    assert "\r\nx-key: k\r\n" in head
    assert received[1] == b"body"


@pytest.mark.lab
def test_a_function_gets_the_client(upstream: HttpUpstream, library: Library) -> None:
    """A function's requests go through the pool; the first acquires, its return is `served`."""

    async def twice(client: Any) -> None:
        for _ in range(2):
            (await client.get(upstream.url)).raise_for_status()

    async def go() -> CallStamps:
        pool = HttpxPool(running(twice), 1, library=library)
        async with opened(pool):
            call = stamps()
            await pool.call(call)
            return call

    call = asyncio.run(go())
    assert call.served_at - call.acquired_at >= 2 * HOLD * 0.98


async def _raises(_client: Any) -> None:
    raise KeyError("a secret")


async def _never_returns(_client: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("function", "outcome", "kind"),
    [(_raises, "error", "work_KeyError"), (_never_returns, "timeout", "work_timeout")],
)
def test_a_function_that_goes_wrong_is_an_outcome(
    library: Library,
    function: Callable[[Any], Coroutine[Any, Any, object]],
    outcome: str,
    kind: str,
) -> None:
    """What it raises is named without its words; one that never returns is cut off."""
    pool = HttpxPool(running(function), 1, library=library, call_timeout=0.1)
    found = asyncio.run(failure(pool))
    assert (found.outcome, found.kind) == (outcome, kind)
    assert "secret" not in str(found)


# -- ways to fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (301, CallFailed), (404, CallFailed), (429, CallRejected), (503, CallRejected)],
)
@pytest.mark.parametrize("through", ["request", "function"])
def test_statuses_are_outcomes(
    library: Library, status: int, error: type[CallFailed] | None, through: str
) -> None:
    """429 and 503: shed; other statuses from 300 on: errors, a function's own raise included."""
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n".encode()
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)

    async def go() -> CallFailed | None:
        async with serving(serve) as url:

            async def fetch(client: Any) -> None:
                (await client.get(url)).raise_for_status()

            work = get(url) if through == "request" else running(fetch)
            if error is not None:
                return await failure(HttpxPool(work, 1, library=library))
            async with opened(HttpxPool(work, 1, library=library)) as pool:
                await pool.call(stamps())
            return None

    found = asyncio.run(go())
    assert (type(found) if found else None) is error
    assert found is None or found.kind == f"http_{status}"
    assert len(requests) == 1  # a redirect is not followed


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _closes_in_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK[:20])
    await writer.drain()
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    import socket
    import struct

    await reader.readuntil(b"\r\n\r\n")
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _truncates(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK[:-1])
    await writer.drain()
    writer.close()


async def _truncates_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
    await writer.drain()
    writer.close()


async def _talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"SSH-2.0-x\r\n\r\n")
    await reader.read()


@pytest.mark.parametrize(
    ("serve", "kind", "disconnects"),
    [
        (_closes, "disconnected", 1),
        (_closes_in_head, "disconnected", 1),
        (_resets, "disconnected", 1),
        (_truncates, "truncated_body", 0),
        (_truncates_chunks, "truncated_body", 0),
        (_talks_nonsense, "RemoteProtocolError", 0),
    ],
)
def test_what_a_server_may_do_to_a_connection(
    library: Library, serve: Serve, kind: str, disconnects: int
) -> None:
    """Each has its stable word; a connection that the peer closed is counted.

    It was dialled for the call, so the server turned the call away.
    """

    async def go() -> tuple[str, str, int]:
        async with serving(serve) as url:
            pool = HttpxPool(get(url), 1, library=library)
            found = await failure(pool)
            return found.outcome, found.kind, pool.statistics().disconnects

    outcome = "rejected" if kind == "disconnected" else "error"
    assert asyncio.run(go()) == (outcome, kind, disconnects)


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.Event().wait()


async def _trickles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("serve", [_silent, _trickles])
def test_no_call_outlasts_its_limit(library: Library, serve: Serve) -> None:
    """`read` starts anew with every byte; the limit of the whole call does not."""

    async def go() -> tuple[CallFailed, float]:
        async with serving(serve) as url:
            begun = time.perf_counter()
            found = await failure(HttpxPool(get(url), 1, library=library, call_timeout=1.0))
            return found, time.perf_counter() - begun

    found, seconds = asyncio.run(go())
    assert isinstance(found, CallTimedOut)
    assert found.kind == "call_timeout"
    assert seconds < 15.0  # and not the 20 s that the reply takes


def test_a_call_cut_off_leaves_its_task_as_it_was(library: Library) -> None:
    """The limit's own cancellation is taken back; one from outside goes through."""

    async def go() -> tuple[int, bool]:
        async with (
            serving(_silent) as url,
            opened(HttpxPool(get(url), 1, library=library, call_timeout=0.05)) as pool,
        ):
            task = asyncio.current_task()
            assert task is not None
            with pytest.raises(CallTimedOut):
                await pool.call(stamps())
            other = asyncio.create_task(pool.call(stamps()))
            await asyncio.sleep(0.01)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
            return task.cancelling(), other.cancelled()

    assert asyncio.run(go()) == (0, True)


def test_a_handshake_that_never_ends_is_a_dial_timeout(library: Library) -> None:
    """The dial has a place in the pool, so it is no pool timeout."""

    async def go() -> CallFailed:
        async with serving(_silent) as url:
            work = get(url.replace("http:", "https:"))
            return await failure(HttpxPool(work, 1, library=library, call_timeout=0.2))

    found = asyncio.run(go())
    assert (type(found), found.kind) == (CallTimedOut, "dial_timeout")


@pytest.mark.parametrize("limit", ["pool_timeout", "call_timeout"])
def test_waiting_too_long_is_a_pool_timeout(library: Library, limit: str) -> None:
    """By the pool's own limit or by that of the call: the call never held a connection."""

    async def go() -> CallFailed:
        limits: dict[str, Any] = {limit: 0.1}
        async with (
            serving(_trickles) as url,
            opened(pool := HttpxPool(get(url), 1, library=library, **limits)),
        ):
            # Outside of a call there is no limit but `read`, which starts anew with every byte.
            holder = asyncio.create_task(pool._client.get(url))
            while pool.statistics().in_use == 0:
                await asyncio.sleep(0.001)
            with pytest.raises(CallFailed) as caught:
                await pool.call(stamps())
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)
            return caught.value

    found = asyncio.run(go())
    assert (type(found), found.kind) == (PoolTimedOut, "pool_timeout")


def test_a_port_where_nobody_listens(library: Library) -> None:
    """A refused dial is named, and no connection is counted."""
    pool = HttpxPool(get("http://127.0.0.1:1/"), 1, library=library)
    assert asyncio.run(failure(pool)).kind == "connection_refused"
    assert pool.statistics().connections_opened == 0


def test_a_name_that_is_not_known(library: Library) -> None:
    """A host that does not resolve is told apart from one that refuses."""
    pool = HttpxPool(get("http://no-such-host.invalid/"), 1, library=library)
    assert asyncio.run(failure(pool)).kind == "host_not_found"


def test_a_server_without_tls(library: Library) -> None:
    """https to a server that speaks plain HTTP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def go() -> CallFailed:
        async with serving(serve) as url:
            return await failure(HttpxPool(get(url.replace("http:", "https:")), 1, library=library))

    assert asyncio.run(go()).kind == "tls"


def test_a_certificate_that_nobody_vouches_for(library: Library, tmp_path: Path) -> None:
    """A self-signed certificate: told apart from other faults of TLS."""
    context = self_signed(tmp_path)

    async def go() -> CallFailed:
        async with serving(_silent, context) as url:
            return await failure(HttpxPool(get(url), 1, library=library))

    assert asyncio.run(go()).kind == "tls_certificate"


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate made by the openssl program."""
    import shutil
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    options += ["-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", *options, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_too_many_open_files(library: Library) -> None:
    """A process that has run out of descriptors is told so, not that the server refused."""

    async def go() -> str:
        async with serving(_silent) as url, opened(HttpxPool(get(url), 1, library=library)) as pool:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            held = [os.open(os.devnull, os.O_RDONLY) for _ in range(used)]
            top = max(held)
            resource.setrlimit(resource.RLIMIT_NOFILE, (top + 1, hard))
            try:
                with pytest.raises(CallFailed) as caught:
                    await pool.call(stamps())
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for descriptor in held:
                    os.close(descriptor)
            return caught.value.kind

    assert asyncio.run(go()) == "too_many_open_files"


def test_proxies_of_the_environment_are_not_used(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY would send the load to another host."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()

    async def go() -> None:
        async with (
            serving(serve) as url,
            opened(HttpxPool(get(url), 1, library=library)) as pool,
        ):
            await pool.call(stamps())

    asyncio.run(go())
