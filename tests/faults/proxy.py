"""A TCP proxy on 127.0.0.1 that can do to connections what networks and dying servers do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal

Mode = Literal["pass", "silent", "reset", "slow", "trickle", "truncate"]

SLOW = 1.2  # s that a slow reply is late
TRICKLE = 0.2  # s between two bytes of a reply
CUT = 5  # bytes that a truncated reply lacks
# l_onoff = 1, l_linger = 0: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """Hands on bytes to a server's port, until told to do something worse.

    Modes: `pass`; `silent`: connections stay up and nothing comes through in either direction, as
    on a half-open socket; `reset`: every connection, open or new, ends with RST; `slow`: replies
    are late; `trickle`: they come a byte at a time; `truncate`: they lack their last bytes and the
    connection closes.

    It lives in a thread with a loop of its own. State: the mode, which every piece of data asks
    for, the open connections of clients, and how much was kept back.
    """

    def __init__(self, upstream: int, context: ssl.SSLContext | None = None) -> None:
        self._upstream = upstream
        self._context = context
        self._mode: Mode = "pass"
        self._clients: set[asyncio.StreamWriter] = set()
        self.swallowed = 0  # bytes that came from either side and went nowhere
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._server = self._run(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context, backlog=256)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def clients(self) -> int:
        """How many connections of clients are open."""
        return len(self._clients)

    def turn(self, mode: Mode) -> None:
        """Change what happens to every connection from now on; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._turn, mode)

    def _turn(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "reset":
            for client in tuple(self._clients):
                _reset(client)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.transport.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            _reset(writer)
            return
        self._clients.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            # `_end` alone cancels; Python 3.11's streams print a cancelled handler's traceback.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                replies, upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
                there = asyncio.ensure_future(self._hand_on(reader, upstream, self._request))
                back = asyncio.ensure_future(self._hand_on(replies, writer, self._reply))
                # The end of either side is the end of both.
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                for task in (there, back):
                    task.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._clients.discard(writer)
            for end in (writer, upstream):
                if end is not None:
                    end.close()

    async def _hand_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        send: Callable[[bytes, asyncio.StreamWriter], Coroutine[Any, Any, bool]],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self._mode == "silent":
                    self.swallowed += len(data)
                elif not await send(data, sink):
                    return
            # A peer that is silent does not say goodbye either.
            while self._mode == "silent":
                await asyncio.sleep(0.05)

    async def _request(self, data: bytes, sink: asyncio.StreamWriter) -> bool:
        sink.write(data)
        await sink.drain()
        return True

    async def _reply(self, data: bytes, sink: asyncio.StreamWriter) -> bool:
        if self._mode == "trickle":
            for byte in data:
                sink.write(bytes([byte]))
                await asyncio.sleep(TRICKLE)
            return True
        if self._mode == "slow":
            await asyncio.sleep(SLOW)
        is_cut = self._mode == "truncate"
        sink.write(data[:-CUT] if is_cut else data)
        await sink.drain()
        return not is_cut


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
