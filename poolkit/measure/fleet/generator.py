"""One generator of a fleet as the client sees it: what it is told, and what it says."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from poolkit.load.together import Part, check_part
from poolkit.measure.fleet.actor import Owner

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 2.0  # a worker that says nothing for so long is lost
START_SECONDS = 40.0  # of a process: it imports, and its target's first call may take 10 s
MOST_BYTES = 1 << 29  # of a result; 5 million calls take 90 MB
PINGS, ENOUGH = 9, 0.0002  # questions for the clock; s of doubt at which fewer will do


class LostError(Exception):
    """A generator is gone, or does not answer."""


class RemoteGenerator:
    """The owner of a process on one worker.

    State: how far (s) its clock is ahead of this process's, and by how much that may be wrong.

    Args:
        name: what reports call it.
        address: of its worker.
    """

    def __init__(self, client: Client, name: str, address: str) -> None:
        self._client = client
        self._owner: Any = None
        self.name = name
        self.address = address
        self.ahead = 0.0
        self.doubt = 0.0
        self.facts: dict[str, Any] = {}

    async def start(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Start the process and have it check its target; returns the answer."""
        future = self._client.submit(
            Owner,
            actor=True,
            workers=[self.address],
            allow_other_workers=False,
            retries=0,
            key=f"poolkit-{self.name}-{time.monotonic_ns()}",
            pure=False,
        )
        self._owner = await answered(lambda: future, START_SECONDS)
        await self._ask("start", seconds=START_SECONDS)
        await self.tell({"do": "check", **question})
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            for answer in await self.news():
                if answer["answer"] == "checked":
                    self.facts = answer
                    return answer
                if answer["answer"] == "gone":
                    raise LostError(f"its process ended with {answer['code']}")
        raise LostError("its process did not get ready")

    async def tell(self, order: Mapping[str, Any]) -> None:
        """Pass an order on; raises `LostError`."""
        if not await self._ask("tell", json.dumps(order)):
            raise LostError("its process no longer listens")

    async def news(self) -> list[dict[str, Any]]:
        """What it said lately; waits a moment for it. Raises `LostError`."""
        news = await self._ask("news")
        if not isinstance(news, list) or not all(isinstance(one, dict) for one in news):
            raise LostError("it answered what no generator does")
        return news

    async def part(self) -> Part:
        """What it measured; raises `LostError` where that is nothing of the kind."""
        data = await self._ask("result", seconds=START_SECONDS)
        try:
            part = pickle.loads(zlib.decompressobj().decompress(data, MOST_BYTES))
        except Exception as error:
            raise LostError(f"its result cannot be read ({type(error).__name__})") from error
        try:
            return check_part(part)
        except ValueError as error:
            raise LostError(f"its result is no measurement: {error}") from error

    async def read_clock(self, own_clock: str) -> None:
        """Find out how far its clock is ahead, by the quickest of several answers (Cristian 1989).

        Processes of one machine share a clock.
        """
        if own_clock and self.facts.get("clock") == own_clock:
            self.ahead = self.doubt = 0.0
            return
        best = float("inf")
        for _ in range(PINGS):
            asked = time.perf_counter()
            clock = await self._ask("clock")
            took = time.perf_counter() - asked
            if took < best:
                best, self.ahead = took, clock - (asked + took / 2)
            if best <= 2 * ENOUGH:
                break
        self.doubt = best / 2

    async def stop(self) -> None:
        """End its process."""
        if self._owner is not None:
            await self._ask("stop", seconds=START_SECONDS)

    async def _ask(self, what: str, *words: str, seconds: float = ANSWER_SECONDS) -> Any:
        """What the owner answers to a question; raises `LostError`."""
        # Dask raises as soon as the owner's method is looked up where it knows its worker is gone.
        return await answered(lambda: getattr(self._owner, what)(*words), seconds)


async def answered(question: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """The answer of a worker or the scheduler; `LostError` where there is none in time."""
    try:
        return await asyncio.wait_for(_awaited(question), seconds)
    except TimeoutError:
        raise LostError(f"it did not answer for {seconds:g} s") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LostError("its worker is gone") from None  # as Dask says it
    except LostError:
        raise
    except Exception as error:
        raise LostError(f"its worker is gone ({type(error).__name__})") from error


async def _awaited(question: Callable[[], Awaitable[Any]]) -> Any:
    return await question()
