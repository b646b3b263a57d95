"""Finds how many requests a server takes over one connection before it closes it."""

from __future__ import annotations

import asyncio

from poolkit import units
from poolkit.probes.idle import ANSWER, Tell, quiet
from poolkit.probes.line import Dial
from poolkit.probes.records import UseLimit

MOST = 1100  # requests; nginx allows 1000 by default
SECONDS = 10.0  # of one connection, at most


async def find_use_limit(
    dial: Dial,
    *,
    rate: float,
    most: int = MOST,
    seconds: float = SECONDS,
    tell: Tell = quiet,
    stop: asyncio.Event | None = None,
) -> UseLimit:
    """Send requests over one connection, one at a time, until it ends; then once more to be sure.

    Args:
        rate: calls/s that are not exceeded, more than 0.
        most, seconds: where "more than" is said.

    Raises:
        NoLine: no connection could be made.
    """
    first = await _count(dial, rate, most, seconds, tell, stop)
    if first.requests is None:
        return first
    again = await _count(dial, rate, most, seconds, tell, stop)
    if again.requests == first.requests:
        return first
    fewest = min(first.requests, again.requests or first.requests)
    ends = f"{first.requests}, then {again.requests or f'more than {again.tried}'}"
    return first.model_copy(
        update={
            "requests": fewest,
            "seen": f"one connection carried {ends} requests: no fixed limit",
        }
    )


async def _count(
    dial: Dial, rate: float, most: int, seconds: float, tell: Tell, stop: asyncio.Event | None
) -> UseLimit:
    loop = asyncio.get_running_loop()
    line = await dial()
    began = loop.time()
    try:
        for number in range(1, most + 1):
            now = loop.time() - began
            tell("counting requests over one connection", now, seconds)
            if now > seconds or (stop is not None and stop.is_set()):
                return _more_than(number - 1)
            if await line.use(ANSWER) != "alive":
                return _limit(number - 1, is_announced=False)
            if line.will_close:
                return _limit(number, is_announced=True)
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
    finally:
        await line.close()
    return _more_than(most)


def _more_than(tried: int) -> UseLimit:
    seen = f"one connection carries more than {tried} requests"
    return UseLimit(requests=None, tried=tried, seen=seen)


def _limit(requests: int, *, is_announced: bool) -> UseLimit:
    how = "the last answer says so" if is_announced else "without a word: the next request fails"
    seen = f"a connection is closed after {units.plural(requests, 'request')} ({how})"
    return UseLimit(requests=requests, tried=requests, is_announced=is_announced, seen=seen)
