"""A function that lets the library's own errors through: the same outcomes as without one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.base import Pool
from poolkit.drivers.httpx import HttpxPool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.errors import CallFailed
from poolkit.lab.postgres import PostgresServer
from poolkit.targets.workload import HttpWork, SqlWork
from tests.drivers.test_contract import opened, run, stamps

MakePool = Callable[..., Any]
HTTP = [
    pytest.param(AiohttpPool, id="aiohttp"),
    pytest.param(HttpxPool, id="httpx"),
    pytest.param(lambda *a, **k: HttpxPool(*a, library="httpx2", **k), id="httpx2"),
]


async def outcome(pool: Pool) -> tuple[str, str]:
    try:
        await pool.call(stamps())
    except CallFailed as failure:
        return failure.outcome, failure.kind
    return "ok", "ok"


@asynccontextmanager
async def answering(answer: bytes, after: float = 0.0) -> AsyncIterator[str]:
    """A server that sends the same to every request and, where it is nothing, hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(after)
                writer.write(answer)
                if not answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def status(code: int) -> bytes:
    return f"HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n".encode()


def sending(method: str, url: str) -> HttpWork:
    """A function that sends one request and insists on a good answer."""

    async def send(client: Any) -> None:
        answer = client.request(method, url)
        if hasattr(answer, "__aenter__"):
            async with answer as response:
                response.raise_for_status()
                await response.read()
        else:
            (await answer).raise_for_status()

    return HttpWork("GET", url, function=send)


@pytest.mark.parametrize("make", HTTP)
@pytest.mark.parametrize(
    ("answer", "expected", "disconnects"),
    [
        (status(429), ("rejected", "http_429"), 0),
        (status(503), ("rejected", "http_503"), 0),
        (status(500), ("error", "http_500"), 0),
        (b"", ("rejected", "disconnected"), 1),
    ],
    ids=["429", "503", "500", "closed"],
)
def test_an_http_function_has_the_outcomes_of_its_requests(
    make: MakePool, answer: bytes, expected: tuple[str, str], disconnects: int
) -> None:
    """What `raise_for_status` and the client raise is read as for a plain request."""

    async def go() -> tuple[tuple[str, str], int]:
        async with answering(answer) as url, opened(make(sending("POST", url), 1)) as pool:
            return await outcome(pool), pool.statistics().disconnects

    assert run(go()) == (expected, disconnects)


@pytest.mark.parametrize("make", HTTP)
def test_a_refused_dial_of_a_function_is_one(make: MakePool) -> None:
    """The brake on refused connections counts it."""

    async def go() -> tuple[str, str]:
        async with answering(b"") as url:
            pass
        async with opened(make(sending("GET", url), 1)) as pool:
            return await outcome(pool)

    assert run(go()) == ("error", "connection_refused")


@pytest.mark.parametrize("make", HTTP)
def test_a_function_that_waits_for_a_connection_too_long(make: MakePool) -> None:
    """The pool's own time limit is a pool timeout, not an error of the function's."""

    async def go() -> list[tuple[str, str]]:
        async with answering(status(200), after=0.2) as url:
            pool = make(sending("GET", url), 1, pool_timeout=0.05)
            async with opened(pool):
                return sorted(await asyncio.gather(outcome(pool), outcome(pool)))

    assert run(go()) == [("ok", "ok"), ("pool_timeout", "pool_timeout")]


@pytest.mark.parametrize("make", HTTP)
def test_an_error_that_is_the_functions_own_keeps_its_name(make: MakePool) -> None:
    """Only what the client library raises is translated."""

    async def broken(_client: Any) -> None:
        raise ConnectionRefusedError("of something else that the function talks to")

    async def go() -> tuple[str, str]:
        work = HttpWork("GET", "http://127.0.0.1:1/", function=broken)
        async with opened(make(work, 1)) as pool:
            return await outcome(pool)

    assert run(go()) == ("error", "work_ConnectionRefusedError")


async def _execute(connection: Any, statement: str) -> None:
    if type(connection).__module__.startswith("sqlalchemy"):
        from sqlalchemy import text

        await connection.execute(text(statement))
    else:
        await connection.execute(statement)


@pytest.mark.lab
@pytest.mark.parametrize("make", [AsyncpgPool, SqlalchemyPool, PsycopgPool])
def test_a_lost_connection_of_a_function_is_one(postgres: PostgresServer, make: MakePool) -> None:
    """It is `disconnected` and counted, and the call after it goes on."""
    times = iter(range(2))

    async def dies_first(connection: Any) -> None:
        ends = "select pg_terminate_backend(pg_backend_pid())"
        await _execute(connection, ends if next(times) == 0 else "select 1")

    async def go() -> tuple[list[tuple[str, str]], int]:
        async with opened(make(postgres.dsn, SqlWork([], function=dies_first), 1)) as pool:
            outcomes = [await outcome(pool) for _ in range(2)]
            return outcomes, pool.statistics().disconnects

    assert run(go()) == ([("error", "disconnected"), ("ok", "ok")], 1)


@pytest.mark.lab
@pytest.mark.parametrize("make", [AsyncpgPool, SqlalchemyPool, PsycopgPool])
def test_a_statement_of_a_function_is_refused_by_its_own_name(
    postgres: PostgresServer, make: MakePool
) -> None:
    """As it would be without a function: the same remedy fits."""

    async def wrong(connection: Any) -> None:
        await _execute(connection, "select * from nowhere")

    async def go() -> tuple[str, str]:
        async with opened(make(postgres.dsn, SqlWork([], function=wrong), 1)) as pool:
            return await outcome(pool)

    found, kind = run(go())
    assert (found, kind.startswith("UndefinedTable")) == ("error", True)


@pytest.mark.lab
def test_a_use_of_the_connection_that_is_wrong_is_no_disconnect(postgres: PostgresServer) -> None:
    """asyncpg has one class for a closed connection and for a mistake in calling it."""

    async def wrong(connection: Any) -> None:
        await connection.fetch("select $1::int")

    async def closes(connection: Any) -> None:
        await connection.close()
        await connection.fetch("select 1")

    async def go(function: Any) -> str:
        async with opened(AsyncpgPool(postgres.dsn, SqlWork([], function=function), 1)) as pool:
            return (await outcome(pool))[1]

    assert run(go(wrong)) == "InterfaceError"
    assert run(go(closes)) == "disconnected"


@pytest.mark.parametrize("make", HTTP)
def test_a_kept_connection_that_is_closed_is_an_error_and_a_fresh_one_a_refusal(
    make: MakePool,
) -> None:
    """An old connection may die of its age; a server that hangs up on a new one is full."""

    async def go() -> list[tuple[str, str]]:
        requests = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    requests += 1
                    if requests > 1:
                        break
                    writer.write(status(200))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with opened(make(HttpWork("POST", url), 1)) as pool:
                return [await outcome(pool) for _ in range(3)]

    assert run(go()) == [("ok", "ok"), ("error", "disconnected"), ("rejected", "disconnected")]
