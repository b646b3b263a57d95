"""What a library raises against all its promises is the outcome of a call, not the trial's end."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.drivers.httpx import HttpxPool
from poolkit.drivers.psycopg import PsycopgPool
from poolkit.drivers.sqlalchemy import SqlalchemyPool
from poolkit.errors import CallFailed
from poolkit.targets.workload import HttpWork, SqlWork
from tests.drivers.test_contract import run, stamps

GET = HttpWork("GET", "http://127.0.0.1:9/")
SELECT = SqlWork(["select 1"])


@pytest.mark.parametrize(
    ("pool", "inside", "entrance", "error"),
    [
        # aiohttp asserts that a connection it got still has its protocol.
        (AiohttpPool(GET, 1), "_session", "request", AssertionError()),
        (HttpxPool(GET, 1), "_client", "request", RuntimeError("no such state")),
        (HttpxPool(GET, 1, library="httpx2"), "_client", "request", RuntimeError("a secret")),
        # asyncpg's own faults are no InterfaceError.
        (AsyncpgPool("", SELECT, 1), "_pool", "acquire", asyncpg.ProtocolError("a secret")),
        (AsyncpgPool("", SELECT, 1), "_pool", "acquire", KeyError("a secret")),
        (SqlalchemyPool("", SELECT, 1), "_engine", "connect", RuntimeError("a secret")),
        (PsycopgPool("", SELECT, 1), "_pool", "connection", RuntimeError("a secret")),
    ],
    ids=["aiohttp", "httpx", "httpx2", "asyncpg", "asyncpg-other", "sqlalchemy", "psycopg"],
)
def test_it_is_named_after_its_class(
    pool: Any, inside: str, entrance: str, error: Exception
) -> None:
    """An error of that kind, as every call has exactly one record."""

    class Broken:
        pass

    def fail(*_: object, **__: object) -> None:
        raise error

    setattr(Broken, entrance, staticmethod(fail))
    setattr(pool, inside, Broken())
    with pytest.raises(CallFailed) as caught:
        run(pool.call(stamps()))
    assert (caught.value.outcome, caught.value.kind) == ("error", type(error).__name__)
