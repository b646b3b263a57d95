"""The search for an idle timeout against servers of every manner, side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from poolkit.drivers.parameters.findings import AgeLimit, IdleLimit
from poolkit.errors import BrakeStop
from poolkit.probes.http import dial_http, find_use_limit
from poolkit.probes.idle import IdleSearch
from poolkit.probes.line import Line, NoLine, Use
from poolkit.probes.records import UseLimit
from poolkit.targets.workload import HttpWork
from tests.probes.servers import Manner, ill_mannered
from tests.virtual_clock import run_virtual

LIMIT = 1.2  # s
CAPS: dict[Manner, float] = {"never": 3.0}
Found = dict[str, tuple[IdleLimit, AgeLimit, float]]


async def dial(url: str) -> Line:
    return await dial_http(HttpWork("GET", url), None)


async def search(manner: Manner) -> tuple[IdleLimit, AgeLimit, float]:
    async with ill_mannered(manner, LIMIT) as url:
        began = time.monotonic()
        found = IdleSearch(
            lambda: dial(url), cap=CAPS.get(manner, 20.0), connections=24, answer=1.0
        )
        limit, age = await found.run()
        return limit, age, time.monotonic() - began


@pytest.fixture(scope="module")
def found() -> Found:
    manners: tuple[Manner, ...] = ("fin", "on_use", "silent", "random", "never", "age")

    async def all_of_them() -> Found:
        results = await asyncio.gather(*(search(manner) for manner in manners))
        return dict(zip(manners, results, strict=True))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("manner", "kind"), [("fin", "closed"), ("on_use", "closed_on_use"), ("silent", "silent")]
)
def test_the_timeout_is_found_however_it_shows(found: Found, manner: str, kind: str) -> None:
    """Within 0.5 s, by a FIN, a reset on use or no answer at all."""
    limit, age, _ = found[manner]
    assert limit.kind == kind
    assert limit.timeout == pytest.approx(LIMIT, abs=0.5)
    assert limit.bounds is not None
    assert limit.bounds[0] - 0.2 <= LIMIT <= limit.bounds[1] + 0.2
    assert age.seconds is None


def test_the_search_takes_little_longer_than_the_timeout(found: Found) -> None:
    """At most 1.3 times the timeout and 10 s."""
    for manner in ("fin", "on_use", "silent", "random"):
        assert found[manner][2] <= 1.3 * LIMIT + 10.0


def test_a_server_that_closes_at_random_is_called_so(found: Found) -> None:
    """With the first close and one that came, or did not come, much later."""
    limit, _, _ = found["random"]
    assert limit.kind == "random"
    assert limit.timeout is None
    assert limit.bounds is not None
    assert limit.bounds[1] - limit.bounds[0] > 0.5
    assert "at random" in limit.seen


def test_a_server_that_never_closes_is_capped(found: Found) -> None:
    """It says for how long a connection lived."""
    limit, _, seconds = found["never"]
    assert (limit.kind, limit.timeout) == ("longer", None)
    assert limit.longer_than == pytest.approx(CAPS["never"], abs=0.5)
    assert "longer than 3 s" in limit.seen
    assert seconds < 1.3 * CAPS["never"] + 10.0


def test_an_age_is_not_taken_for_idleness(found: Found) -> None:
    """A connection in use ends as early as an idle one: then it is the age."""
    limit, age, _ = found["age"]
    assert age.seconds == pytest.approx(LIMIT, abs=0.5)
    assert limit.kind == "longer"


def test_a_target_that_goes_away_is_a_stop_with_a_remedy() -> None:
    """No timeout is read from connections that a dying server has ended."""

    async def go() -> None:
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(ill_mannered("never"))
            running = asyncio.ensure_future(
                IdleSearch(lambda: dial(url), cap=20.0, connections=12).run()
            )
            await asyncio.sleep(1.0)
            await stack.aclose()
            async with asyncio.timeout(15.0):
                await running

    with pytest.raises(BrakeStop) as stop:
        asyncio.run(go())
    assert stop.value.remedy


def test_a_target_that_is_down_gives_no_line() -> None:
    """The reason is one that can be printed."""

    async def go() -> None:
        async with ill_mannered("never") as url:
            pass
        await dial(url)

    with pytest.raises(NoLine, match="refused"):
        asyncio.run(go())


def test_a_stop_keeps_what_was_found() -> None:
    """Asked to stop after a second, it says that connections live for longer than that."""

    async def go() -> IdleLimit:
        async with ill_mannered("never") as url:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(1.0, stop.set)
            limit, _ = await IdleSearch(lambda: dial(url), cap=60.0).run(stop=stop)
            return limit

    limit = asyncio.run(go())
    assert limit.kind == "longer"
    assert 0.4 < limit.longer_than < 10.0


@pytest.mark.parametrize(
    ("manner", "limit", "requests", "announced"),
    [("uses", 7, 7, True), ("one", 1, 1, True), ("never", 0, None, False)],
)
def test_the_requests_of_a_connection_are_counted(
    manner: Manner, limit: int, requests: int | None, announced: bool
) -> None:
    """Exactly, and `more than` where none is seen."""

    async def go() -> UseLimit:
        async with ill_mannered(manner, limit) as url:
            return await find_use_limit(lambda: dial(url), rate=1e6, most=40)

    found = asyncio.run(go())
    assert (found.requests, found.is_announced) == (requests, announced)
    assert found.tried == (40 if requests is None else requests)
    assert ("after 1 request (" in found.seen) is (requests == 1)


class CountedLine:
    """A line that answers after a while; counts those that are open."""

    will_close = False
    open = 0

    def __init__(self, answer: float) -> None:
        self._answer = answer
        type(self).open += 1

    async def use(self, timeout: float) -> Use:
        del timeout
        await asyncio.sleep(self._answer)
        return "alive"

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        type(self).open -= 1


@pytest.mark.parametrize("answer", [0.0, 1000.0])
def test_a_search_that_is_stopped_leaves_no_connection_open(answer: float) -> None:
    """Neither those that are silent nor those whose first question is not answered yet."""

    async def dial_counted() -> Line:
        return CountedLine(answer)

    async def go() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, stop.set)
        await IdleSearch(dial_counted, cap=30.0, connections=8).run(stop=stop)

    asyncio.run(go())
    assert CountedLine.open == 0


class Server:
    """One on virtual time. Its lines end after `requests` (`says` so or not), or at `moment` s."""

    def __init__(self, requests: int, *, says: bool, moment: float = 1e9) -> None:
        self.requests = requests
        self.says = says
        self.moment = moment
        self.dials: list[float] = []

    async def dial(self) -> Line:
        self.dials.append(asyncio.get_running_loop().time())
        return ServedLine(self)


class ServedLine:
    """A line to `Server`."""

    will_close = False

    def __init__(self, server: Server) -> None:
        self._server = server
        self._left = server.requests

    async def use(self, timeout: float) -> Use:
        del timeout
        await asyncio.sleep(0.001)
        if self._left <= 0:
            return "closed_on_use"
        self._left -= 1
        self.will_close = self._server.says and self._left <= 0
        return "alive"

    async def wait_closed(self) -> None:
        if self._left <= 0:
            return
        await asyncio.sleep(max(0.0, self._server.moment - asyncio.get_running_loop().time()))

    async def close(self) -> None:
        """Nothing to do."""


def searched(server: Server, cap: float, uses: int | None = None) -> tuple[IdleLimit, AgeLimit]:
    return run_virtual(IdleSearch(server.dial, cap=cap, uses=uses).run())


def test_a_server_that_keeps_nothing_is_dialled_a_few_times() -> None:
    """Each first answer says goodbye: no timeout is read from that, and nobody storms it."""
    server = Server(1, says=True)
    limit, age = searched(server, 20.0)
    assert limit.kind == "not_kept"
    assert age.seconds is None
    assert len(server.dials) < 20


def test_an_announced_end_is_dialled_again_at_the_pace_of_requests() -> None:
    """At most one dial in 0.4 s beside the silences, and no age is seen in it."""
    server = Server(2, says=True)
    limit, age = searched(server, 20.0)
    assert (limit.kind, age.seconds) == ("longer", None)
    assert len(server.dials) < 40 + 20.0 / 0.8 + 5


@pytest.mark.parametrize("uses", [None, 5])
def test_a_limit_of_requests_is_not_reported_as_an_age(uses: int | None) -> None:
    """Five requests at 0.4 s are gone after 2 s, while idle connections live on."""
    limit, age = searched(Server(5, says=False), 20.0, uses)
    assert (limit.kind, age.seconds) == ("longer", None)
    assert "no age" in age.seen


@pytest.mark.parametrize("moment", [10.0, 39.0, 50.0, 70.0])
def test_a_restart_is_told_from_a_timeout_however_late_it_comes(moment: float) -> None:
    """All connections end at one moment: a stop with a remedy."""
    with pytest.raises(BrakeStop, match="at one moment"):
        searched(Server(10**9, says=False, moment=moment), 75.0)
