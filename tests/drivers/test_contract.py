"""One contract for every pool: the in-memory one and each real adapter on a real server."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.base import Pool, PoolStatistics
from poolkit.drivers.fleet import FleetPool, GatedPool
from poolkit.drivers.httpx import HttpxPool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.redis import RedisPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.errors import CallFailed, CallRejected, CallTimedOut, Unreachable
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.stamps import CallStamps
from poolkit.targets.workload import HttpWork, RedisWork, SqlWork
from tests.memory_pool import MemoryPool
from tests.redis_server import RedisServer

T = TypeVar("T")
HOLD = 0.05  # s that every call of the contract holds its connection, at least
SLOW_STATEMENT = f"select pg_sleep({HOLD})"

MakePool = Callable[[int], Pool]


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=100, service_time=HOLD)) as server:
        yield server


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


def memory(_: pytest.FixtureRequest) -> MakePool:
    return lambda size: MemoryPool(size, iter(lambda: HOLD, None))


def aiohttp(request: pytest.FixtureRequest) -> MakePool:
    url = request.getfixturevalue("upstream").url
    return lambda size: AiohttpPool(HttpWork("GET", url), size)


def httpx(request: pytest.FixtureRequest) -> MakePool:
    url = request.getfixturevalue("upstream").url
    return lambda size: HttpxPool(HttpWork("GET", url), size)


def httpx2(request: pytest.FixtureRequest) -> MakePool:
    url = request.getfixturevalue("upstream").url
    return lambda size: HttpxPool(HttpWork("GET", url), size, library="httpx2")


def inferring_httpx(request: pytest.FixtureRequest) -> MakePool:
    url = request.getfixturevalue("upstream").url
    return lambda size: HttpxPool(HttpWork("GET", url), size, infers_wait=True)


def asyncpg(request: pytest.FixtureRequest) -> MakePool:
    dsn = request.getfixturevalue("postgres").dsn
    return lambda size: AsyncpgPool(dsn, SqlWork([SLOW_STATEMENT]), size)


def sqlalchemy(request: pytest.FixtureRequest) -> MakePool:
    dsn = request.getfixturevalue("postgres").dsn
    return lambda size: SqlalchemyPool(dsn, SqlWork([SLOW_STATEMENT]), size)


def psycopg(request: pytest.FixtureRequest) -> MakePool:
    dsn = request.getfixturevalue("postgres").dsn
    return lambda size: PsycopgPool(dsn, SqlWork([SLOW_STATEMENT]), size)


def redis(request: pytest.FixtureRequest) -> MakePool:
    url = request.getfixturevalue("redis_url")
    work = RedisWork([f"BLPOP nothing {HOLD}"], read_only=False)
    return lambda size: RedisPool(url, work, size)


def gated(request: pytest.FixtureRequest) -> MakePool:
    make = aiohttp(request)
    return lambda size: GatedPool(make(size), size)


def fleet(request: pytest.FixtureRequest) -> MakePool:
    make = aiohttp(request)
    return lambda size: FleetPool([make(size)], seed=1)


@pytest.fixture(
    params=[
        memory,
        pytest.param(aiohttp, marks=pytest.mark.lab),
        pytest.param(httpx, marks=pytest.mark.lab),
        pytest.param(httpx2, marks=pytest.mark.lab),
        pytest.param(inferring_httpx, marks=pytest.mark.lab, id="inferring-httpx"),
        pytest.param(asyncpg, marks=pytest.mark.lab),
        pytest.param(sqlalchemy, marks=pytest.mark.lab),
        pytest.param(psycopg, marks=pytest.mark.lab),
        pytest.param(redis, marks=pytest.mark.lab),
        pytest.param(gated, marks=pytest.mark.lab, id="gated-aiohttp"),
        pytest.param(fleet, marks=pytest.mark.lab, id="fleet-aiohttp"),
    ]
)
def make_pool(request: pytest.FixtureRequest) -> MakePool:
    return request.param(request)  # type: ignore[no-any-return]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60.0))


def stamps() -> CallStamps:
    return CallStamps(time.perf_counter, 0.0)


class Call:
    """The moments of one call."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.stamps = stamps()
        self.released = 0.0

    @property
    def acquired(self) -> float:
        return self.stamps.acquired_at

    async def go(self, pool: Pool) -> Call:
        await pool.call(self.stamps)
        self.released = time.perf_counter()
        return self


class opened:  # noqa: N801 - reads as a verb: async with opened(pool)
    """An open pool that is closed again."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def __aenter__(self) -> Pool:
        await self.pool.open()
        return self.pool

    async def __aexit__(self, *_: object) -> None:
        await self.pool.close()


async def until(pool: Pool, *, in_use: int, waiting: int) -> PoolStatistics:
    """The pool's figures once so many calls hold and wait."""
    while True:
        seen = pool.statistics()
        if (seen.in_use, seen.waiting) == (in_use, waiting):
            return seen
        await asyncio.sleep(0.001)


