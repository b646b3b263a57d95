"""How a pooler such as PgBouncer lends its connections to the server, seen from two clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poolkit.records import Pooler

PATIENCE = 2.0  # s; a pooler without a free connection to the server lets its clients wait

# The process that serves the session. A pooler such as PgBouncer tells another number at login than
# this query does, and may change it from one transaction to the next.
BACKEND_PID = "select pg_backend_pid()"
# The first value that a statement gives on one connection.
Ask = Callable[[str], Awaitable[Any]]
# The rows that a command of a pooler's admin console gives, column -> value.
Console = Callable[[str], Awaitable[list[dict[str, Any]]]]


async def mode_of(
    dial: Callable[[], AbstractAsyncContextManager[Ask]], errors: tuple[type[Exception], ...]
) -> Pooler:
    """Whether a connection to the server is a client's for a transaction or for its session.

    Two clients that are logged in at once ask who serves them, in the order A B B A, each question
    a transaction of its own. In session mode each has a server process to itself; a process that
    serves both, or a client that meets another one, is lent for a transaction. (PgBouncer lends the
    one that was given back last; with `server_round_robin` the second B, or A, meets another.) A
    client that gets none while the other still has its own waits for the end of a session.

    Args:
        dial: logs a client in.
        errors: what the library raises.
    """
    others: set[int] = set()
    try:
        async with dial() as first, dial() as second:
            own = await _within(first(BACKEND_PID))
            try:
                for _ in range(2):
                    others.add(await _within(second(BACKEND_PID)))
            except TimeoutError:
                pass
            again = await _within(first(BACKEND_PID))
    except TimeoutError:  # all connections are lent to others
        return "unknown"
    except errors:
        return "unknown"
    is_shared = own in others or len(others) > 1 or again != own
    return "transaction" if is_shared else "session"


async def _within(answer: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await answer
