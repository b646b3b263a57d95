"""An HTTP server on 127.0.0.1 that sheds: with too many calls in it the next one is turned away."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Any

_PHRASES = {429: "Too Many Requests", 503: "Service Unavailable"}


class SheddingServer:
    """Serves `places` calls at a time, `service_time` s each; further ones get `status` at once.

    It lives in a thread with a loop of its own. State: how many calls are in it, served and shed.
    """

    def __init__(self, places: int, service_time: float, status: int) -> None:
        self.places = places
        self._service_time = service_time
        self._status = status
        self._inside = 0
        self.served = 0
        self.shed = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> SheddingServer:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
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

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # `_end` alone cancels; Python 3.11's streams print a cancelled handler's traceback.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer())
                await writer.drain()
        writer.close()

    async def _answer(self) -> bytes:
        if self._inside >= self.places:
            self.shed += 1
            phrase = _PHRASES[self._status]
            head = f"HTTP/1.1 {self._status} {phrase}\r\nContent-Length: 0\r\n\r\n"
            return head.encode()
        self._inside += 1
        try:
            await asyncio.sleep(self._service_time)
        finally:
            self._inside -= 1
        self.served += 1
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
