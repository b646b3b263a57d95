"""What every PostgreSQL driver does alike: refusals, read-only, limits, a server that restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.base import Pool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.drivers.table import DATABASE_DRIVERS, DRIVERS, Driver
from poolkit.errors import CallFailed, ExitCode, Unreachable
from poolkit.lab.postgres import PostgresServer
from poolkit.measure.preflight import check_first_call
from poolkit.targets import Target
from poolkit.targets.draws import Uniform
from poolkit.targets.workload import SqlWork
from tests.drivers.test_contract import Call, opened, run, stamps, until

pytestmark = pytest.mark.lab

MakePool = Callable[..., Any]


@pytest.fixture(params=[AsyncpgPool, SqlalchemyPool, PsycopgPool])
def driver(request: pytest.FixtureRequest) -> MakePool:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["asyncio", "uvloop"])
def run_on(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs on one of the two event loops that poolkit measures on."""
    if request.param == "asyncio":
        return run
    uvloop = pytest.importorskip("uvloop")
    return lambda work: uvloop.run(asyncio.wait_for(work, 60.0))


async def outcome_of(pool: Pool) -> str:
    try:
        await pool.call(stamps())
    except CallFailed as failure:
        return failure.kind
    return "ok"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda dsn: dsn.replace("@", "x@", 1), "refused the user or password"),
        (lambda dsn: dsn.rsplit("/", 1)[0] + "/nowhere", 'no such database: database "nowhere"'),
        (lambda _: "postgresql://u:hunter2@127.0.0.1:1/d", "refused the connection"),
        (lambda _: "postgresql://u:hunter2@no-such-host.invalid/d", "host cannot be reached"),
        (lambda _: "mysql://u:hunter2@127.0.0.1/d", "the DSN cannot be used"),
    ],
    ids=["wrong password", "no such database", "nobody listens", "unknown host", "no DSN"],
)
def test_a_database_that_cannot_be_opened_says_why(
    postgres: PostgresServer, driver: MakePool, change: Callable[[str], str], cause: str
) -> None:
    """The same cause and remedy from each driver, without the password."""
    dsn = change(postgres.dsn)
    password = dsn.split(":")[2].partition("@")[0]
    with pytest.raises(Unreachable) as caught:
        run(driver(dsn, SqlWork(["select 1"]), 1).open())
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert password not in str(caught.value)


def test_a_pool_larger_than_the_server_has_room_for_says_so(driver: MakePool) -> None:
    """max_connections is met while dialling: the cause names it, and nothing stays open."""
    with PostgresServer(accounts=10, max_connections=20) as server:

        async def go() -> int:
            with pytest.raises(Unreachable) as caught:
                await driver(server.dsn, SqlWork(["select 1"]), 21).open()
            assert "no free connection" in caught.value.cause
            assert "max_size" in caught.value.remedy
            # The server takes a moment to see that they are gone.
            while True:
                with contextlib.suppress(Unreachable):
                    async with opened(driver(server.dsn, SqlWork(["select 1"]), 1)) as pool:
                        if (spare := await pool.spare_connections()) >= 15:
                            return int(spare)
                await asyncio.sleep(0.05)

        assert run(go()) >= 15


def test_a_slow_statement_times_out_and_the_pool_goes_on(
    postgres: PostgresServer, driver: MakePool
) -> None:
    """A call that holds its connection for too long ends in time, and the next one is served."""
    waits = iter([5.0, 0.0])

    class Slow(SqlWork):
        def draw(self) -> dict[str, float]:
            return {"seconds": next(waits)}

    async def go() -> list[str]:
        work = Slow(["select pg_sleep(:seconds)"])
        async with opened(driver(postgres.dsn, work, 1, call_timeout=0.2)) as pool:
            return [await outcome_of(pool) for _ in range(2)]

    assert run(go()) == ["call_timeout", "ok"]


