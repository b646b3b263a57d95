"""HTTP as the probes speak it: a connection of our own, so that no library hides the server."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import h11

from poolkit import units
from poolkit.probes.line import ANSWER, Dial, OnStep, StreamLine, Upstream, quiet
from poolkit.probes.records import UseLimit
from poolkit.probes.relay import LOOPBACK, moved
from poolkit.targets import Target
from poolkit.targets.endpoint import PORTS
from poolkit.targets.workload import HttpWork, http_work

TLS_REQUEST = b""
MOST_REQUESTS = 1100  # over one connection; nginx allows 1000 by default
COUNT_SECONDS = 10.0  # of one connection, at most
_PIECE = 65536


class HttpLine(StreamLine):
    """One keep-alive connection; every use sends the target's own request.

    State: the HTTP state of the connection, and whether the server said that it will close.
    """

    errors = (OSError, EOFError, h11.ProtocolError)

    def __init__(
        self, work: HttpWork, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._work = work
        self._http = h11.Connection(h11.CLIENT)

    async def exchange(self) -> None:
        """Send the request and read the whole answer."""
        http, body = self._http, self._work.body
        events = [self._head(), *([] if body is None else [h11.Data(data=body)])]
        sent = [http.send(event) for event in (*events, h11.EndOfMessage())]
        self._writer.write(b"".join(part for part in sent if part))
        await self._writer.drain()
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError
        if http.their_state is h11.DONE and http.our_state is h11.DONE:
            http.start_next_cycle()
        else:
            self.will_close = True

    def _head(self) -> h11.Request:
        work = self._work
        parts = urlsplit(work.url)
        headers = {name.lower(): value for name, value in work.headers.items()}
        headers.setdefault("host", parts.netloc.rpartition("@")[2])
        headers.setdefault("accept", "*/*")
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers.setdefault("authorization", "Basic " + b64encode(pair.encode()).decode())
        if work.body is not None:
            headers["content-length"] = str(len(work.body))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return h11.Request(method=work.method, target=target, headers=list(headers.items()))


def tls_context(url: str) -> ssl.SSLContext | None:
    """The TLS settings for a URL; None for http."""
    return ssl.create_default_context() if url.startswith("https:") else None


async def dial_http(work: HttpWork, context: ssl.SSLContext | None) -> HttpLine:
    """Open a connection to the request's host, within 5 s; `NoLine` says why there is none."""
    return HttpLine(work, *await _place(work.url, context).dial())


async def dialer(target: Target) -> Dial:
    """Opens connections to the target."""
    work = request(target)
    context = tls_context(work.url)
    return lambda: dial_http(work, context)


def upstream(target: Target) -> Upstream | str:
    """Where a relay in front of the target leads."""
    url = http_work(target).url
    return _place(url, tls_context(url))


def _place(url: str, context: ssl.SSLContext | None) -> Upstream:
    parts = urlsplit(url)
    port = parts.port or PORTS["http"][parts.scheme]
    return Upstream(parts.hostname or "", port, context=context)


def work(target: Target, port: int | None) -> tuple[Any, ...]:
    """What the adapter is given to do, the pool's size aside; `port` as in `request`."""
    return (request(target, port),)


def request(target: Target, port: int | None = None, host: str = LOOPBACK) -> HttpWork:
    """The target's request, sent to `port` on this machine where one is given.

    A function of the user's is left out: it may write, and it names hosts of its own.
    """
    work = replace(http_work(target), function=None)
    if port is None:
        return work
    url = moved(work.url, port, host, scheme="http")
    authority = urlsplit(work.url).netloc.rpartition("@")[2]
    return replace(work, url=url, headers={"Host": authority, **work.headers})


async def find_use_limit(
    dial: Dial,
    *,
    rate: float,
    most: int = MOST_REQUESTS,
    on_step: OnStep = quiet,
    stop: asyncio.Event | None = None,
) -> UseLimit:
    """Send requests over one connection, one at a time, until it ends; then once more to be sure.

    Args:
        rate: calls/s that are not exceeded, more than 0.
        most: requests after which the limit is "more than"; so it is after 10 s.

    Raises:
        NoLine: no connection could be made.
    """
    on_step("counting requests over one connection", COUNT_SECONDS)
    first = await _count(dial, rate, most, stop)
    if first.requests is None:
        return first
    again = await _count(dial, rate, most, stop)
    if again.requests == first.requests:
        return first
    ends = f"{first.requests}, then {again.requests or f'more than {again.tried}'}"
    return first.model_copy(
        update={
            "requests": min(first.requests, again.requests or first.requests),
            "seen": f"one connection carried {ends} requests: no fixed limit",
        }
    )


async def _count(dial: Dial, rate: float, most: int, stop: asyncio.Event | None) -> UseLimit:
    loop = asyncio.get_running_loop()
    line = await dial()
    began = loop.time()
    sent = 0
    try:
        while sent < most:
            is_late = loop.time() - began > COUNT_SECONDS
            if is_late or (stop is not None and stop.is_set()):
                break
            if await line.use(ANSWER) != "alive":
                return _ended(sent, "without a word: the next request fails")
            sent += 1
            if line.will_close:
                return _ended(sent, "the last answer says so", is_announced=True)
            await asyncio.sleep(max(0.0, began + sent / rate - loop.time()))
    finally:
        await line.close()
    return UseLimit(
        requests=None, tried=sent, seen=f"one connection carries more than {sent} requests"
    )


def _ended(requests: int, how: str, *, is_announced: bool = False) -> UseLimit:
    seen = f"a connection is closed after {units.plural(requests, 'request')} ({how})"
    return UseLimit(requests=requests, tried=requests, is_announced=is_announced, seen=seen)
