"""Servers whose replies have no end or grow when decompressed, and one call to them in a child."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import resource
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from pydantic import SecretStr

from poolkit.drivers.base import close_pool
from poolkit.drivers.registry import adapter_of, make_pool
from poolkit.errors import CallFailed
from poolkit.load.stamps import CallStamps
from poolkit.targets import Target

MB = 1_000_000
_ZEROS = bytes(MB)
_HEAD = b"HTTP/1.1 200 OK\r\n"


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def endless(piece: bytes) -> AsyncIterator[bytes]:
    while True:
        yield piece


async def bomb(levels: int) -> AsyncIterator[bytes]:
    """100 MB of zeros as one gzip member, compressed once or twice."""
    made = [zlib.compressobj(9, wbits=31) for _ in range(levels)]
    for _ in range(100):
        piece = _ZEROS
        for one in made:
            piece = one.compress(piece)
        if piece:
            yield piece
    piece = b""
    for one in made:
        piece = one.compress(piece) + one.flush()
    yield piece


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _chunked(headers: bytes = b"") -> bytes:
    return _HEAD + headers + b"Transfer-Encoding: chunked\r\n\r\n"


# Path of an HTTP server -> the head of its reply, its body, and whether that goes out in chunks.
REPLIES: dict[str, tuple[bytes, Callable[[], AsyncIterator[bytes]], bool]] = {
    "chunks": (_chunked(), lambda: endless(_ZEROS), True),
    "small-chunks": (_chunked(), lambda: endless(_chunk(bytes(1000)) * 1000), False),
    "until-closed": (_HEAD + b"\r\n", lambda: endless(_ZEROS), False),
    "length": (_HEAD + b"Content-Length: 99999999999\r\n\r\n", lambda: endless(_ZEROS), False),
    "headers": (_HEAD, lambda: endless(b"X-More: of this\r\n" * 10_000), False),
    "error": (
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        lambda: endless(_ZEROS),
        True,
    ),
    "gzip": (_chunked(b"Content-Encoding: gzip\r\n"), lambda: bomb(1), True),
    "deflate": (
        _chunked(b"Content-Encoding: deflate\r\n"),
        lambda: endless_deflate(),
        True,
    ),
    "gzip-length": (
        _HEAD + b"Content-Encoding: gzip\r\nContent-Length: 19500000\r\n\r\n",
        lambda: bomb(1),
        False,
    ),
    "gzip-twice": (_chunked(b"Content-Encoding: gzip, gzip\r\n"), lambda: bomb(2), True),
}
# Endless heads: what reads them one by one takes its time, until the call is over.
HEADS = (b"", lambda: endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000), False)


async def endless_deflate() -> AsyncIterator[bytes]:
    made = zlib.compressobj(9)
    while True:
        if piece := made.compress(_ZEROS):
            yield piece


async def read_all(session: aiohttp.ClientSession) -> None:
    """What a function of the user's may do instead of `read`."""
    async with session.get(os.environ["FLOOD"]) as response:
        await response.content.read()


async def read_pieces(session: aiohttp.ClientSession) -> None:
    """Nothing is kept, and counts all the same."""
    async with session.get(os.environ["FLOOD"]) as response:
        async for _ in response.content.iter_chunked(2**40):
            pass


