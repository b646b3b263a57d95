"""Repeats work that met a dead connection, in the service's own code, where a repeat is safe.

    order = await retry(lambda: read_order(pool, 42), idempotent=True)

Safe means that the failed attempt has left nothing behind: it never reached the server, or the
server has said that it rolled everything back. A connection that broke off in the middle is
neither, since the commit may have been under way; then only work that the caller calls idempotent
is repeated. Never repeated: time limits and a full pool (the server is busy, and more calls make it
worse), and whatever the server answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import stamina

from poolkit.drivers.table import DRIVERS, Safety

T = TypeVar("T")

ATTEMPTS = 4
SECONDS = 10.0  # s after which no further attempt begins
FIRST_WAIT = 0.05  # s
LONGEST_WAIT = 2.0  # s
# Jitter as long as the wait itself: callers that failed together do not come back together.
JITTER = 0.1  # s
ROLLBACK = 2.0  # s that a rollback may take

_STATES: Mapping[frozenset[str], Safety] = {
    # Serialization failure, deadlock: the server has rolled the transaction back.
    frozenset({"40001", "40P01"}): "rolled_back",
    # Not yet, or no longer, taking sessions.
    frozenset({"57P03", "08001", "08004"}): "not_sent",
    # Ended by the administrator, a crash, an idle timeout in or outside a transaction.
    frozenset(
        {"57P01", "57P02", "57P05", "25P03", "08000", "08003", "08006", "08007"}
    ): "disconnected",
}
# As the rows of DRIVERS have them: class, words of its text, what the attempt left behind.
_LOST: tuple[tuple[str, str, Safety], ...] = (
    ("builtins.ConnectionRefusedError", "", "not_sent"),
    ("builtins.ConnectionResetError", "", "disconnected"),
    ("builtins.ConnectionAbortedError", "", "disconnected"),
    ("builtins.BrokenPipeError", "", "disconnected"),
    *(entry for row in DRIVERS.values() for entry in row.lost),
)


def safety(error: BaseException) -> Safety | None:
    """What a failure left behind: nothing sent, all rolled back, or not known; None: no disconnect.

    Understands the libraries that poolkit drives, none of which has to be installed.
    """
    for cause in _causes(error):
        for states, meaning in _STATES.items():
            if getattr(cause, "sqlstate", None) in states:
                return meaning
        names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(cause).__mro__]
        text = str(cause).lower()
        for name, words, meaning in _LOST:
            if name in names and words in text:
                return meaning
    if getattr(error, "connection_invalidated", False):
        return "disconnected"
    return None


def may_repeat(error: BaseException, *, idempotent: bool) -> bool:
    """Whether the work that failed so may be done again."""
    found = safety(error)
    return found in ("not_sent", "rolled_back") or (idempotent and found == "disconnected")


async def retry(
    work: Callable[[], Awaitable[T]],
    *,
    idempotent: bool = False,
    rollback: Callable[[], Awaitable[object]] | None = None,
    attempts: int = ATTEMPTS,
    seconds: float = SECONDS,
    first_wait: float = FIRST_WAIT,
    jitter: float = JITTER,
    rollback_seconds: float = ROLLBACK,
) -> T:
    """The result of `work`, repeated with growing, jittered waits while a repeat is safe.

    Args:
        work: all of one unit: it acquires its connection, begins and commits by itself.
        idempotent: whether doing it twice is as good as once, because it only reads or because the
            server recognises a repeat. Without it a broken connection is not retried.
        rollback: awaited after each failure that will be repeated or raised, such as
            `session.rollback`, so that no attempt sees the leftovers of the one before; when the
            connection is gone there is nothing to roll back, and its failure is not raised.
        attempts: at most, the first included; 1 or more.
        seconds: after which no further attempt begins; an attempt's own length is limited by the
            timeouts of the pool and the client.
        first_wait, jitter: s before the second attempt, doubled each time, and the longest random
            time added; 0 or more.
        rollback_seconds: after which a rollback is given up; its connection counts as gone.

    Raises what the last attempt raised.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be 1 or more, got {attempts}")

    def again(error: Exception) -> bool:
        return may_repeat(error, idempotent=idempotent)

    async for attempt in stamina.retry_context(
        on=again,
        attempts=attempts,
        timeout=seconds,
        wait_initial=first_wait,
        wait_max=LONGEST_WAIT,
        wait_jitter=jitter,
    ):
        with attempt:
            try:
                return await work()
            except Exception:
                await _roll_back(rollback, rollback_seconds)
                raise
    raise AssertionError("the last attempt returns or raises")


async def _roll_back(rollback: Callable[[], Awaitable[object]] | None, seconds: float) -> None:
    if rollback is None:
        return
    # Over a connection that was dropped in silence the answer never comes.
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await rollback()
    except Exception as error:
        # On a dead connection the server has rolled back already.
        if safety(error) is None and not limit.expired():
            raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The failure and those that it wraps (SQLAlchemy's `orig`, `raise ... from`)."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        with contextlib.suppress(Exception):
            rest.append(getattr(one, "orig", None))
        rest.append(one.__cause__)
