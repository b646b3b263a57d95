"""An HTTP/1.1 upstream whose capacity is known: `python -m poolkit.lab.serve_http --help`.

One process, one thread. GET of any path is a call to the service model; `GET /-/stats` answers with
what the upstream has done so far. The first line on stdout is JSON and says where it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import ssl
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

import httptools

from poolkit.lab.child import LOOK_FOR_PARENT, is_orphan
from poolkit.lab.deadlines import Deadlines
from poolkit.lab.models import Burner, CpuBound, Model, from_dict

_STATS = b"/-/stats"


class Upstream:
    """The service model on an event loop, and what it has done since it started."""

    def __init__(self, model: Model, keepalive: float | None, status: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.keepalive = keepalive
        self.connections_opened = self.connections_open = 0  # those that have called
        self._served = self._max_in_system = 0
        self._in_system = 0  # calls arrived and not answered
        self._lateness = 0.0  # s, summed: answered after the model's moment
        self._seconds = 0.0  # s, summed: from arrival to answer, queue included
        self._places = sys.maxsize if model.places is None else model.places
        self._reply = _response(status, b'{"ok":true}' if status < 400 else b'{"ok":false}')
        self._arrive = model.start()
        self._burner = Burner(model.cpu) if isinstance(model, CpuBound) else None
        self._ready: deque[tuple[float, float, _Connection]] = deque()
        self._deadlines: Deadlines[tuple[float, _Connection]] = Deadlines(self._due)

    def arrived(self, connection: _Connection) -> None:
        """A call has been read in full."""
        now = time.monotonic()
        self._in_system += 1
        self._max_in_system = max(self._max_in_system, self._in_system)
        self._deadlines.add(self._arrive(now), (now, connection))

    def _due(self, at: float, call: tuple[float, _Connection]) -> None:
        arrived, connection = call
        if self._burner is None:
            self._answer(arrived, at, connection)
            return
        self._ready.append((at, arrived, connection))
        if len(self._ready) == 1:
            self._loop.call_soon(self._burn, self._burner)

    def _burn(self, burner: Burner) -> None:
        # One call in each turn of the loop, so that sockets are read and replies leave in between.
        ready, arrived, connection = self._ready[0]
        until = burner.burn_until(ready, time.monotonic())
        while time.monotonic() < until:
            pass
        self._answer(arrived, until, connection)
        self._ready.popleft()
        if self._ready:
            self._loop.call_soon(self._burn, burner)

    def _answer(self, arrived: float, at: float, connection: _Connection) -> None:
        now = time.monotonic()
        self._in_system -= 1
        self._served += 1
        self._lateness += max(0.0, now - at)
        self._seconds += now - arrived
        connection.reply(self._reply)

    def stats(self) -> dict[str, Any]:
        """The truth as plain data; `in_service` counts what the model serves, not its queue."""
        served = self._served
        return {
            "served": served,
            "in_system": self._in_system,
            "in_service": min(self._in_system, self._places),
            "max_in_system": self._max_in_system,
            "max_in_service": min(self._max_in_system, self._places),
            "connections_opened": self.connections_opened,
            "connections_open": self.connections_open,
            "mean_seconds": self._seconds / served if served else None,
            "mean_lateness": self._lateness / served if served else None,
        }


class _Connection(asyncio.Protocol):
    """One client connection; calls on it are answered one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._has_called = False
        # Pipelined calls wait here as (url, keep-alive); the first is the one being served.
        self._pending: deque[tuple[bytes, bool]] = deque()
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._start_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.connections_open -= self._has_called
        self._transport = None
        self._stop_idle()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.write(_response(400, b'{"ok":false}'))
                self._transport.close()

    def on_message_begin(self) -> None:
        """A call begins: the parser's callback."""
        self._url = b""
        self._stop_idle()

    def on_url(self, url: bytes) -> None:
        """A piece of the path: the parser's callback."""
        self._url += url

    def on_message_complete(self) -> None:
        """A call has been read in full: the parser's callback."""
        self._pending.append((self._url, self._parser.should_keep_alive()))
        if len(self._pending) == 1:
            self._serve()

    def _serve(self) -> None:
        if self._pending[0][0] == _STATS:
            self.reply(_response(200, json.dumps(self._upstream.stats()).encode()))
            return
        # Counted when it first calls: looking on must not change what is counted.
        if not self._has_called:
            self._has_called = True
            self._upstream.connections_opened += 1
            self._upstream.connections_open += 1
        self._upstream.arrived(self)

    def reply(self, response: bytes) -> None:
        """Answer the call being served, and begin the next one."""
        _, keep_alive = self._pending.popleft()
        if self._transport is None:
            self._pending.clear()
            return
        self._transport.write(response)
        if not keep_alive:
            self._pending.clear()
            self._transport.close()
        elif self._pending:
            self._serve()
        else:
            self._start_idle()

    def _start_idle(self) -> None:
        if self._upstream.keepalive is not None and self._transport is not None:
            later = asyncio.get_running_loop().call_later
            self._idle = later(self._upstream.keepalive, self._transport.close)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _context(names: Sequence[str], authority: str) -> ssl.SSLContext:
    """TLS with a certificate made for these names; clients must trust the file `authority`."""
    import trustme

    maker = trustme.CA()
    maker.cert_pem.write_to_path(authority)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    maker.issue_cert(*names).configure_cert(context)
    return context


async def _serve(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    model = from_dict(json.loads(arguments.model))
    upstream = Upstream(model, arguments.keepalive, arguments.status)
    state: dict[str, object] = {"pid": os.getpid()}
    with contextlib.ExitStack() as stack:
        context = None
        if arguments.tls_names:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-tls-"))
            state["folder"] = folder
            context = _context(arguments.tls_names.split(","), f"{folder}/certificate.pem")
        server = await loop.create_server(
            lambda: _Connection(upstream), "127.0.0.1", arguments.port, backlog=1024, ssl=context
        )
        state["port"] = server.sockets[0].getsockname()[1]
        os.write(1, json.dumps(state).encode() + b"\n")
        gc.freeze()
        while not stop.is_set() and not is_orphan(arguments.parent):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_FOR_PARENT)
        # Open connections end with the process: an upstream that goes away does not say goodbye.
        server.close()


def main() -> None:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    parser = argparse.ArgumentParser(prog="python -m poolkit.lab.serve_http", description=__doc__)
    parser.add_argument("--model", required=True, help='JSON, as {"kind": "workers", ...}')
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--keepalive", type=float, help="s after which an idle connection closes")
    parser.add_argument("--status", type=int, default=200, help="HTTP status of every answer")
    parser.add_argument("--tls-names", help="speak TLS, with a certificate for NAME,...")
    parser.add_argument("--parent", type=int, help="pid; the server ends when it does")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(arguments))
    else:
        uvloop.run(_serve(arguments))


if __name__ == "__main__":
    main()
