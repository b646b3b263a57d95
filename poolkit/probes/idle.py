"""Finds the idle timeout: many silences side by side, each watched, most of them asked last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from poolkit.errors import BrakeStop
from poolkit.probes.ladder import Rung, plan
from poolkit.probes.line import Dial, Line, NoLine, is_closed_within
from poolkit.probes.reading import (
    BusyEnd,
    Silence,
    is_enough,
    is_one_moment,
    not_kept,
    read_age,
    read_silences,
    without_age,
)
from poolkit.probes.records import AgeLimit, IdleLimit, LineOutcome, Session

CONNECTIONS = 40  # side by side, at most; 32 are the finest steps up to 75 s
ANSWER = 3.0  # s in which an answer must come
BUSY_EVERY = 0.4  # s between two uses of the connection that is never idle, and two dials of it
_LOOK = 0.1  # s
_DIALS = 8  # at once
_REFUSALS = 3  # dials in a row that fail: then the target is gone
_FAREWELLS = 3  # first answers that say `Connection: close`, and none that does not: nothing kept

Tell = Callable[[str, float, float], None]  # what is done, s it has taken, s it may take


def quiet(_what: str, _seconds: float, _of: float) -> None:
    """Progress that nobody looks at."""


@dataclass
class _Search:
    """State of one search: silences that ended, dials that failed in a row, the one in use.

    `kept` and `farewells` count first answers after which the connection stayed, or was to close.
    """

    silences: list[Silence]
    refusals: int = 0
    refused: str = ""
    kept: int = 0
    farewells: int = 0
    oldest: float = 0.0
    busy_end: BusyEnd | None = None

    @property
    def is_not_kept(self) -> bool:
        """Whether every connection so far was to close after its first answer."""
        return not self.kept and self.farewells >= _FAREWELLS


class IdleSearch:
    """One search for an idle timeout.

    Args:
        dial: makes one connection of the kind that is asked about.
        cap: s after which it is "longer than"; more than 0.
        connections: most that are open at a time, 1 or more; with one no age is looked for.
        answer: s in which an answer must come; beyond it the connection counts as dropped.
        uses: requests that a connection carries at most; None: not known.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        cap: float,
        connections: int = CONNECTIONS,
        session: Session = "idle",
        answer: float = ANSWER,
        uses: int | None = None,
    ) -> None:
        self._dial = dial
        self._cap = cap
        self._connections = max(1, min(connections, CONNECTIONS))
        self._session: Session = session
        self._answer = answer
        self._uses = uses
        self._search = _Search([])
        self._dialling = asyncio.Semaphore(_DIALS)

    async def run(
        self, tell: Tell = quiet, stop: asyncio.Event | None = None
    ) -> tuple[IdleLimit, AgeLimit]:
        """Search until enough is known, `cap` is over or `stop` is set.

        Raises:
            BrakeStop: the target went away, or ended all connections at one moment.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        search = self._search
        rungs = plan(self._cap, max(1, self._connections - 1))
        tasks = [asyncio.create_task(self._climb(rung, began)) for rung in rungs]
        busy = asyncio.create_task(self._keep_busy())
        longest = max(rung.start + rung.idle for rung in rungs) + self._answer
        try:
            while not all(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done() and (error := task.exception()) is not None:
                        raise error
                now = loop.time() - began
                tell("watching idle connections", min(now, self._cap), longest)
                is_over = search.is_not_kept or is_enough(search.silences, now)
                if is_over or (stop is not None and stop.is_set()):
                    break
        finally:
            for task in (*tasks, busy):
                task.cancel()
            await asyncio.gather(*tasks, busy, return_exceptions=True)
        seconds = loop.time() - began
        if is_one_moment(search.silences):
            raise BrakeStop(
                "restart",
                "connections of different ages were all closed at one moment",
                "the server was restarted or reloaded meanwhile; run the probe again",
            )
        if any(silence.is_end for silence in search.silences):
            await self._look_again()
        return self._result(seconds)

    def _result(self, seconds: float) -> tuple[IdleLimit, AgeLimit]:
        search = self._search
        age = read_age(search.busy_end, search.oldest, search.silences, self._uses)
        if search.farewells and not search.kept:
            return not_kept(self._cap, connections=self._connections, seconds=seconds), age
        limit = read_silences(
            search.silences,
            cap=self._cap,
            session=self._session,
            connections=self._connections,
            seconds=seconds,
        )
        return without_age(limit, age), age

    async def _climb(self, rung: Rung, began: float) -> None:
        """One silence from its dial to its end."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, began + rung.start - loop.time()))
        line = await self._open()
        if line is None:
            return
        if line.will_close:  # its end says nothing about silence
            await line.close()
            return
        since = loop.time()
        ended = False
        try:
            if await is_closed_within(line, rung.idle):
                self._end(began, since, "closed")
            elif rung.is_asked:
                idle = loop.time() - since
                outcome = await line.use(self._answer)
                self._search.silences.append(Silence(since - began, idle, outcome))
            ended = True
        finally:
            if not ended:  # cancelled while it was silent
                self._end(began, since, "open")
            await line.close()

    def _end(self, began: float, since: float, outcome: LineOutcome) -> None:
        idle = asyncio.get_running_loop().time() - since
        self._search.silences.append(Silence(since - began, idle, outcome))

    async def _open(self) -> Line | None:
        """A connection that has answered once; None: refused, or known to be in vain."""
        search = self._search
        async with self._dialling:
            if search.is_not_kept:
                return None
            try:
                line = await self._dial()
            except NoLine as error:
                search.refusals += 1
                search.refused = error.why
                if search.refusals >= _REFUSALS:
                    raise _gone(error.why) from None
                return None
            is_alive = False
            try:
                is_alive = await line.use(self._answer) == "alive"
            finally:
                if not is_alive:  # cancelled in the middle as well
                    await line.close()
        if not is_alive:
            return None
        search.refusals = 0
        search.farewells += line.will_close
        search.kept += not line.will_close
        return line

    async def _keep_busy(self) -> None:
        """Use one connection all the time: what ends it is its age, or the number of requests.

        The server may announce the end of each after a few requests: then the next is dialled, but
        never sooner than another request would have been sent.
        """
        search = self._search
        while self._connections > 1:
            line = await self._open()
            if line is None:
                return
            try:
                search.busy_end = await self._wait_busy_end(line)
            finally:
                await line.close()
            if search.busy_end is not None:
                return
            await asyncio.sleep(BUSY_EVERY)

    async def _wait_busy_end(self, line: Line) -> BusyEnd | None:
        """How the line ends that is asked again and again; None: the server announced it."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        requests = 1
        while not line.will_close:
            is_closed = await is_closed_within(line, BUSY_EVERY)
            age = loop.time() - since
            if is_closed or await line.use(self._answer) != "alive":
                return BusyEnd(age, requests)
            requests += 1
            self._search.oldest = max(self._search.oldest, age)
        return None

    async def _look_again(self) -> None:
        """Connections ended: that says something only while the target still takes new ones."""
        for _ in range(_REFUSALS):
            try:
                line = await self._dial()
            except NoLine as error:
                why = error.why
                await asyncio.sleep(_LOOK)
            else:
                await line.close()
                return
        raise _gone(why)


def _gone(why: str) -> BrakeStop:
    return BrakeStop(
        "refused",
        f"the target takes no more connections: {why}",
        "see whether the server still runs and how many connections it allows; then run it again",
    )