def _small(size: int) -> bytes:
    body = gzip.compress(b"x" * size)
    return _HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split()[1].decode().strip("/")
            if path.isdigit():
                writer.write(_small(int(path)))
                continue
            head, body, is_chunked = REPLIES.get(path, HEADS)
            writer.write(head)
            async for piece in body():
                writer.write(_chunk(piece) if is_chunked else piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")


async def _redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Redis that knows two commands: every other one than GET is answered with +OK."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            words = int((await reader.readline())[1:])
            command = [
                await reader.readexactly(int((await reader.readline())[1:]) + 2)
                for _ in range(words)
            ]
            if command[0].strip().upper() != b"GET":
                writer.write(b"+OK\r\n")
                continue
            writer.write(b"$4000000000\r\n")
            while True:
                writer.write(_ZEROS)
                await writer.drain()


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


_BACKEND = b"4242"
_READY = _message(b"Z", b"T")
_COLUMN = _message(b"T", b"\0\1c" + bytes(7) + b"\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0")
_LOGIN = b"".join(
    (
        _message(b"R", bytes(4)),
        *(
            _message(b"S", b"%s\0%s\0" % pair)
            for pair in ((b"server_version", b"18.0"), (b"client_encoding", b"UTF8"))
        ),
        _message(b"K", int(_BACKEND).to_bytes(4, "big") + bytes(4)),
        _message(b"Z", b"I"),
    )
)
LONGEST_ROW = 2**30


async def _postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A PostgreSQL for plain statements; its row is 1 GiB long, and sent at once."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(_LOGIN)
        while True:
            _kind, size = await reader.readexactly(1), await reader.readexactly(4)
            said = await reader.readexactly(int.from_bytes(size, "big") - 4)
            if b"pg_backend_pid" in said:
                row = b"\0\1\0\0\0\4" + _BACKEND
                end = _message(b"C", b"SELECT 1\0") + _READY
                writer.write(_COLUMN + _message(b"D", row) + end)
            elif b"flood" not in said:
                writer.write(_message(b"C", said[:5] + b"\0") + _READY)
            else:
                head = (LONGEST_ROW + 10).to_bytes(4, "big") + b"\0\1"
                writer.write(_COLUMN + b"D" + head + LONGEST_ROW.to_bytes(4, "big"))
                async for piece in endless(bytes(16 * MB)):
                    writer.write(piece)
                    await writer.drain()


def flooding_postgres(folder: Path | None = None) -> contextlib.AbstractContextManager[int]:
    return serving(_postgres, folder and folder / ".s.PGSQL.5432")


@contextlib.contextmanager
def serving(answer: Answer = _answer, path: Path | None = None) -> Iterator[int]:
    """A server in a thread while the block runs; gives its port, 0 for a Unix socket at `path`."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.transport.abort()

    loop = asyncio.new_event_loop()
    start = (
        asyncio.start_server(answered, "127.0.0.1", 0)
        if path is None
        else asyncio.start_unix_server(answered, path)
    )
    server = loop.run_until_complete(start)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield 0 if path else server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in (tasks := asyncio.all_tasks(loop)):
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()


def flooding_redis() -> contextlib.AbstractContextManager[int]:
    return serving(_redis)


@dataclass(frozen=True, slots=True)
class Said:
    """What a child says: the outcomes of each target's calls, and MB its memory grew by."""

    kinds: list[list[str]]
    grown: float
    stderr: str


def call_in_child(targets: Sequence[Mapping[str, Any]], loop: str = "uvloop") -> Said:
    """Two calls one after the other to each target (by its keys), all in one child process."""
    command = [sys.executable, "-m", "tests.drivers.floods", loop, json.dumps(list(targets))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return Said(**json.loads(done.stdout), stderr=done.stderr)


async def _calls(keys: dict[str, Any]) -> list[str]:
    if "dsn" in keys:
        keys["dsn"] = SecretStr(keys["dsn"])
    pool = make_pool(Target(name="flood", target_rate=1, **keys), 1, call_timeout=20.0)
    kinds = []
    os.environ["FLOOD"] = keys.get("url", "")
    await pool.open()
    for _ in range(2):
        try:
            await pool.call(CallStamps(time.perf_counter, 0.0))
            kinds.append("ok")
        except CallFailed as failure:
            kinds.append(failure.kind)
    await close_pool(pool)
    return kinds


async def _all_calls(targets: list[dict[str, Any]]) -> list[list[str]]:
    return [await _calls(keys) for keys in targets]


def _memory() -> float:
    """MB that this process took at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _main() -> None:
    new_loop, targets = sys.argv[1], json.loads(sys.argv[2])
    for keys in targets:
        adapter_of(keys["driver"])  # which loads the library
    before = _memory()
    factory = uvloop.new_event_loop if new_loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        kinds = runner.run(_all_calls(targets))
    sys.stdout.write(json.dumps({"kinds": kinds, "grown": _memory() - before}))


if __name__ == "__main__":
    _main()
