"""Finds the idle timeout: many silences side by side, each watched, most of them asked last."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field

from poolkit.drivers.parameters.findings import AgeLimit, IdleLimit, LineOutcome, Session
from poolkit.errors import BrakeStop
from poolkit.probes.ladder import Rung, plan
from poolkit.probes.line import ANSWER, Dial, Line, NoLine, OnStep, is_closed_within, quiet
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

CONNECTIONS = 40  # side by side, at most; 32 are the finest steps up to 75 s
BUSY_EVERY = 0.4  # s between two uses of the connection that is never idle, and two dials of it
_LOOK = 0.1  # s
_DIALS = 8  # at once
_REFUSALS = 3  # dials in a row that fail: then the target is gone
_FAREWELLS = 3  # first answers that say `Connection: close`, and none that does not: nothing kept


@dataclass
class IdleSearch:
    """One search for an idle timeout.

    State: when it began, silences that ended, dials that failed in a row, the connection in use,
    and first answers after which a connection stayed or was to close (farewells).

    Args:
        dial: makes one connection of the kind that is asked about.
        cap: s after which it is "longer than"; more than 0.
        connections: most that are open at a time, 1 or more; with one no age is looked for.
        answer: s in which an answer must come; beyond it the connection counts as dropped.
        uses: requests that a connection carries at most; None: not known.
    """

    dial: Dial
    _: KW_ONLY
    cap: float
    connections: int = CONNECTIONS
    session: Session = "idle"
    answer: float = ANSWER
    uses: int | None = None

    began: float = field(init=False)
    silences: list[Silence] = field(init=False, default_factory=list)
    refusals: int = field(init=False, default=0)
    stayed: int = field(init=False, default=0)
    farewells: int = field(init=False, default=0)
    oldest: float = field(init=False, default=0.0)
    busy_end: BusyEnd | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.connections = max(1, min(self.connections, CONNECTIONS))
        self._dialling = asyncio.Semaphore(_DIALS)

    @property
    def is_not_kept(self) -> bool:
        """Whether every connection so far was to close after its first answer."""
        return not self.stayed and self.farewells >= _FAREWELLS

    async def run(
        self, on_step: OnStep = quiet, stop: asyncio.Event | None = None
    ) -> tuple[IdleLimit, AgeLimit]:
        """Search until enough is known, `cap` is over or `stop` is set.

        Raises:
            BrakeStop: the target went away, or ended all connections at one moment.
        """
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        rungs = plan(self.cap, max(1, self.connections - 1))
        tasks = [asyncio.create_task(self._climb(rung)) for rung in rungs]
        busy = asyncio.create_task(self._keep_busy())
        longest = max(rung.start + rung.idle for rung in rungs) + self.answer
        on_step("watching idle connections", longest)
        try:
            while not all(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()  # raises what it raised
                is_over = self.is_not_kept or is_enough(self.silences, loop.time() - self.began)
                if is_over or (stop is not None and stop.is_set()):
                    break
        finally:
            for task in (*tasks, busy):
                task.cancel()
            await asyncio.gather(*tasks, busy, return_exceptions=True)
        seconds = loop.time() - self.began
        if is_one_moment(self.silences):
            raise BrakeStop(
                "restart",
                "connections of different ages were all closed at one moment",
                "the server was restarted or reloaded meanwhile; run the probe again",
            )
        if any(silence.is_end for silence in self.silences):
            await self._look_again()
        age = read_age(self.busy_end, self.oldest, self.silences, self.uses)
        if self.farewells and not self.stayed:
            limit = not_kept(self.cap)
        else:
            found = read_silences(self.silences, cap=self.cap, session=self.session)
            limit = without_age(found, age)
        figures = {"connections": self.connections, "seconds": seconds}
        return limit.model_copy(update=figures), age

    async def _climb(self, rung: Rung) -> None:
        """One silence from its dial to its end."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self.began + rung.start - loop.time()))
        line = await self._open()
        if line is None:
            return
        since = loop.time()

        def end(outcome: LineOutcome, at: float) -> None:
            self.silences.append(Silence(since - self.began, at - since, outcome))

        try:
            if line.will_close:  # its end says nothing about silence
                return
            if await is_closed_within(line, rung.idle):
                end("closed", loop.time())
            elif rung.is_asked:
                asked = loop.time()
                end(await line.use(self.answer), asked)
        except asyncio.CancelledError:  # while it was silent, or asked in vain
            end("open", loop.time())
            raise
        finally:
            await line.close()

    async def _open(self) -> Line | None:
        """A connection that has answered once; None: refused, or known to be in vain."""
        async with self._dialling:
            if self.is_not_kept:
                return None
            try:
                line = await self.dial()
            except NoLine as error:
                self.refusals += 1
                if self.refusals >= _REFUSALS:
                    raise _gone(error.why) from None
                return None
            is_alive = False
            try:
                is_alive = await line.use(self.answer) == "alive"
            finally:
                if not is_alive:  # cancelled in the middle as well
                    await line.close()
        if not is_alive:
            return None
        self.refusals = 0
        self.farewells += line.will_close
        self.stayed += not line.will_close
        return line

    async def _keep_busy(self) -> None:
        """Use one connection all the time: what ends it is its age, or the number of requests.

        The server may announce the end of each after a few requests: then the next is dialled, but
        never sooner than another request would have been sent.
        """
        while self.connections > 1 and self.busy_end is None:
            line = await self._open()
            if line is None:
                return
            try:
                self.busy_end = await self._wait_busy_end(line)
            finally:
                await line.close()
            await asyncio.sleep(BUSY_EVERY)

    async def _wait_busy_end(self, line: Line) -> BusyEnd | None:
        """How the line ends that is asked again and again; None: the server announced it."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        requests = 1
        while not line.will_close:
            is_closed = await is_closed_within(line, BUSY_EVERY)
            age = loop.time() - since
            if is_closed or await line.use(self.answer) != "alive":
                return BusyEnd(age, requests)
            requests += 1
            self.oldest = max(self.oldest, age)
        return None

    async def _look_again(self) -> None:
        """Connections ended: that says something only while the target still takes new ones."""
        why = ""
        for _ in range(_REFUSALS):
            try:
                line = await self.dial()
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
