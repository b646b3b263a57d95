"""PgBouncer in transaction mode before the server: calls work, and read-only means read-only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.errors import CallFailed, Unreachable
from poolkit.lab.postgres import PostgresServer
from poolkit.measure.preflight import check_first_call
from poolkit.targets import Uniform
from poolkit.targets.workload import SqlWork
from tests.drivers.test_contract import opened, run, stamps
from tests.pgbouncer import PgBouncer
from tests.recommend.examples import database_target

pytestmark = pytest.mark.lab

# What an operator may have set so that clients which ask for it can log in: dropped in silence.
IGNORED = "default_transaction_read_only,options,extra_float_digits"


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    with PgBouncer(postgres.dsn, pool_size=2) as pooler:
        yield pooler


@pytest.fixture(params=[AsyncpgPool, SqlalchemyPool, PsycopgPool])
def driver(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param  # type: ignore[no-any-return]


async def outcomes(pool: Any, calls: int, *, together: bool = False) -> list[str]:
    async def one() -> str:
        try:
            await pool.call(stamps())
        except CallFailed as failure:
            return failure.kind
        return "ok"

    if together:
        return await asyncio.gather(*(one() for _ in range(calls)))
    return [await one() for _ in range(calls)]


def test_more_connections_than_the_pooler_has_to_the_server(
    pooler: PgBouncer, driver: Callable[..., Any]
) -> None:
    """Eight connections over two to the server, with parameters: no statement goes astray."""
    work = SqlWork(
        [
            "select abalance from pgbench_accounts where aid = :aid",
            "select 1 / (case when :aid::int = :aid::int then 1 else 0 end)",
        ],
        {"aid": Uniform(1, 1000)},
    )

    async def go() -> tuple[list[str], int]:
        async with opened(driver(pooler.dsn, work, 8)) as pool:
            kinds = await outcomes(pool, 300, together=True)
            return kinds, pool.statistics().connections_opened

    kinds, dials = run(go())
    assert kinds == ["ok"] * 300
    assert dials == 8


@pytest.mark.parametrize(
    "settings",
    [{}, {"ignore_startup_parameters": IGNORED}],
    ids=["startup parameter refused", "startup parameter ignored"],
)
def test_writes_are_refused_here_and_nowhere_else(
    postgres: PostgresServer, driver: Callable[..., Any], settings: dict[str, str]
) -> None:
    """Read-only binds our own transactions, and not the pooler's other clients."""
    write = "insert into pgbench_history (tid) values (1)"

    async def go(dsn: str) -> tuple[list[str], list[str]]:
        async with (
            opened(driver(dsn, SqlWork([write]), 2)) as reading,
            opened(driver(dsn, SqlWork([write], read_only=False), 2)) as writing,
        ):
            refused = await outcomes(reading, 4)
            return refused, await outcomes(writing, 4)

    with PgBouncer(postgres.dsn, pool_size=1, **settings) as pooler:
        refused, allowed = run(go(pooler.dsn))
    assert len(refused) == 4
    assert all(kind.startswith("ReadOnlyS") for kind in refused)
    assert allowed == ["ok"] * 4


def test_the_users_function_is_read_only_too(pooler: PgBouncer, driver: Callable[..., Any]) -> None:
    """What it gets is a connection in a read-only transaction."""

    async def write(connection: Any) -> None:
        statement: Any = "insert into pgbench_history (tid) values (1)"
        if driver is SqlalchemyPool:
            from sqlalchemy import text

            statement = text(statement)
        await connection.execute(statement)

    async def go() -> list[str]:
        async with opened(driver(pooler.dsn, SqlWork([], function=write), 1)) as pool:
            return await outcomes(pool, 1)

    (kind,) = run(go())
    assert kind.startswith("ReadOnlyS")


def test_the_servers_budget_is_not_the_poolers(
    pooler: PgBouncer, driver: Callable[..., Any]
) -> None:
    """Connections to a pooler are not the server's: no number is better than a wrong one."""

    async def go() -> int | None:
        async with opened(driver(pooler.dsn, SqlWork(["select 1"]), 1)) as pool:
            return await pool.spare_connections()  # type: ignore[no-any-return]

    assert run(go()) is None