def test_writes_are_refused_unless_they_are_allowed(
    postgres: PostgresServer, driver: MakePool
) -> None:
    """Read-only: refused call after call; otherwise the write is there for others to see."""
    write = "insert into pgbench_history (tid) values (4711)"
    count = SqlWork(["select 1 / (select count(*) from pgbench_history where tid = 4711)"])

    async def go() -> tuple[list[str], str, list[str], str]:
        async with opened(driver(postgres.dsn, SqlWork([write]), 1)) as pool:
            refused = [await outcome_of(pool) for _ in range(2)]
        async with opened(driver(postgres.dsn, count, 1)) as pool:
            before = await outcome_of(pool)
        async with opened(driver(postgres.dsn, SqlWork([write], read_only=False), 1)) as pool:
            allowed = [await outcome_of(pool) for _ in range(2)]
        async with opened(driver(postgres.dsn, count, 1)) as pool:
            return refused, before, allowed, await outcome_of(pool)

    async def tidy() -> None:
        delete = SqlWork(["delete from pgbench_history"], read_only=False)
        async with opened(driver(postgres.dsn, delete, 1)) as pool:
            await pool.call(stamps())

    refused, before, allowed, after = run(go())
    run(tidy())
    assert len(refused) == 2
    assert all(kind.startswith("ReadOnlyS") for kind in refused)
    assert before.startswith("DivisionByZero")
    assert (allowed, after) == (["ok", "ok"], "ok")


def test_values_are_drawn_for_each_call(
    postgres: PostgresServer, driver: MakePool, run_on: Callable[..., Any]
) -> None:
    """Placeholders get the drawn values; colons, casts and percent signs that are none stay."""
    work = SqlWork(
        [
            "select 1 / (:aid::int % 1000) where 'a:b %s 100%' like '%:b%'",
            "select ' :no', aid from pgbench_accounts where aid = :aid and 1 < :other ::int",
            "select '100%'",
        ],
        {"aid": Uniform(1, 999), "other": Uniform(2, 9)},
    )

    async def go() -> list[str]:
        async with opened(driver(postgres.dsn, work, 1)) as pool:
            return [await outcome_of(pool) for _ in range(20)]

    assert run_on(go()) == ["ok"] * 20


def test_the_pause_is_held(postgres: PostgresServer, driver: MakePool) -> None:
    """Between statements the connection is held idle, and after the last one it is not."""
    work = SqlWork(["select 1", "select 2", "select 3"], pause=0.2)

    async def go() -> Call:
        async with opened(driver(postgres.dsn, work, 1)) as pool:
            return await Call().go(pool)

    call = run(go())
    assert call.stamps.served_at - call.acquired >= 2 * 0.2 * 0.98
    assert call.released - call.stamps.served_at < 0.2


def test_the_users_own_function_gets_the_connection(
    postgres: PostgresServer, driver: MakePool
) -> None:
    """It runs on a connection of the pool; what it raises is the outcome, and never the end."""
    seen: list[str] = []

    async def look(connection: Any) -> None:
        seen.append(type(connection).__name__)
        if len(seen) == 2:
            raise LookupError("nothing there")

    async def hang(_connection: Any) -> None:
        await asyncio.sleep(60)

    async def go() -> list[str]:
        kinds = []
        async with opened(driver(postgres.dsn, SqlWork([], function=look), 1)) as pool:
            kinds += [await outcome_of(pool) for _ in range(3)]
        slow = driver(postgres.dsn, SqlWork([], function=hang), 1, call_timeout=0.1)
        async with opened(slow) as pool:
            return [*kinds, await outcome_of(pool)]

    kinds = run(go())
    assert kinds == ["ok", "work_LookupError", "ok", "work_timeout"]
    assert len(set(seen)) == 1
    assert "Connection" in seen[0]


def test_a_restarted_server_is_found_again(
    postgres: PostgresServer, driver: MakePool, run_on: Callable[..., Any]
) -> None:
    """Calls on dead connections end as disconnected, one a connection at most; then it goes on.

    asyncpg sees idle connections die and dials new ones before anybody asks.
    """

    async def go() -> tuple[list[str], Any]:
        loop = asyncio.get_running_loop()
        async with opened(driver(postgres.dsn, SqlWork(["select 1"]), 2)) as pool:
            kinds = [await outcome_of(pool) for _ in range(2)]
            await loop.run_in_executor(None, postgres.restart)
            for _ in range(50):
                kinds.append(await outcome_of(pool))
                if kinds[-3:] == ["ok"] * 3 and pool.statistics().connections_opened > 2:
                    break
                await asyncio.sleep(0.05)
            return kinds, pool.statistics()

    kinds, statistics = run_on(go())
    assert kinds[:2] == ["ok", "ok"]
    assert (0 if driver is AsyncpgPool else 1) <= kinds.count("disconnected") <= 2
    assert set(kinds) <= {"ok", "disconnected"}
    assert kinds[-3:] == ["ok"] * 3
    assert statistics.disconnects == kinds.count("disconnected")
    assert statistics.connections_opened >= 3


