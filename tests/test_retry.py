"""Repeats only where it is safe, rolls back, and gives up in bounded time."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import Any

import aiohttp
import asyncpg
import httpx
import psycopg
import pytest
import sqlalchemy.exc
from pydantic import SecretStr
from redis import exceptions as redis_errors
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from poolkit import retry as module
from poolkit.errors import CallFailed
from poolkit.lab.postgres import PostgresServer
from poolkit.retry import may_repeat, retry, safety
from tests.virtual_clock import run_virtual


def postgres_error(state: str) -> Exception:
    return asyncpg.PostgresError.new({"C": state, "M": "x"})  # type: ignore[no-any-return]


def wrapped(cause: Exception) -> Exception:
    outer = CallFailed("disconnected")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), "not_sent"),
        (ConnectionResetError(), "disconnected"),
        (aiohttp.ServerDisconnectedError(), "disconnected"),
        (httpx.ConnectError("x"), "not_sent"),
        (httpx.ReadError("x"), "disconnected"),
        (httpx.RemoteProtocolError("Server disconnected without ..."), "disconnected"),
        (asyncpg.InterfaceError("connection is closed"), "disconnected"),
        (asyncpg.ConnectionDoesNotExistError("x"), "disconnected"),
        (psycopg.OperationalError("the connection is closed"), "disconnected"),
        (psycopg.OperationalError("connection failed: ..."), "not_sent"),
        (redis_errors.ConnectionError("Connection closed by server."), "disconnected"),
        (redis_errors.ConnectionError("Error 111 connecting to 127.0.0.1:6379."), "not_sent"),
        (postgres_error("57P01"), "disconnected"),
        (postgres_error("57P05"), "disconnected"),
        (postgres_error("57P03"), "not_sent"),
        (postgres_error("40001"), "rolled_back"),
        (postgres_error("40P01"), "rolled_back"),
        (wrapped(ConnectionResetError()), "disconnected"),
        (sqlalchemy.exc.DBAPIError("x", None, ConnectionResetError()), "disconnected"),
        (
            sqlalchemy.exc.DBAPIError("x", None, Exception(), connection_invalidated=True),
            "disconnected",
        ),
        # A busy server, a full pool, an answer: a repeat helps nobody.
        (TimeoutError(), None),
        (httpx.PoolTimeout("x"), None),
        (httpx.ReadTimeout("x"), None),
        (httpx.RemoteProtocolError("illegal header line"), None),
        (asyncpg.InterfaceError("cannot perform operation: another ..."), None),
        (redis_errors.MaxConnectionsError("Too many connections"), None),
        (redis_errors.TimeoutError("Timeout reading from socket"), None),
        (postgres_error("23505"), None),
        (postgres_error("53300"), None),
        (ValueError("connection is closed"), None),
    ],
)
def test_what_a_failure_left_behind(error: Exception, expected: str | None) -> None:
    """Told by SQLSTATE, class or words, through whatever wraps it."""
    assert safety(error) == expected
    assert may_repeat(error, idempotent=False) is (expected in ("not_sent", "rolled_back"))
    assert may_repeat(error, idempotent=True) is (expected is not None)


NAMED = list(dict.fromkeys(name for name, _, _ in module._LOST))


@pytest.mark.parametrize("name", NAMED)
def test_the_classes_named_exist(name: str) -> None:
    """A library that moves one would silently end its repeats."""
    home, _, kind = name.rpartition(".")
    while True:
        try:
            found: Any = importlib.import_module(home)
            break
        except ModuleNotFoundError:
            home = home.rpartition(".")[0]
    cls = getattr(found, kind)
    assert f"{cls.__module__}.{cls.__qualname__}" == name


class Work:
    """Fails with the errors given, one an attempt, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.attempts = self.rollbacks = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    async def rollback(self) -> None:
        self.rollbacks += 1


def run(work: Work, **options: Any) -> str:
    return asyncio.run(
        retry(work, rollback=work.rollback, first_wait=0.001, jitter=0.001, **options)
    )


