"""SQLAlchemy and psycopg: where their parameters come from, and the code that sets them, run."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.recommend import parameters
from poolkit.records import Parameter, Trial
from poolkit.review import codegen
from tests.recommend.examples import database_target, sizing, times, trial, verifying_trial
from tests.review.test_codegen import imported, recommended

DRIVERS = ("sqlalchemy", "psycopg")


def rows(driver: str, measured: Trial | None = None, **changes: Any) -> dict[str, Parameter]:
    found = parameters(database_target(driver=driver), sizing(**changes), measured)
    return {row.name: row for row in found}


@pytest.mark.parametrize(
    ("driver", "total"), [("sqlalchemy", "pool_size"), ("psycopg", "max_size")]
)
def test_all_connections_are_kept(driver: str, total: str) -> None:
    """No connection comes and goes with the load: the size is kept, and nothing on top of it."""
    found = rows(driver, verifying_trial())
    assert found[total].value == 14
    if driver == "sqlalchemy":
        assert found["max_overflow"].value == 0
        assert found["max_overflow"].because.endswith("(verified so, 2 dials in 8 s)")
    else:
        assert found["min_size"].value == 14


@pytest.mark.parametrize(
    ("measured", "value", "source", "words"),
    [
        (None, False, "rule", "no call is known"),
        (verifying_trial(), False, "measured", "no call met a dead connection in 8 s"),
        (verifying_trial(disconnects=3), True, "measured", "3 disconnects seen in 8 s"),
    ],
)
def test_the_ping_costs_round_trips_so_it_needs_a_reason(
    measured: Trial | None, value: bool, source: str, words: str
) -> None:
    """pool_pre_ping is recommended only where calls met dead connections."""
    row = rows("sqlalchemy", measured)["pool_pre_ping"]
    assert (row.value, row.source) == (value, source)
    assert words in row.because


@pytest.mark.parametrize(
    ("measured", "changes", "expected", "source"),
    [
        # 14 connections held 16.4 ms each serve 853.7 calls/s, for 1 s
        (verifying_trial(), {}, 854, "measured"),
        # never less than one waiting caller a connection
        (verifying_trial(hold_time=times(20.0, 60.0)), {}, 14, "measured"),
        # only the curve is known: 16 connections held 20.5 ms
        (None, {}, 683, "measured"),
        (None, {"points": ()}, 0, "rule"),
    ],
)
def test_no_more_may_wait_than_can_be_served_in_time(
    measured: Trial | None, changes: dict[str, Any], expected: int, source: str
) -> None:
    """max_waiting follows from the hold time by Little's Law."""
    row = rows("psycopg", measured, **changes)["max_waiting"]
    assert (row.value, row.source) == (expected, source)


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_server_gives_up_before_the_client(driver: str) -> None:
    """Limits are those of asyncpg's pool: the same server, the same rules."""
    measured = trial(hold_time=times(0.1, 0.3))
    found = rows(driver, measured)
    assert found["statement_timeout"].value == 3.0
    assert float(found.get("command_timeout", found["statement_timeout"]).value or 0) >= 3.0


def test_library_defaults_are_those_of_the_installed_library() -> None:
    """A row that says `library default` holds the default of the library itself."""
    psycopg_pool = pytest.importorskip("psycopg_pool")
    defaults = inspect.signature(psycopg_pool.AsyncConnectionPool.__init__).parameters
    found = rows("psycopg", verifying_trial())
    for row in found.values():
        assert (row.source == "library") == row.because.startswith("library default")
        if row.source == "library":
            assert row.value == defaults[row.name].default
    pool = pytest.importorskip("sqlalchemy.pool")
    of_queue = inspect.signature(pool.QueuePool.__init__).parameters
    found = rows("sqlalchemy", verifying_trial())
    assert [name for name, row in found.items() if row.source == "library"] == ["pool_use_lifo"]
    assert found["pool_use_lifo"].value == of_queue["use_lifo"].default
    assert "each is used every 28 ms on average" in found["pool_use_lifo"].because


