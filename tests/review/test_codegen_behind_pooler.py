"""pools.py of every PostgreSQL driver, run through a real PgBouncer and without one."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.measure.preflight import check_first_call
from poolkit.records import Parameter, Pooler
from poolkit.review import codegen
from poolkit.targets import Target
from tests.pgbouncer import PgBouncer
from tests.recommend.examples import database_target
from tests.review.test_codegen import imported, recommended

pytestmark = pytest.mark.lab

SIZE = 4
DRIVERS = ("asyncpg", "sqlalchemy", "psycopg")
# Three server processes in turn: with caches on, each driver's statements are missed at once. (With
# two in turn asyncpg's call and its reset keep each client at the same one.)
MODES: dict[str, dict[str, Any] | None] = {
    "direct": None,
    "transaction": {"pool_size": 3, "server_round_robin": 1},
    "session": {"mode": "session", "pool_size": SIZE + 4},
}


async def fetched(driver: str, pool: Any, statement: str, number: int | None) -> Any:
    """The first value that a statement answers, read as a service would."""
    if driver == "asyncpg":
        async with pool.acquire() as connection:
            given = () if number is None else (number,)
            return await connection.fetchval(statement.replace(":n", "$1"), *given)
    if driver == "psycopg":
        async with pool.connection() as connection:
            values = None if number is None else {"n": number}
            cursor = await connection.execute(statement.replace(":n::int", "%(n)s::int"), values)
            return (await cursor.fetchone())[0]
    from sqlalchemy import text

    values = {} if number is None else {"n": number}
    async with pool.begin() as connection:
        statement = statement.replace(":n::int", "cast(:n as int)")
        return (await connection.execute(text(statement), values)).scalar_one()


async def used(driver: str, module: Any, calls: int) -> tuple[list[Any], str]:
    """What the calls of the opened pools answered, and the limit on statements in force."""
    async with module.open_pools() as pools, asyncio.timeout(20.0):
        pool = pools.orders_db
        # Often enough that psycopg prepares (after 5), and two statements that differ.
        numbers = [
            await asyncio.gather(
                *(fetched(driver, pool, f"select :n::int + {n % 2}", n) for n in range(SIZE * 2))
            )
            for _ in range(calls // (SIZE * 2))
        ]
        limit = await fetched(driver, pool, "show statement_timeout", None)
    return [number for some in numbers for number in some], limit


def generated(target: Target, pooler: Pooler | None, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The module, and the rows of its parameters by name."""
    made = recommended(target, SIZE, pooler=pooler)
    rows: dict[str, Parameter] = codegen.by_name(made.parameters)
    return imported(codegen.render([made], [target]), folder), rows


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", MODES)
def test_the_generated_code_works_where_it_was_measured(
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    driver: str,
    mode: str,
) -> None:
    """From the first call to pools.py: it logs in, and 400 calls of two statements are right."""
    target = database_target(driver=driver)
    settings = MODES[mode]
    with contextlib.ExitStack() as stack:
        dsn = postgres.dsn
        if settings is not None:
            dsn = stack.enter_context(PgBouncer(dsn, **settings)).dsn
        monkeypatch.setenv("ORDERS_DSN", dsn)
        pooler = asyncio.run(check_first_call(target)).facts.pooler
        assert pooler == (None if mode == "direct" else mode)
        module, rows = generated(target, pooler, tmp_path)
        numbers, limit = asyncio.run(used(driver, module, 400))
    assert numbers == [n + n % 2 for n in range(SIZE * 2)] * 50
    if mode == "direct":
        seconds = rows["statement_timeout"].value
        assert limit in (f"{seconds:g}s", f"{seconds * 1000:g}ms")
        assert not rows.keys() & {"statement_cache_size", "prepare_threshold", "server_settings"}
    else:
        assert limit == "0"  # the role's, which nobody has set here


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_role_carries_the_limit_that_the_code_names(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str
) -> None:
    """The SQL in the reason, carried out, puts the limit in force behind the pooler."""
    import asyncpg

    target = database_target(driver=driver)

    async def on_server(statement: str) -> None:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    module, rows = generated(target, "transaction", tmp_path)
    (row,) = (rows[name] for name in ("server_settings", "options") if name in rows)
    statement = row.because.partition("alter role NAME ")[2].partition(";")[0]
    assert statement.startswith("set statement_timeout = ")
    asyncio.run(on_server(f"alter role current_user {statement}"))
    try:
        with PgBouncer(postgres.dsn, pool_size=2) as pooler:
            monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
            _, limit = asyncio.run(used(driver, module, SIZE * 2))
    finally:
        asyncio.run(on_server("alter role current_user reset statement_timeout"))
    seconds = rows["statement_timeout"].value
    assert limit in (f"{seconds:g}s", f"{seconds * 1000:g}ms")


@pytest.mark.parametrize("driver", DRIVERS)
def test_code_that_knows_of_no_pooler_is_refused_by_it(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str
) -> None:
    """What the pooler's rows are for: the plain code cannot log in."""
    target = database_target(driver=driver)
    module, _ = generated(target, None, tmp_path)
    with PgBouncer(postgres.dsn, pool_size=2) as pooler:
        monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
        with pytest.raises(Exception, match=r"unsupported startup parameter|within|timeout|init"):
            asyncio.run(used(driver, module, SIZE * 2))
        assert "unsupported startup parameter" in pooler.log