def test_a_disconnect_is_repeated_only_where_the_caller_says_so() -> None:
    """The commit may have been under way; `idempotent` is the caller's word that it may repeat."""
    work = Work(ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        run(work)
    assert (work.attempts, work.rollbacks) == (1, 1)
    work = Work(ConnectionResetError(), ConnectionResetError())
    assert run(work, idempotent=True) == "done"
    assert (work.attempts, work.rollbacks) == (3, 2)


def test_what_never_reached_the_server_is_repeated() -> None:
    """Whatever the work does."""
    work = Work(ConnectionRefusedError(), postgres_error("40001"))
    assert run(work) == "done"
    assert work.attempts == 3


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_attempts_are_bounded(attempts: int) -> None:
    """The last failure is raised as it is."""
    work = Work(*[ConnectionRefusedError() for _ in range(9)])
    with pytest.raises(ConnectionRefusedError):
        run(work, attempts=attempts)
    assert (work.attempts, work.rollbacks) == (attempts, attempts)
    with pytest.raises(ValueError, match="attempts must be 1 or more, got 0"):
        run(work, attempts=0)


def test_the_time_is_bounded() -> None:
    """No attempt begins after `seconds`."""
    work = Work(*[ConnectionRefusedError() for _ in range(1000)])
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        run(work, attempts=1000, seconds=0.3)
    assert time.monotonic() - began < 5.0
    assert work.attempts < 1000


def test_a_rollback_that_hangs_is_given_up() -> None:
    """Its time is limited, and the failure that is told is that of the work."""

    async def hangs() -> None:
        await asyncio.sleep(3600.0)

    async def work() -> None:
        raise ConnectionResetError("the work")

    async def go() -> float:
        with pytest.raises(ConnectionResetError, match="the work"):
            await retry(
                work,
                idempotent=True,
                rollback=hangs,
                attempts=2,
                first_wait=0.0,
                jitter=0.0,
            )
        return asyncio.get_running_loop().time()

    assert 4.0 <= run_virtual(go()) < 5.0


def test_a_rollback_s_own_time_limit_is_an_error() -> None:
    """Only the limit of retry itself means a dead connection."""

    async def late() -> None:
        raise TimeoutError("the pool is full")

    async def work() -> None:
        raise ConnectionResetError

    with pytest.raises(TimeoutError, match="the pool is full"):
        asyncio.run(retry(work, rollback=late))


def test_a_rollback_on_a_dead_connection_is_not_an_error() -> None:
    """The server has rolled back already; any other failure of it is told."""
    work = Work(ConnectionResetError())

    async def dead() -> None:
        raise asyncpg.InterfaceError("connection is closed")

    async def broken() -> None:
        raise ValueError("no session")

    async def go(rollback: Any) -> str:
        return await retry(work, idempotent=True, rollback=rollback, first_wait=0.0, jitter=0.0)

    assert asyncio.run(go(dead)) == "done"
    work.errors = [ConnectionResetError()]
    with pytest.raises(ValueError, match="no session"):
        asyncio.run(go(broken))


@pytest.mark.lab
def test_a_session_goes_on_after_a_restart_of_the_server(postgres: PostgresServer) -> None:
    """SQLAlchemy's session, its rollback, a crash of PostgreSQL in between: the read succeeds."""

    async def go() -> tuple[int, int]:
        dsn = SecretStr(postgres.dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
        engine = create_async_engine(dsn.get_secret_value(), pool_size=1, max_overflow=0)
        attempts = 0
        async with AsyncSession(engine) as session:

            async def read() -> int:
                nonlocal attempts
                attempts += 1
                return int(await session.scalar(text("select 42")) or 0)

            await read()
            await session.rollback()
            await asyncio.to_thread(postgres.restart)
            attempts = 0
            value = await retry(read, idempotent=True, rollback=session.rollback)
        await engine.dispose()
        return value, attempts

    assert asyncio.run(go()) == (42, 2)
