"""One connection to a target that can be used, left alone and watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

ANSWER = 3.0  # s in which an answer must come

Use = Literal["alive", "closed_on_use", "silent"]
OnStep = Callable[[str, float], None]  # what is done next, s that it may take (0: not known)


def quiet(_what: str, _limit: float) -> None:
    """Steps that are not shown."""


class NoLine(Exception):  # noqa: N818 - named for what happened
    """A connection could not be made; `why` is safe to print."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


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


async def is_closed_within(line: Line, seconds: float) -> bool:
    """Whether the peer closes the connection while it is left alone for `seconds` s."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await line.wait_closed()
    except TimeoutError:
        return False
    return True
