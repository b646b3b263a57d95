"""TLS in front of an upstream that speaks none, with a certificate made for the occasion."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import ssl
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from poolkit.lab.child import require

_READY = 10.0  # s


class TlsFront:
    """A TLS port of this machine that leads to the plain `port`, in a thread, inside a `with`.

    Args:
        names: host names that the certificate is for; 127.0.0.1 is always one of them.

    Raises `MissingExtra` where trustme, which makes the certificate, is not installed.
    """

    def __init__(self, port: int, names: Sequence[str] = ("localhost",)) -> None:
        self._to = port
        self._names = tuple(names)
        self._stack = contextlib.ExitStack()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.certificate = Path()
        self.port = 0

    def __enter__(self) -> TlsFront:
        require("trustme")
        with contextlib.ExitStack() as stack:
            stack.callback(self._loop.close)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-tls-")))
            self.certificate = folder / "certificate.pem"
            context = _context(self.certificate, self._names)
            thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            thread.start()
            stack.callback(thread.join, _READY)
            stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            opening = asyncio.run_coroutine_threadsafe(self._open(context), self._loop)
            self.port = opening.result(_READY)
            stack.callback(
                lambda: asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_READY)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    async def _open(self, context: ssl.SSLContext) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
            # TLS knows no half-closed connection: the end of one side is the end of both.
            ways = {
                asyncio.ensure_future(_carry(reader, to_writer)),
                asyncio.ensure_future(_carry(to_reader, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                to_writer.close()
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def can_make() -> bool:
    """Whether a certificate can be made on this machine."""
    return importlib.util.find_spec("trustme") is not None


def _context(authority: Path, names: Sequence[str]) -> ssl.SSLContext:
    """A server's context for these names; the file `authority` is what its clients must trust."""
    import trustme

    maker = trustme.CA()
    maker.cert_pem.write_to_path(authority)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    maker.issue_cert("127.0.0.1", *names).configure_cert(context)
    return context
