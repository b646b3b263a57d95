"""What only psycopg's pool does: its own statistics, limits of its queue, checks, its options."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg
import pytest

from poolkit.drivers.base import PoolStatistics
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.errors import CallFailed, PoolTimedOut
from poolkit.lab.postgres import PostgresServer
from poolkit.targets.workload import SqlWork
from tests.drivers.test_contract import Call, opened, run, stamps

pytestmark = pytest.mark.lab

BRIEF = SqlWork(["select pg_sleep(0.02)"])


def test_our_waits_agree_with_the_pools_own_statistics(postgres: PostgresServer) -> None:
    """The sum of our waits is requests_wait_ms, which cuts each wait down to whole milliseconds."""

    async def go() -> tuple[list[Call], dict[str, int]]:
        async with opened(PsycopgPool(postgres.dsn, BRIEF, 2)) as pool:
            calls = await asyncio.gather(*(Call().go(pool) for _ in range(10)))
            return calls, pool._pool.get_stats()

    calls, own = run(go())
    waits = [1000 * (call.acquired - call.started) for call in calls]
    waited = [wait for wait in waits if wait > 5]
    assert own["requests_num"] == 10
    assert own["requests_queued"] == len(waited) == 8
    # Ours also holds the turns of the event loop before and after the queue.
    assert own["requests_wait_ms"] <= sum(waited)
    assert sum(waited) - own["requests_wait_ms"] <= len(waited) * 1.0 + 0.05 * sum(waited) + 20


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"pool_timeout": 0.1}, ["ok", "pool_timeout", "pool_timeout"]),
        ({"max_waiting": 1}, ["ok", "ok", "too_many_waiting"]),
    ],
)
def test_who_cannot_be_served_in_time_is_turned_away(
    postgres: PostgresServer, options: dict[str, Any], kinds: list[str]
) -> None:
    """Both limits are the pool's own doing: a pool timeout, not a rejection by the server."""

    async def go() -> list[Any]:
        work = SqlWork(["select pg_sleep(0.4)"])
        async with opened(PsycopgPool(postgres.dsn, work, 1, **options)) as pool:
            return await asyncio.gather(
                *(pool.call(stamps()) for _ in range(3)), return_exceptions=True
            )

    results = run(go())
    assert sorted(getattr(result, "kind", "ok") for result in results) == kinds
    assert all(result is None or isinstance(result, PoolTimedOut) for result in results)


def test_the_check_hides_dead_connections_but_they_are_counted(postgres: PostgresServer) -> None:
    """With a check no call fails after a restart; what it cost is in the hold and in the counts."""

    async def go() -> tuple[Call, PoolStatistics]:
        async with opened(PsycopgPool(postgres.dsn, SqlWork(["select 1"]), 2, check=True)) as pool:
            await asyncio.get_running_loop().run_in_executor(None, postgres.restart)
            return await Call().go(pool), pool.statistics()

    call, seen = run(go())
    assert seen.disconnects == 2
    # It held the first dead connection at once; finding a live one was not waiting for the pool.
    assert call.acquired - call.started < call.stamps.served_at - call.acquired


def test_options_of_the_dsn_are_kept(postgres: PostgresServer) -> None:
    """Read-only is added to what the DSN asks of the server, not put in its place."""
    seen: list[tuple[str, str]] = []

    async def look(connection: Any) -> None:
        cursor = await connection.execute(
            "select current_setting('work_mem'), current_setting('transaction_read_only')"
        )
        seen.append(await cursor.fetchone())

    async def go() -> None:
        dsn = f"{postgres.dsn}?options=-c%20work_mem%3D1234kB"
        async with opened(PsycopgPool(dsn, SqlWork([], function=look), 1)) as pool:
            await pool.call(stamps())

    run(go())
    assert seen == [("1234kB", "on")]


@pytest.mark.parametrize("ending", [None, LookupError(), psycopg.OperationalError()])
def test_a_call_that_outlived_its_time_leaves_no_cancellation_behind(
    postgres: PostgresServer, ending: Exception | None
) -> None:
    """A function may swallow it and end in its own way; the caller goes on to the next call."""

    async def deaf(_connection: Any) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.4
        while loop.time() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)
        if ending is not None:
            raise ending

    async def go() -> tuple[str, int, int]:
        pool = PsycopgPool(postgres.dsn, SqlWork([], function=deaf), 1, call_timeout=0.1)
        async with opened(pool):
            outcome = "ok"
            try:
                await pool.call(stamps())
            except CallFailed as failure:
                outcome = failure.outcome
            task = asyncio.current_task()
            assert task is not None
            return outcome, task.cancelling(), len(pool._holds.expired)

    assert run(go()) == ("ok" if ending is None else "timeout", 0, 0)
