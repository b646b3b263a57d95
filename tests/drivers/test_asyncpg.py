"""What only asyncpg's pool does: callbacks, the reset, the statement cache."""

from __future__ import annotations

import asyncio
import math
import statistics
from typing import Any

import asyncpg
import pytest

from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.errors import CallFailed, CallTimedOut, Unreachable
from poolkit.lab.postgres import PostgresServer
from poolkit.load.brakes import NO_CONNECTION
from poolkit.targets.workload import SqlWork
from tests.drivers.test_contract import Call, opened, run, stamps

pytestmark = pytest.mark.lab

SELECT = SqlWork(["select 1"])


def test_callbacks_run_where_the_pool_runs_them(postgres: PostgresServer) -> None:
    """`init` once for each connection, `setup` once for each call."""
    seen: list[str] = []

    async def init(_connection: Any) -> None:
        seen.append("init")

    async def setup(_connection: Any) -> None:
        seen.append("setup")

    async def go() -> None:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 2, init=init, setup=setup)) as pool:
            for _ in range(3):
                await pool.call(stamps())

    run(go())
    assert seen == ["init", "init", "setup", "setup", "setup"]


def test_the_setup_belongs_to_the_hold(postgres: PostgresServer) -> None:
    """The connection is taken while it runs; with nobody in its way the call did not wait."""

    async def setup(connection: Any) -> None:
        await connection.execute("select pg_sleep(0.5)")

    async def go() -> Call:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 1, setup=setup)) as pool:
            return await Call().go(pool)

    call = run(go())
    assert call.acquired - call.started < 0.5 <= call.stamps.served_at - call.acquired


def test_a_callback_that_raises_is_named(postgres: PostgresServer) -> None:
    """In `setup` it is the outcome of the call; in `init` the pool cannot be opened."""

    async def broken(_connection: Any) -> None:
        raise LookupError("secret detail")

    async def call() -> None:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 1, setup=broken)) as pool:
            await pool.call(stamps())

    with pytest.raises(CallFailed) as failed:
        run(call())
    assert failed.value.kind == "setup_LookupError"
    with pytest.raises(Unreachable) as refused:
        run(AsyncpgPool(postgres.dsn, SELECT, 1, init=broken).open())
    assert "init_LookupError" in refused.value.cause
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("reset", "kept"), [(True, "4MB"), (False, "5MB")])
def test_the_reset_is_optional(postgres: PostgresServer, reset: bool, kept: str) -> None:
    """Without it what a call set in its session is there for the next one."""
    seen: list[str] = []

    async def work(connection: Any) -> None:
        seen.append(await connection.fetchval("select current_setting('work_mem')"))
        await connection.execute("set work_mem = '5MB'")

    async def go() -> None:
        pool = AsyncpgPool(postgres.dsn, SqlWork([], function=work), 1, reset=reset)
        async with opened(pool):
            for _ in range(2):
                await pool.call(stamps())

    run(go())
    assert seen == ["4MB", kept]


def test_what_the_reset_costs_is_in_the_release(postgres: PostgresServer) -> None:
    """Its round trip lies between served and released, and is gone without it."""

    async def go(reset: bool) -> float:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 1, reset=reset)) as pool:
            calls = [await Call().go(pool) for _ in range(100)]
            return statistics.median(call.released - call.stamps.served_at for call in calls)

    # Without it nothing is sent at all: a ratio that no other load on this machine turns round.
    assert run(go(reset=True)) > 1.5 * run(go(reset=False))


@pytest.mark.parametrize(("size", "prepared"), [(None, 1), (0, 0), (10, 1)])
def test_the_statement_cache(postgres: PostgresServer, size: int | None, prepared: int) -> None:
    """A size of 0 keeps no statement on the connection; None is asyncpg's own default."""
    seen: list[int] = []

    async def count(connection: Any) -> None:
        await connection.fetch("select 2")
        seen.append(
            len([s for s in await connection.fetch("table pg_prepared_statements")
                 if s["statement"] == "select 2"])
        )  # fmt: skip

    async def go() -> None:
        counting = SqlWork([], function=count)
        async with opened(
            AsyncpgPool(postgres.dsn, counting, 1, statement_cache_size=size)
        ) as pool:
            await pool.call(stamps())

    run(go())
    assert seen == [prepared]


def test_connections_that_the_pool_restores_are_nobodys_dials(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed dial asyncpg dials on in a task that inherits the caller's context.

    A closed-loop caller uses its stamps for the next call as well, which is not to be told of it.
    """
    dial, refused = asyncpg.connect, iter([True])

    async def refuses_once(*arguments: Any, **options: Any) -> Any:
        if next(refused, False):
            raise ConnectionRefusedError
        await asyncio.sleep(0.02)
        return await dial(*arguments, **options)

    async def go() -> tuple[bool, float]:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 1)) as pool:
            assert isinstance(pool, AsyncpgPool)
            monkeypatch.setattr(asyncpg, "connect", refuses_once)
            pool._pool._holders[0].terminate()
            pool._pool._maintenance_task.cancel()  # so that the call is the first to dial
            pool._pool._maintenance_task = None
            shared = stamps()
            with pytest.raises(CallFailed, match="connection_refused"):
                await pool.call(shared)
            shared.clear()
            async with asyncio.timeout(10.0):  # the pool's own task dials
                while pool.statistics().connections_opened < 2:
                    await asyncio.sleep(0.01)
            return shared.has_acquired, shared.dialled_at

    has_acquired, dialled_at = run(go())
    assert not has_acquired
    assert math.isnan(dialled_at)


def test_a_dial_that_nobody_answers_is_no_connection(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server behind a black hole trips the brake on refused connections."""

    async def silent(*_: Any, **__: Any) -> Any:
        raise TimeoutError

    async def go() -> CallFailed:
        async with opened(AsyncpgPool(postgres.dsn, SELECT, 1, min_size=0)) as pool:
            monkeypatch.setattr(asyncpg, "connect", silent)
            with pytest.raises(CallTimedOut) as caught:
                await pool.call(stamps())
            return caught.value

    assert run(go()).kind == "dial_timeout"
    assert "dial_timeout" in NO_CONNECTION
