"""Where a target is, and one connection to it that can be used, left alone and watched."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

ANSWER = 3.0  # s in which an answer must come
DIAL_TIMEOUT = 5.0  # s

Use = Literal["alive", "closed_on_use", "silent"]
OnStep = Callable[[str, float], None]  # what is done next, s that it may take (0: not known)


def quiet(_what: str, _limit: float) -> None:
    """Steps that are not shown."""


class NoLine(Exception):  # noqa: N818 - named for what happened
    """A connection could not be made; `why` is safe to print."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a target is: host and port, or the path of a Unix socket; TLS where it has to be."""

    host: str
    port: int
    path: str | None = None
    context: ssl.SSLContext | None = None

    async def dial(
        self, *, with_tls: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection without a login, within 5 s; `NoLine` says why there is none."""
        context = self.context if with_tls else None
        name = self.host if context is not None else None
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                if self.path is not None:
                    return await asyncio.open_unix_connection(self.path)
                return await asyncio.open_connection(
                    self.host, self.port, ssl=context, server_hostname=name
                )
        except TimeoutError:
            raise NoLine(f"no connection within {DIAL_TIMEOUT:g} s") from None
        except ssl.SSLError as error:
            raise NoLine(f"TLS failed: {error.reason}") from None
        except ConnectionRefusedError:
            raise NoLine("the connection was refused") from None
        except OSError as error:
            raise NoLine(error.strerror or type(error).__name__) from None


class Line(Protocol):
    """A connection after its login. `will_close`: the server said that it closes after this."""

    will_close: bool

    async def use(self, timeout: float) -> Use:
        """Ask for something small and read the whole answer, within `timeout` s."""
        ...

    async def wait_closed(self) -> None:
        """Return when the peer has closed; uses nothing, may be cancelled."""
        ...

    async def close(self) -> None:
        """Give it up, in bounded time."""
        ...


Dial = Callable[[], Awaitable[Line]]


class StreamLine:
    """A line over a stream of our own; a subclass says what one use of it sends and reads."""

    will_close = False
    # What an exchange raises where the peer has closed, or talks nonsense.
    errors: tuple[type[Exception], ...] = (OSError, EOFError)

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def exchange(self) -> None:
        """One question and its whole answer."""
        raise NotImplementedError

    async def use(self, timeout: float) -> Use:
        """One exchange."""
        try:
            async with asyncio.timeout(timeout):
                await self.exchange()
        except TimeoutError:
            return "silent"
        except self.errors:
            return "closed_on_use"
        return "alive"

    async def wait_closed(self) -> None:
        """Return at the peer's FIN or RST, or at a farewell such as 408 that comes unasked."""
        with contextlib.suppress(OSError):
            await self._reader.read(1)

    async def close(self) -> None:
        """Close without waiting for the peer."""
        self._writer.transport.abort()


async def is_closed_within(line: Line, seconds: float) -> bool:
    """Whether the peer closes the connection while it is left alone for `seconds` s."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await line.wait_closed()
    except TimeoutError:
        return False
    return True
