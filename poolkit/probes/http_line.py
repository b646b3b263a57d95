"""An HTTP/1.1 connection of our own, so that no client library hides what the server does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from urllib.parse import unquote, urlsplit

import h11

from poolkit.probes.line import NoLine, Use
from poolkit.targets.workload import HttpWork

DIAL_TIMEOUT = 5.0  # s
_PIECE = 65536


class HttpLine:
    """One keep-alive connection; every use sends the target's own request.

    State: the HTTP state of the connection, and whether the server said that it will close.
    """

    def __init__(
        self, work: HttpWork, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._work = work
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self.will_close = False
        self.status = 0

    async def use(self, timeout: float) -> Use:
        """Send the request and read the whole answer."""
        try:
            async with asyncio.timeout(timeout):
                await self._exchange()
        except TimeoutError:
            return "silent"
        except (OSError, h11.ProtocolError, EOFError):
            return "closed_on_use"
        return "alive"

    async def _exchange(self) -> None:
        http, writer = self._http, self._writer
        sent = [*self._head(), *self._content(), http.send(h11.EndOfMessage())]
        writer.write(b"".join(part for part in sent if part))
        await writer.drain()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.Response):
                self.status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError
        if http.their_state is h11.DONE and http.our_state is h11.DONE:
            http.start_next_cycle()
        else:
            self.will_close = True

    def _head(self) -> list[bytes | None]:
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
        request = h11.Request(method=work.method, target=target, headers=list(headers.items()))
        return [self._http.send(request)]

    def _content(self) -> list[bytes | None]:
        body = self._work.body
        return [] if body is None else [self._http.send(h11.Data(data=body))]

    async def wait_closed(self) -> None:
        """Return at the peer's FIN or RST, or at a farewell such as 408 that comes unasked."""
        with contextlib.suppress(OSError):
            await self._reader.read(1)

    async def close(self) -> None:
        """Close without waiting for the peer."""
        self._writer.transport.abort()


def tls_context(url: str) -> ssl.SSLContext | None:
    """The TLS settings for a URL; None for http."""
    return ssl.create_default_context() if url.startswith("https:") else None


def place(url: str) -> tuple[str, int]:
    """Host and port that a URL leads to."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def dial_http(work: HttpWork, context: ssl.SSLContext | None) -> HttpLine:
    """Open a connection to the request's host, within 5 s; `NoLine` says why there is none."""
    host, port = place(work.url)
    try:
        async with asyncio.timeout(DIAL_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=host if context else None
            )
    except TimeoutError:
        raise NoLine(f"no connection within {DIAL_TIMEOUT:g} s") from None
    except ssl.SSLError as error:
        raise NoLine(f"TLS failed: {error.reason}") from None
    except ConnectionRefusedError:
        raise NoLine("the connection was refused") from None
    except OSError as error:
        raise NoLine(error.strerror or type(error).__name__) from None
    return HttpLine(work, reader, writer)