class TestContract:
    """What the generator relies on, of every pool."""

    def test_acquired_is_called_within_the_call(self, make_pool: MakePool) -> None:
        """started <= acquired <= served <= released, and the connection is held all the while."""

        async def go() -> Call:
            async with opened(make_pool(1)) as pool:
                return await Call().go(pool)

        call = run(go())
        assert call.started <= call.acquired <= call.stamps.served_at <= call.released
        assert call.released - call.acquired >= HOLD * 0.95

    def test_only_a_call_that_had_to_dial_notes_a_dial(self, make_pool: MakePool) -> None:
        """acquired <= dialled <= served where a connection was made; later calls note none."""

        async def go() -> tuple[Call, Call]:
            async with opened(make_pool(1)) as pool:
                return await Call().go(pool), await Call().go(pool)

        first, second = run(go())
        if not math.isnan(first.stamps.dialled_at):
            assert first.acquired <= first.stamps.dialled_at <= first.stamps.served_at
        assert math.isnan(second.stamps.dialled_at)

    @pytest.mark.parametrize("size", [1, 2])
    def test_the_pool_never_holds_more_than_its_size(self, make_pool: MakePool, size: int) -> None:
        """2 * size + 1 calls at once: size of them hold, the rest wait and are then served."""
        calls = [Call() for _ in range(2 * size + 1)]

        async def go() -> int:
            async with opened(make_pool(size)) as pool:
                tasks = [asyncio.create_task(call.go(pool)) for call in calls]
                await asyncio.gather(*tasks)
                return pool.statistics().connections_opened

        dialled = run(go())
        assert dialled == size
        begins = sorted(call.acquired for call in calls)
        # The n-th call can only hold once n - size others have been served.
        assert begins[size] - begins[0] >= HOLD * 0.9
        assert begins[2 * size] - begins[0] >= 2 * HOLD * 0.9

    def test_a_full_pool_counts_who_holds_and_who_waits(self, make_pool: MakePool) -> None:
        """With 3 calls on 2 connections, 2 are in use and 1 waits; afterwards nobody does."""

        async def go() -> tuple[Any, Any]:
            async with opened(make_pool(2)) as pool:
                tasks = [asyncio.create_task(Call().go(pool)) for _ in range(3)]
                busy = await until(pool, in_use=2, waiting=1)
                await asyncio.gather(*tasks)
                return busy, pool.statistics()

        busy, after = run(go())
        assert busy.pool_size == 2
        assert (after.in_use, after.waiting) == (0, 0)
        assert after.idle == 2

    def test_connections_are_reused(self, make_pool: MakePool) -> None:
        """Calls one after the other dial once."""

        async def go() -> int:
            async with opened(make_pool(1)) as pool:
                for _ in range(4):
                    await Call().go(pool)
                return pool.statistics().connections_opened

        assert run(go()) == 1

    def test_a_cancelled_waiter_costs_no_connection(self, make_pool: MakePool) -> None:
        """Cancelling a call that waits leaves the pool as large as it was."""

        async def go() -> None:
            async with opened(make_pool(1)) as pool:
                first = asyncio.create_task(Call().go(pool))
                await asyncio.sleep(HOLD / 5)
                second = asyncio.create_task(Call().go(pool))
                await asyncio.sleep(HOLD / 5)
                second.cancel()
                await first
                await Call().go(pool)
                assert pool.statistics().waiting == 0

        run(go())

    def test_a_cancelled_holder_gives_its_place_back(self, make_pool: MakePool) -> None:
        """Cancelling a call that holds frees its place for the next one."""

        async def go() -> None:
            async with opened(make_pool(1)) as pool:
                first = asyncio.create_task(Call().go(pool))
                await asyncio.sleep(HOLD / 3)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                await Call().go(pool)

        run(go())

    def test_closing_twice_is_harmless(self, make_pool: MakePool) -> None:
        """`close` may be called by whoever is last."""

        async def go() -> None:
            pool = make_pool(1)
            await pool.open()
            await Call().go(pool)
            await pool.close()
            await pool.close()

        run(go())


async def failure_of(pool: Pool) -> CallFailed:
    async with opened(pool):
        with pytest.raises(CallFailed) as caught:
            await pool.call(stamps())
    return caught.value


@pytest.mark.lab
@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (500, "http_500", CallFailed),
        (404, "http_404", CallFailed),
        (301, "http_301", CallFailed),
        (429, "http_429", CallRejected),
        (503, "http_503", CallRejected),
    ],
)
def test_http_statuses_are_outcomes(status: int, kind: str, error: type[CallFailed]) -> None:
    """429 and 503 mean that the server shed the call, every other status from 300 on an error."""
    with HttpUpstream(Workers(workers=1, service_time=0.001), status=status) as server:
        failure = run(failure_of(AiohttpPool(HttpWork("GET", server.url), 1)))
    assert type(failure) is error
    assert failure.kind == kind


@pytest.mark.lab
def test_a_dead_http_server_is_a_refused_connection() -> None:
    """Nobody listens: an outcome with a stable word, not a library's exception."""
    with HttpUpstream(Workers(workers=1, service_time=0.001)) as server:
        url = server.url
    assert run(failure_of(AiohttpPool(HttpWork("GET", url), 1))).kind == "connection_refused"


