"""What only SQLAlchemy's engine does: overflow, pings, recycling, the order of handing out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from poolkit.drivers.base import PoolStatistics
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.errors import CallFailed, PoolTimedOut
from poolkit.lab.postgres import PostgresServer
from poolkit.targets.workload import SqlWork
from tests.drivers.test_contract import Call, opened, run, stamps, until

pytestmark = pytest.mark.lab

BRIEF = SqlWork(["select pg_sleep(0.01)"])


async def bursts(pool: SqlalchemyPool, *, callers: int, count: int) -> PoolStatistics:
    """`count` times `callers` calls at once, with a quiet moment after each."""
    async with opened(pool):
        for _ in range(count):
            await asyncio.gather(*(pool.call(stamps()) for _ in range(callers)))
        return pool.statistics()


@pytest.mark.parametrize(
    ("overflow", "dials"), [(0, 4), (1, 3 + 5), (2, 2 + 2 * 5), (3, 1 + 3 * 5)]
)
def test_overflow_is_dialled_again_with_every_burst(
    postgres: PostgresServer, overflow: int, dials: int
) -> None:
    """Four connections in all, five bursts of four calls: what is overflow is closed after each."""
    pool = SqlalchemyPool(postgres.dsn, BRIEF, 4, max_overflow=overflow)
    seen = run(bursts(pool, callers=4, count=5))
    assert seen.connections_opened == dials
    assert (seen.pool_size, seen.in_use, seen.idle) == (4, 0, 4 - overflow)


def test_with_overflow_the_total_still_holds(postgres: PostgresServer) -> None:
    """pool_size counts all connections: of seven calls on 2 + 2, four hold and three wait."""

    async def go() -> PoolStatistics:
        work = SqlWork(["select pg_sleep(0.2)"])
        async with opened(SqlalchemyPool(postgres.dsn, work, 4, max_overflow=2)) as pool:
            calls = [asyncio.create_task(pool.call(stamps())) for _ in range(7)]
            busy = await until(pool, in_use=4, waiting=3)
            await asyncio.gather(*calls)
            return busy

    assert run(go()).idle == 0


@pytest.mark.parametrize("overflow", [-1, 2, 3])
def test_some_connections_must_be_kept(overflow: int) -> None:
    """All overflow would be no pool; the message names the rule and the value."""
    with pytest.raises(ValueError, match=rf"max_overflow must be 0 to .* \(1\), got {overflow}"):
        SqlalchemyPool("postgresql://127.0.0.1/d", BRIEF, 2, max_overflow=overflow)


def test_an_overflow_dial_belongs_to_the_hold(postgres: PostgresServer) -> None:
    """The call that dials holds its slot before, and notes when the connection is up."""

    async def go() -> list[Call]:
        async with opened(SqlalchemyPool(postgres.dsn, BRIEF, 2, max_overflow=1)) as pool:
            return await asyncio.gather(*(Call().go(pool) for _ in range(2)))

    kept, dialled = sorted(
        run(go()), key=lambda call: call.stamps.dialled_at == call.stamps.dialled_at
    )
    assert kept.stamps.dialled_at != kept.stamps.dialled_at
    assert dialled.acquired < dialled.stamps.dialled_at < dialled.stamps.served_at
    # Nobody was in its way: what it waited for is the dial, which is no wait for the pool.
    assert dialled.acquired - dialled.started < dialled.stamps.dialled_at - dialled.acquired


def test_a_recycled_connection_is_a_dial_in_its_callers_hold(postgres: PostgresServer) -> None:
    """A connection older than pool_recycle is replaced when it is handed out."""

    async def go() -> tuple[Call, PoolStatistics]:
        async with opened(SqlalchemyPool(postgres.dsn, BRIEF, 1, pool_recycle=0.2)) as pool:
            await asyncio.sleep(0.25)
            return await Call().go(pool), pool.statistics()

    call, seen = run(go())
    assert call.acquired < call.stamps.dialled_at < call.stamps.served_at
    assert (seen.connections_opened, seen.disconnects) == (2, 0)


def test_the_ping_hides_a_dead_connection_but_it_is_counted(postgres: PostgresServer) -> None:
    """With pool_pre_ping no call fails after a restart; the statistics tell that one dialled."""

    async def go() -> PoolStatistics:
        work = SqlWork(["select 1"])
        async with opened(SqlalchemyPool(postgres.dsn, work, 2, pool_pre_ping=True)) as pool:
            await pool.call(stamps())
            await asyncio.get_running_loop().run_in_executor(None, postgres.restart)
            for _ in range(4):
                await pool.call(stamps())
            return pool.statistics()

    seen = run(go())
    assert seen.disconnects >= 1
    assert seen.connections_opened >= 3


def test_who_waits_too_long_is_turned_away(postgres: PostgresServer) -> None:
    """pool_timeout limits the wait, and is told apart from a slow call."""

    async def go() -> list[Any]:
        work = SqlWork(["select pg_sleep(0.3)"])
        async with opened(SqlalchemyPool(postgres.dsn, work, 1, pool_timeout=0.05)) as pool:
            return await asyncio.gather(
                *(pool.call(stamps()) for _ in range(2)), return_exceptions=True
            )

    served, refused = run(go())
    assert served is None
    assert isinstance(refused, PoolTimedOut)
    assert refused.kind == "pool_timeout"


@pytest.mark.parametrize(("lifo", "connections"), [(True, 1), (False, 3)])
def test_the_order_of_handing_out(postgres: PostgresServer, lifo: bool, connections: int) -> None:
    """First in first out uses each in turn; last in first out lets the others go idle."""
    seen: set[int] = set()

    async def note(connection: Any) -> None:
        raw = await connection.get_raw_connection()
        seen.add(raw.driver_connection.get_server_pid())

    async def go() -> None:
        work = SqlWork([], function=note)
        async with opened(SqlalchemyPool(postgres.dsn, work, 3, pool_use_lifo=lifo)) as pool:
            for _ in range(6):
                await pool.call(stamps())

    run(go())
    assert len(seen) == connections


def test_the_wait_ends_when_the_call_before_has_rolled_back(postgres: PostgresServer) -> None:
    """Release is part of the hold: the next call acquires after the end of the transaction."""

    async def go() -> list[Call]:
        async with opened(SqlalchemyPool(postgres.dsn, BRIEF, 1)) as pool:
            return await asyncio.gather(*(Call().go(pool) for _ in range(3)))

    first, second, third = sorted(run(go()), key=lambda call: call.acquired)
    for early, late in ((first, second), (second, third)):
        assert early.stamps.served_at < late.acquired
        assert late.acquired - late.started > 0.009


def test_nothing_that_is_printed_holds_the_password(postgres: PostgresServer) -> None:
    """Neither the engine's own text, nor the pool's, nor a failure's."""
    password = postgres.dsn.split(":")[2].partition("@")[0]

    async def go() -> str:
        async with opened(SqlalchemyPool(postgres.dsn, SqlWork(["select no_such"]), 1)) as pool:
            with pytest.raises(CallFailed) as caught:
                await pool.call(stamps())
            cause = caught.value.__cause__
            return f"{pool._engine!r} {pool._engine.url!r} {caught.value} {cause}"

    text = run(go())
    assert "UndefinedColumnError" in text
    assert password not in text
