"""A pool of a generated pools.py stands behind a gate: waits there are the pool's waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import watch
from poolkit.review import codegen
from tests.monitor.beside import run, until
from tests.monitor.subjects import half_server
from tests.recommend.examples import database_target, http_target
from tests.review.test_codegen import imported, recommended


@pytest.mark.parametrize("driver", ["aiohttp", "httpx"])
def test_waits_at_the_gate_are_counted_once(driver: str, tmp_path: Path) -> None:
    """A gate of 1: one holds, two wait, and the place is the caller's, not that of pools.py."""
    # 10 times a response target of 20 ms: callers are told no after 200 ms.
    target = http_target(driver=driver, response_p99=0.020)
    module = imported(codegen.render([recommended(target, size=1)], [target]), tmp_path)

    async def scenario() -> None:
        async with half_server() as url, module.orders_api_pool() as pool:
            is_free = asyncio.Event()

            async def caller(path: str) -> None:
                opened = pool.request if driver == "aiohttp" else pool.stream
                async with opened("GET", f"{url}{path}"):
                    await is_free.wait()

            with watch(pool, name="orders") as watching:
                tasks = [asyncio.create_task(caller("/half"), name=f"c{n}") for n in range(3)]
                await until(lambda: len(watching.snapshot().holders) == 1)
                seen = watching.snapshot()
                assert (seen.pool_size, seen.in_use, seen.waiting) == (1, 1, 2)
                assert [waiter.task for waiter in seen.waiters] == ["c1", "c2"]
                assert all(waiter.where.endswith(" in caller") for waiter in seen.waiters)
                await until(lambda: watching.snapshot().timeouts == 2)
                assert watching.snapshot().waiting == 0
                is_free.set()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert [isinstance(result, TimeoutError) for result in results] == [
                    False,
                    True,
                    True,
                ]
                after = watching.snapshot()
                assert (after.holders, after.waiters) == ((), ())
                assert [place.calls for place in after.places if place.calls] == [1]
            assert "slot" not in vars(pool.gate)

    run(scenario())


def test_a_place_that_asks_for_no_connection_leaves_nothing(tmp_path: Path) -> None:
    """Through the gate and out again, with an error or without: nobody waits afterwards."""
    target = http_target()
    module = imported(codegen.render([recommended(target, size=1)], [target]), tmp_path)

    async def scenario() -> None:
        async with module.orders_api_pool() as pool:
            with watch(pool) as watching:
                async with pool.gate.slot():
                    assert watching.snapshot().waiting == 1  # still on its way to a connection
                with pytest.raises(ZeroDivisionError):
                    async with pool.gate.slot():
                        raise ZeroDivisionError
                assert watching.snapshot().waiting == 0

    run(scenario())


_TAKE = {
    "asyncpg": lambda pool: pool.acquire(),
    "sqlalchemy": lambda pool: pool.connect(),
    "psycopg": lambda pool: pool.connection(),
}


@pytest.mark.lab
@pytest.mark.parametrize("driver", list(_TAKE))
def test_calls_behind_the_gate_of_a_database_are_booked(
    driver: str, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate of 1, dialled or not: one holds and one waits; twice held is twice counted."""
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    target = database_target(driver=driver, gate=True)
    module = imported(codegen.render([recommended(target, size=1)], [target]), tmp_path)

    async def scenario() -> None:
        async with module.orders_db_gated() as gated:
            with watch(gated, name="orders") as watching:

                async def caller(end: asyncio.Event) -> None:
                    async with gated.gate.slot(), _TAKE[driver](gated.pool):
                        await end.wait()

                for _ in range(2):  # the first dials where the pool does so when it must
                    end = asyncio.Event()
                    tasks = [asyncio.create_task(caller(end), name=f"c{n}") for n in range(2)]
                    await until(lambda: bool(watching.snapshot().holders))
                    await asyncio.sleep(0.02)
                    seen = watching.snapshot()
                    assert [holder.task for holder in seen.holders] == ["c0"]
                    assert [waiter.task for waiter in seen.waiters] == ["c1"]
                    assert (seen.in_use, seen.second_asks) == (1, 0)
                    end.set()
                    await asyncio.gather(*tasks)
                after = watching.snapshot()
                assert (after.holders, after.waiters, after.in_use) == ((), (), 0)
                (place,) = after.places
                assert (place.calls, place.where.endswith(" in caller")) == (4, True)
                assert place.longest >= 0.02

    run(scenario())