def test_an_unknown_host_is_named() -> None:
    """A host name that does not resolve is told apart from one that refuses."""
    pool = AiohttpPool(HttpWork("GET", "http://no-such-host.invalid/"), 1)
    assert run(failure_of(pool)).kind == "host_not_found"


@pytest.mark.lab
def test_slow_calls_and_slow_pools_are_told_apart(upstream: HttpUpstream) -> None:
    """A call cut off while it holds is a timeout; one cut off while it waits is a pool timeout."""

    async def outcomes(pool: Pool, calls: int) -> list[str]:
        async with opened(pool):
            results = await asyncio.gather(
                *(pool.call(stamps()) for _ in range(calls)), return_exceptions=True
            )
        return sorted(getattr(result, "outcome", "ok") for result in results)

    slow_pool = AiohttpPool(HttpWork("GET", upstream.url), 1, pool_timeout=HOLD / 4)
    assert run(outcomes(slow_pool, 2)) == ["ok", "pool_timeout"]
    slow_call = AiohttpPool(HttpWork("GET", upstream.url), 1, call_timeout=HOLD / 2)
    assert run(outcomes(slow_call, 1)) == ["timeout"]


@pytest.mark.lab
def test_a_slow_statement_times_out(postgres: PostgresServer) -> None:
    """A statement that takes longer than the limit is a timeout, and the pool goes on."""

    async def go() -> CallFailed:
        return await failure_of(
            AsyncpgPool(postgres.dsn, SqlWork(["select pg_sleep(5)"]), 1, call_timeout=0.2)
        )

    assert isinstance(run(go()), CallTimedOut)


@pytest.mark.lab
def test_transactions_are_read_only(postgres: PostgresServer) -> None:
    """A statement that writes is refused by the server, call after call (the reset keeps it so)."""

    async def go() -> list[str]:
        pool = AsyncpgPool(postgres.dsn, SqlWork(["delete from pgbench_history"]), 1)
        kinds = []
        async with opened(pool):
            for _ in range(2):
                with pytest.raises(CallFailed) as caught:
                    await pool.call(stamps())
                kinds.append(caught.value.kind)
        return kinds

    assert run(go()) == ["ReadOnlySQLTransactionError"] * 2


@pytest.mark.lab
def test_the_reset_is_part_of_the_hold(postgres: PostgresServer) -> None:
    """A waiter gets the connection only after the reset query of the call before it."""

    async def go() -> tuple[Call, Call]:
        async with opened(AsyncpgPool(postgres.dsn, SqlWork(["select 1"]), 1)) as pool:
            first, second = Call(), Call()
            await asyncio.gather(first.go(pool), second.go(pool))
            return first, second

    first, second = run(go())
    early, late = sorted((first, second), key=lambda call: call.acquired)
    assert late.acquired >= early.released - 0.005


@pytest.mark.lab
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda dsn: dsn.replace("@", "x@", 1), "refused the user or password"),
        (lambda dsn: dsn.rsplit("/", 1)[0] + "/nowhere", "no such database"),
        (lambda _: "postgresql://u:p@127.0.0.1:1/d", "refused the connection"),
        (lambda _: "postgresql://u:p@no-such-host.invalid/d", "cannot be reached"),
        (lambda _: "mysql://u:p@127.0.0.1/d", "cannot be used"),
    ],
    ids=["wrong password", "no such database", "nobody listens", "unknown host", "no DSN"],
)
def test_a_database_that_cannot_be_opened_says_why(
    postgres: PostgresServer, change: Callable[[str], str], cause: str
) -> None:
    """Each way in which opening fails has a cause and a remedy, without the password."""
    dsn = change(postgres.dsn)
    with pytest.raises(Unreachable) as caught:
        run(AsyncpgPool(dsn, SqlWork(["select 1"]), 1).open())
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert dsn not in str(caught.value)


@pytest.mark.lab
def test_the_connection_budget_counts_what_is_in_use(postgres: PostgresServer) -> None:
    """Every connection that is open leaves one less to spare."""

    async def go() -> tuple[int, int]:
        async with opened(AsyncpgPool(postgres.dsn, SqlWork(["select 1"]), 1)) as one:
            assert isinstance(one, AsyncpgPool)
            before = await one.spare_connections()
            async with opened(AsyncpgPool(postgres.dsn, SqlWork(["select 1"]), 5)):
                return before, await one.spare_connections()

    before, during = run(go())
    assert before - during == 5


@pytest.mark.lab
def test_a_dial_is_part_of_the_hold_not_of_the_wait(upstream: HttpUpstream) -> None:
    """The first call over a new connection notes its dial after it holds its slot."""

    async def go() -> Call:
        async with opened(AiohttpPool(HttpWork("GET", upstream.url), 1)) as pool:
            return await Call().go(pool)

    call = run(go())
    assert call.acquired <= call.stamps.dialled_at
