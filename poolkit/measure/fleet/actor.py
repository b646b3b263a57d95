"""What of a fleet lives on a worker of the cluster: the owner of one process that sends load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from asyncio.subprocess import PIPE, Process
from typing import Any

from poolkit.measure.child import python
from poolkit.measure.parent import tied

PATIENCE = 0.2  # s that a question for news waits for some
END_SECONDS = 2.0  # s for a process that was asked to end


class Owner:
    """Starts a process of `poolkit.measure.fleet.process` and passes on what both sides say.

    All its methods are coroutines, which run in the worker's event loop: another kind would hold up
    every later one, a halt included. Not one of them raises: what is raised in an actor stands in
    the worker's log, and what a process says may hold secrets.

    State: the process, what it answered since it was last asked, the bytes of its result, and how
    it ended.
    """

    def __init__(self) -> None:
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: list[dict[str, Any]] = []
        self._data = b""
        self._end: dict[str, Any] | None = None
        self._is_news = asyncio.Event()

    async def start(self) -> float:
        """Start the process; returns the clock (s) that its trials begin by."""
        self._process = await asyncio.create_subprocess_exec(
            *tied(python("poolkit.measure.fleet.process")), stdin=PIPE, stdout=PIPE, limit=1 << 26
        )
        self._reading = asyncio.create_task(self._read())
        return time.perf_counter()

    async def clock(self) -> float:
        """The clock (s) that trials begin by: one for all processes of a machine."""
        return time.perf_counter()

    async def tell(self, line: str) -> bool:
        """Pass a line on to the process; whether it still listens."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            return False
        try:
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()
        except OSError:
            return False
        return True

    async def news(self) -> list[dict[str, Any]]:
        """What the process answered since the last question, for which it waits a moment.

        The question renews the lease of the process. The end of it is told every time, and waited
        for where the process no longer listens.
        """
        if not await self.tell('{"do": "go on"}'):
            if self._reading is not None:
                await asyncio.wait({self._reading}, timeout=END_SECONDS)
        elif not self._answers and self._end is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_news.wait(), PATIENCE)
        self._is_news.clear()
        answers, self._answers = self._answers, []
        return answers if self._end is None else [*answers, self._end]

    async def result(self) -> bytes:
        """The bytes of the last result, once."""
        data, self._data = self._data, b""
        return data

    async def stop(self) -> None:
        """End the process: politely, then by force."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout
        with contextlib.suppress(Exception):  # what is no answer ends it like the end of all
            while line := await out.readline():
                answer = json.loads(line)
                if size := answer.get("bytes"):
                    self._data = await out.readexactly(size)
                self._answers.append(answer)
                self._is_news.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        if self._process.returncode is None:
            self._process.kill()
        self._end = {"answer": "gone", "code": await self._process.wait()}
        self._is_news.set()
