"""A TCP relay of our own in front of the target: it makes the path longer, or cuts connections.

So a live server is never touched: to the pool it looks as if the network or the server had failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from poolkit.probes.line import NoLine, Upstream
from poolkit.probes.records import CutKind

LOOPBACK = "127.0.0.1"
_PIECE = 65536
# l_onoff = 1, l_linger = 0: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


def moved(url: str, port: int, host: str = LOOPBACK, **changes: str) -> str:
    """The URL or DSN led to `port` on this machine, its user kept; `changes`: other parts of it."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{port}", **changes))


@dataclass(eq=False)
class _Link:
    """One client's connection. `is_dropped`: its next bytes are answered with RST."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_dropped: bool = False


class Relay:
    """Hands bytes on, each `delay` s late in either direction, from one port on each of `hosts`.

    State: the delay, the links and how many each host has had.
    """

    def __init__(self, upstream: Upstream, *, hosts: tuple[str, ...] = (LOOPBACK,)) -> None:
        self._upstream = upstream
        self.delay = 0.0
        self._hosts = hosts
        self._servers: list[asyncio.Server] = []
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.taken: Counter[str] = Counter()
        self.port = 0

    async def __aenter__(self) -> Self:
        for host in self._hosts:
            server = await asyncio.start_server(self._accept, host, self.port)
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cut(self, kind: CutKind) -> None:
        """End every connection: `restart` says so to the client, `drop` only when it sends."""
        for link in tuple(self._links):
            link.server.transport.abort()
            if kind == "restart":
                link.client.transport.abort()
            else:
                link.is_dropped = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken[writer.get_extra_info("sockname")[0]] += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.closing(client), contextlib.suppress(OSError, NoLine):
            replies, server = await self._upstream.dial()
            with contextlib.closing(server):
                await self._join(reader, replies, _Link(client, server))

    async def _join(
        self, requests: asyncio.StreamReader, replies: asyncio.StreamReader, link: _Link
    ) -> None:
        self._links.add(link)
        there = asyncio.create_task(self._hand_on(requests, link.server, link))
        back = asyncio.create_task(self._hand_on(replies, link.client, link))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            if link.is_dropped:
                await there
        finally:
            self._links.discard(link)
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)

    async def _hand_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link
    ) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE):
                if link.is_dropped:
                    _reset(link.client)
                    return
                if self.delay:
                    loop.call_later(self.delay, _write, sink, data)
                else:
                    sink.write(data)
                    await sink.drain()
            # What was sent before the end arrives before it.
            await asyncio.sleep(self.delay)


def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
    if not sink.transport.is_closing():
        sink.write(data)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
