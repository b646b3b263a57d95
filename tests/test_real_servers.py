"""The real servers are seen to limit: what is below passes, what is above does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import aiohttp
import psycopg
import pytest

from tests.real_servers import (
    SERVICE_TIME,
    gunicorn,
    most_allowed,
    most_in_window,
    nginx_limit_conn,
    nginx_limit_req,
    pgbouncer,
    uvicorn,
)

pytestmark = pytest.mark.lab
ROUNDS = 5


def at_once(url: str, callers: int, *, rounds: int = ROUNDS, pause: float = 0.0) -> Counter[int]:
    """Statuses of so many calls together, each on its connection, a few times over."""

    async def go() -> Counter[int]:
        statuses: Counter[int] = Counter()

        async def one(session: aiohttp.ClientSession) -> None:
            async with session.get(url) as response:
                await response.read()
                statuses[response.status] += 1

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            for _ in range(rounds):
                await asyncio.gather(*(one(session) for _ in range(callers)))
                await asyncio.sleep(pause)
        return statuses

    return asyncio.run(go())


def test_uvicorn_lets_one_less_than_its_limit_through() -> None:
    """It refuses from so many open connections on, the call's own among them."""
    with uvicorn(limit_concurrency=12) as server:
        assert at_once(server.address, 11) == {200: 55}
    with uvicorn(limit_concurrency=12) as server:
        seen = at_once(server.address, 20)
        # It closes the connections that it refuses, so as many pass in each round.
        assert seen[200] <= ROUNDS * 11
        assert seen[503] == ROUNDS * 20 - seen[200]
        assert server.statuses() == seen, "the server counts what it refused"


def test_nginx_refuses_calls_beyond_so_many_at_once() -> None:
    """As many at once as the limit says; the connections that are idle do not count."""
    with nginx_limit_conn(12) as server:
        assert at_once(server.address, 12) == {200: 60}
        seen = at_once(server.address, 20)
        assert seen[503] > 0
        assert seen[200] >= ROUNDS * 12
        assert server.statuses() == seen + Counter({200: 60})


def test_nginx_refuses_calls_beyond_a_rate() -> None:
    """A bucket of calls that empties at the rate: not more than that pass, however they come."""
    with nginx_limit_req(200, burst=20) as server:
        assert at_once(server.address, 1, rounds=60) == {200: 60}, "one caller is below 50/s"
        at_once(server.address, 20, rounds=20)
        calls = sorted(server.calls())
        passed = [at for at, status in calls if status == 200]
        assert server.statuses()[429] > 0
        for width in (0.25, 0.5):
            # The log is in ms.
            assert most_in_window(passed, width) <= 200 * (width + 0.01) + 21


def test_gunicorn_runs_as_many_calls_as_it_has_threads() -> None:
    """Further ones wait; none is refused."""
    with gunicorn(threads=7) as server:
        assert at_once(server.address, 28, rounds=3) == {200: 84}
        assert most_in_window(server.arrivals(), SERVICE_TIME) == 7


def test_pgbouncer_runs_as_many_statements_as_it_has_servers() -> None:
    """Further ones wait in it."""

    async def go(dsn: str) -> None:
        async def one() -> None:
            connection = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, prepare_threshold=None
            )
            async with connection:
                for _ in range(3):
                    await connection.execute(f"select work({SERVICE_TIME})")

        await asyncio.gather(*(one() for _ in range(15)))

    with pgbouncer(servers=5) as server:
        asyncio.run(go(server.address))
        assert len(server.arrivals()) == 45
        assert most_in_window(server.arrivals(), SERVICE_TIME) == 5


def test_servers_tell_when_calls_arrived() -> None:
    """In order, and not when they were answered."""
    with nginx_limit_conn(12) as server:
        at_once(server.address, 1, rounds=10, pause=0.05)
        gaps = [later - earlier for earlier, later in pairwise(server.arrivals())]
        assert len(gaps) == 9
        assert min(gaps) >= 0.05


@pytest.mark.parametrize(
    ("times", "width", "most"),
    [
        ([], 5.0, 0),
        ([1.0], 5.0, 1),
        ([0.0, 5.0, 10.0], 5.0, 1),  # its end is no longer within
        ([0.0, 4.9, 5.0], 5.0, 2),
        ([0.0, 3.0, 4.0, 4.5, 7.9, 8.1], 4.0, 3),
        ([2.0, 2.0, 2.0], 0.1, 3),
    ],
)
def test_the_most_calls_in_a_window(times: list[float], width: float, most: int) -> None:
    """Any window, not only those that begin at a whole second."""
    assert most_in_window(times, width) == most


def test_what_a_window_may_hold() -> None:
    """5 % more than the mean and two sigma of Poisson."""
    assert most_allowed(400.0, 5.0) == pytest.approx(2100 + 2 * 2000**0.5)