@pytest.mark.lab
def test_the_engine_runs(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, limits and shutdown work on a real PostgreSQL; the server's own limit ends first."""
    sqlalchemy = pytest.importorskip("sqlalchemy")

    async def scenario() -> None:
        target = database_target(driver="sqlalchemy", response_p99=0.005)  # pool_timeout: 50 ms
        measured = recommended(target, size=2, hold_time=times(0.01, 0.02))
        module = imported(codegen.render([measured], [target]), tmp_path)
        async with module.open_pools() as pools:
            engine = pools.orders_db
            assert engine.pool.checkedin() == 2  # dialled before the first call
            text = sqlalchemy.text
            async with engine.connect() as first, engine.connect() as second:
                assert await first.scalar(text("select 1")) == 1
                assert await first.scalar(text("show statement_timeout")) == "1s"
                with pytest.raises(sqlalchemy.exc.TimeoutError):
                    await engine.connect().start()
                with pytest.raises(sqlalchemy.exc.DBAPIError, match="statement timeout"):
                    await second.execute(text("select pg_sleep(5)"))
                await second.rollback()
                assert await second.scalar(text("select 2")) == 2  # the connection lives on
        assert engine.pool.checkedin() == 0

    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    asyncio.run(scenario())


@pytest.mark.lab
def test_the_psycopg_pool_runs(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, limits and shutdown work on a real PostgreSQL."""
    psycopg = pytest.importorskip("psycopg")
    psycopg_pool = pytest.importorskip("psycopg_pool")

    async def scenario() -> None:
        target = database_target(driver="psycopg", response_p99=0.005)  # timeout: 50 ms
        measured = recommended(target, size=2, hold_time=times(0.01, 0.02))
        module = imported(codegen.render([measured], [target]), tmp_path)
        async with module.open_pools() as pools:
            pool = pools.orders_db
            assert pool.get_stats()["pool_available"] == 2  # dialled before the first call
            async with pool.connection() as first, pool.connection() as second:
                row = await (await first.execute("show statement_timeout")).fetchone()
                assert row == ("1s",)
                with pytest.raises(psycopg_pool.PoolTimeout):
                    await pool.getconn()
                with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                    await second.execute("select pg_sleep(5)")
                await second.rollback()
                assert await (await second.execute("select 2")).fetchone() == (2,)
        assert pool.closed

    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    asyncio.run(scenario())


@pytest.mark.lab
def test_a_gated_pool_runs(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for in targets.toml: more callers than connections wait at the gate, and count."""
    pytest.importorskip("psycopg_pool")

    async def scenario() -> None:
        target = database_target(driver="psycopg", gate=True)
        module = imported(codegen.render([recommended(target, size=2)], [target]), tmp_path)
        async with module.open_pools() as pools:
            gated = pools.orders_db
            waiting = []

            async def call() -> None:
                async with gated.gate.slot(), gated.pool.connection() as connection:
                    waiting.append(gated.gate.waiting)
                    await connection.execute("select pg_sleep(0.01)")

            await asyncio.gather(*(call() for _ in range(10)))
            assert max(waiting) > 0
            assert gated.gate.waiting == 0
            stats = gated.pool.get_stats()
            assert stats.get("requests_queued", 0) == 0  # nobody waits behind the gate

    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    asyncio.run(scenario())


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.lab
def test_a_wrong_dsn_shows_at_start_up(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens: opening fails, in time and before the first call."""
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:p@127.0.0.1:1/d")

    async def scenario() -> None:
        target = database_target(driver=driver)
        module = imported(codegen.render([recommended(target, size=2)], [target]), tmp_path)
        async with asyncio.timeout(15.0), module.open_pools():
            pytest.fail("a pool was opened where nobody listens")

    error = {"sqlalchemy": OSError, "psycopg": pytest.importorskip("psycopg_pool").PoolTimeout}
    with pytest.raises(error[driver]):
        asyncio.run(scenario())
