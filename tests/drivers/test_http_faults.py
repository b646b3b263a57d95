"""Whatever a server answers, a call ends in time with an outcome, and its pool goes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from poolkit.drivers.base import close_pool
from poolkit.drivers.registry import make_pool
from poolkit.errors import CallFailed
from poolkit.load.stamps import CallStamps
from poolkit.targets import Target
from tests.drivers.floods import call_in_child, serving

CALL_TIMEOUT = 0.5  # s
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIBRARIES = ({"driver": "aiohttp"}, {"driver": "httpx"}, {"driver": "httpx", "library": "httpx2"})
MALFORMED = {"ClientResponseError", "RemoteProtocolError"}
FLOODED = MALFORMED | {"too_large"}
ENDED = {"disconnected"}
LATE = {"call_timeout"}

# What is sent at once, what is sent again and again after it, whether the server closes, and how a
# call may end.
FAULTS: dict[str, tuple[bytes, bytes, bool, set[str]]] = {
    "chunk-below-0": (_CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", b"", False, MALFORMED),
    "chunk-of-2-to-160": (_CHUNKED + b"f" * 40 + b"\r\nhello\r\n", b"", False, MALFORMED),
    "chunk-no-number": (_CHUNKED + b"zz\r\nhello\r\n", b"", False, MALFORMED),
    "chunk-size-endless": (_CHUNKED, b"0" * 10**6, False, FLOODED),
    "chunk-extension-endless": (_CHUNKED + b"5;", b"a" * 10**6, False, FLOODED),
    "trailers-endless": (_CHUNKED + b"0\r\n", b"X-T: a\r\n" * 10**5, False, FLOODED),
    # The call reads its body already; httpx reads on until its time is up.
    "trailers-later": (
        _CHUNKED + b"2\r\nok\r\n0\r\n",
        b"X-T: a\r\n" * 100,
        False,
        FLOODED | LATE,
    ),
    "closed-in-status": (b"HTTP/1", b"", True, ENDED),
    "closed-in-header": (_OK + b"Content-Le", b"", True, ENDED),
    "closed-in-body": (_OK + b"Content-Length: 9\r\n\r\nok", b"", True, {"truncated_body"}),
    "closed-at-once": (b"", b"", True, ENDED),
    "length-too-long": (_OK + b"Content-Length: 9\r\n\r\nok", b"", False, LATE),
    "length-below-0": (_OK + b"Content-Length: -5\r\n\r\nok", b"", False, MALFORMED),
    "length-of-5000-digits": (
        _OK + b"Content-Length: %s\r\n\r\nok" % (b"9" * 5000),
        b"",
        False,
        MALFORMED,
    ),
    "lengths-differ": (
        _OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok1",
        b"",
        False,
        MALFORMED,
    ),
    "headers-100000": (
        _OK + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)) + b"\r\n",
        b"",
        False,
        MALFORMED,
    ),
    "header-endless": (_OK + b"X-Big: ", b"a" * 10**6, False, FLOODED),
    "continue-endless": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", False, LATE),
    "one-byte-at-a-time": (_OK + b"Content-Length: 100000\r\n\r\n", b"a", False, LATE),
    "switches-protocols": (
        b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"",
        False,
        MALFORMED | {"http_101"},
    ),
    "status-0": (b"HTTP/1.1 000 Odd\r\n\r\n", b"", True, MALFORMED | {"http_0"}),
    "redirect-elsewhere": (
        b"HTTP/1.1 302 No\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n",
        b"",
        True,
        {"http_302"},
    ),
    "encoded-1300-times": (
        _OK + b"Content-Encoding: %sgzip\r\nContent-Length: 1\r\n\r\nx" % (b"gzip, " * 1300),
        b"",
        False,
        # aiohttp leaves what it does not know as it is.
        {"DecodingError", "ok"},
    ),
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        request = await reader.readuntil(b"\r\n\r\n")
        once, again, closes, _ = FAULTS[request.split()[1].decode().strip("/")]
        writer.write(once)
        await writer.drain()
        while again:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(0.05 if len(again) < 1000 else 0)
        if closes:
            writer.close()
            await writer.wait_closed()
        await reader.read()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(_answer) as port:
        yield f"http://127.0.0.1:{port}"


def _target(server: str, fault: str, library: dict[str, str]) -> dict[str, Any]:
    return {"url": f"{server}/{fault}", "max_reply": 2**20, **library}


async def _two_calls(keys: dict[str, Any]) -> list[str]:
    pool = make_pool(Target(name="faulty", target_rate=1, **keys), 1, call_timeout=CALL_TIMEOUT)
    await pool.open()
    kinds = []
    try:
        for _ in range(2):
            try:
                async with asyncio.timeout(10 * CALL_TIMEOUT):
                    await pool.call(CallStamps(time.perf_counter, 0.0))
                kinds.append("ok")
            except CallFailed as failure:
                kinds.append(failure.kind)
        assert pool.statistics().in_use == 0
    finally:
        await close_pool(pool)
    return kinds


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda keys: keys.get("library", keys["driver"]))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_answer_is_an_outcome(server: str, fault: str, library: dict[str, str]) -> None:
    """And the second call, over a pool of one, finds a connection or dials one."""
    kinds = asyncio.run(_two_calls(_target(server, fault, library)))
    *_, closes, allowed = FAULTS[fault]
    assert kinds[0] in allowed
    # A connection that is kept although the server is done with it is cut by the next call's limit,
    # and one that the server is about to close may be taken once more.
    stale = ({"call_timeout"} if kinds[0] == "ok" else set()) | (ENDED if closes else set())
    assert kinds[1] in allowed | stale


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda keys: keys.get("library", keys["driver"]))
def test_no_flood_before_the_body_fills_memory(server: str, library: dict[str, str]) -> None:
    """Of headers, of a single one, of trailers, of chunk sizes."""
    floods = [fault for fault in FAULTS if "endless" in fault and "continue" not in fault]
    said = call_in_child([_target(server, fault, library) for fault in floods])
    assert {kind for kinds in said.kinds for kind in kinds} <= FLOODED
    assert said.grown < 60.0
    assert not said.stderr