def test_a_server_that_dies_under_calls_ends_them(
    postgres: PostgresServer, driver: MakePool
) -> None:
    """No call hangs: those that held a connection end as disconnected."""

    async def go() -> list[str]:
        loop = asyncio.get_running_loop()
        work = SqlWork(["select pg_sleep(60)"])
        async with opened(driver(postgres.dsn, work, 2)) as pool:
            calls = [asyncio.create_task(outcome_of(pool)) for _ in range(2)]
            await until(pool, in_use=2, waiting=0)
            await loop.run_in_executor(None, postgres.restart)
            return await asyncio.gather(*calls)

    kinds = run(go())
    assert kinds == ["disconnected"] * 2


def test_closing_ends_the_calls_under_way(
    postgres: PostgresServer, driver: MakePool, run_on: Callable[..., Any]
) -> None:
    """`close` does not wait for them, and each ends with an outcome."""

    async def go() -> list[str]:
        pool = driver(postgres.dsn, SqlWork(["select pg_sleep(60)"]), 2)
        await pool.open()
        calls = [asyncio.create_task(outcome_of(pool)) for _ in range(2)]
        await until(pool, in_use=2, waiting=0)
        await asyncio.wait_for(pool.close(), 25.0)  # and not the call timeout of 30 s
        return await asyncio.gather(*calls)

    kinds = run_on(go())
    assert not {"ok", "call_timeout"} & set(kinds)


def test_a_password_keeps_its_odd_characters(postgres: PostgresServer, driver: MakePool) -> None:
    """Escapes in the DSN reach the server as the characters that they stand for."""
    user, password = urlsplit(postgres.dsn).username, urlsplit(postgres.dsn).password
    place = postgres.dsn.rpartition("@")[2]

    async def change(dsn: str, password: str | None) -> str:
        write = SqlWork([f"alter role {user} password '{password}'"], read_only=False)
        async with opened(driver(dsn, write, 1)) as pool:
            return await outcome_of(pool)

    assert run(change(postgres.dsn, "p@ss/w:rd% #?é")) == "ok"
    changed = f"postgresql://{user}:p%40ss%2Fw%3Ard%25%20%23%3F%C3%A9@{place}"
    assert run(change(changed, password)) == "ok"  # and back


def test_every_connection_is_dialled_at_open(postgres: PostgresServer, driver: MakePool) -> None:
    """Trials of different sizes start alike: no call has to dial."""

    async def go() -> Any:
        async with opened(driver(postgres.dsn, SqlWork(["select 1"]), 5)) as pool:
            return pool.statistics()

    seen = run(go())
    assert (seen.connections_opened, seen.idle, seen.in_use, seen.disconnects) == (5, 5, 0, 0)


@pytest.mark.parametrize("make", [AsyncpgPool, PsycopgPool])
def test_only_min_size_is_dialled_beforehand(postgres: PostgresServer, make: MakePool) -> None:
    """The others are, when calls need them."""

    async def go() -> tuple[int, int]:
        work = SqlWork(["select pg_sleep(0.2)"])
        async with opened(make(postgres.dsn, work, 3, min_size=1)) as pool:
            before = pool.statistics().connections_opened
            await asyncio.gather(*(pool.call(stamps()) for _ in range(3)))
            return before, pool.statistics().connections_opened

    before, after = run(go())
    assert before == 1
    assert 2 <= after <= 3


@pytest.mark.parametrize(
    "driver_name", [name for name in DATABASE_DRIVERS if DRIVERS[name].kind == "postgres"]
)
def test_a_statement_that_the_server_cannot_read_gets_no_load(
    postgres: PostgresServer, driver_name: Driver
) -> None:
    """Asked before any load: exit 2, with what the server said and where to try it."""
    target = Target(
        name="t",
        driver=driver_name,
        dsn=SecretStr(postgres.dsn),
        statements=("select 1", "selec 1"),
        target_rate=1.0,
    )
    with pytest.raises(Unreachable) as refused:
        run(check_first_call(target))
    assert refused.value.exit_code is ExitCode.STOPPED
    assert 'syntax error at or near "selec"' in refused.value.cause
    assert "psql" in refused.value.remedy