@pytest.mark.parametrize("name", ["asyncpg", "sqlalchemy", "psycopg"])
@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({"mode": "transaction", "pool_size": 1}, "transaction"),
        ({"mode": "transaction", "pool_size": 4}, "transaction"),
        ({"mode": "transaction", "pool_size": 3, "server_round_robin": 1}, "transaction"),
        ({"mode": "session", "pool_size": 4}, "session"),
        ({"mode": "session", "pool_size": 2}, "session"),  # the second client waits
        ({"mode": "session", "pool_size": 1}, "unknown"),  # so does the first
        (None, None),
    ],
    ids=str,
)
def test_the_first_call_tells_how_the_pooler_lends(
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    settings: dict[str, Any] | None,
    mode: str | None,
) -> None:
    """Two clients that one server process serves at once; no pooler where there is none."""
    target = database_target(driver=name, max_size=4, read_only=False)
    with contextlib.ExitStack() as stack:
        dsn = postgres.dsn
        if settings is not None:
            dsn = stack.enter_context(PgBouncer(dsn, **settings)).dsn
        monkeypatch.setenv("ORDERS_DSN", dsn)
        began = time.perf_counter()
        assert run(check_first_call(target)).facts.pooler == mode
        assert time.perf_counter() - began < 8.0


@pytest.mark.parametrize("name", ["sqlalchemy", "psycopg"])
def test_a_pooler_that_lends_for_a_statement_has_no_transactions(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Refused before any load, with the setting to change."""
    with PgBouncer(postgres.dsn, mode="statement") as pooler:
        monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
        with pytest.raises(Unreachable) as caught:
            run(check_first_call(database_target(driver=name)))
    assert "no transactions" in caught.value.cause
    assert "pool_mode = transaction" in caught.value.remedy


@pytest.mark.parametrize("name", ["asyncpg", "psycopg"])
def test_a_dsn_with_settings_names_the_pooler_that_refuses_them(
    pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What PgBouncer does not take is named, with where it belongs."""
    options = (
        "statement_timeout=1000" if name == "asyncpg" else "options=-c%20statement_timeout%3D9"
    )
    monkeypatch.setenv("ORDERS_DSN", f"{pooler.dsn}?{options}")
    with pytest.raises(Unreachable) as caught:
        run(check_first_call(database_target(driver=name)))
    assert "a pooler before the database" in caught.value.cause
    assert "alter role" in caught.value.remedy


@pytest.mark.parametrize("name", ["asyncpg", "sqlalchemy", "psycopg"])
def test_preflight_lets_a_pool_larger_than_the_server_pass(
    pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """150 connections to a pooler before a server of 100 are what a pooler is for."""
    monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
    assert run(check_first_call(database_target(driver=name, max_size=150))).free is None


def test_a_full_pooler_says_so(postgres: PostgresServer, driver: Callable[..., Any]) -> None:
    """More connections than max_client_conn: refused before any load, with what to change."""
    with PgBouncer(postgres.dsn, max_client_conn=3) as pooler, pytest.raises(Unreachable) as caught:
        run(driver(pooler.dsn, SqlWork(["select 1"]), 6).open())
    assert "no free connection" in caught.value.cause
    assert "max_size" in caught.value.remedy


def test_a_pooler_that_gives_up_waiting_has_shed_the_call(
    postgres: PostgresServer, driver: Callable[..., Any]
) -> None:
    """query_wait_timeout: the pooler had no server connection in time, which is a rejection."""
    work = SqlWork(["select pg_sleep(2.2)"])

    async def go(dsn: str) -> list[str]:
        async with opened(driver(dsn, work, 2)) as pool:
            return await outcomes(pool, 2, together=True)

    with PgBouncer(postgres.dsn, pool_size=1, query_wait_timeout=1) as pooler:
        kinds = run(go(pooler.dsn))
    assert sorted(kinds) == ["ok", "query_wait_timeout"]
