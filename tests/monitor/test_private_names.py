"""Hooks use names that the libraries do not promise: each is held against what is installed.

When one of these fails after an update of a library, its hook in `poolkit.drivers` has to follow.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import aiohttp
import asyncpg
import httpcore
import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.pool import QueuePool


@pytest.mark.parametrize(
    ("kind", "method", "arguments"),
    [
        (asyncpg.Pool, "_acquire", "self timeout"),
        (asyncpg.Pool, "release", "self connection timeout"),
        (asyncpg.Pool, "_get_new_connection", "self"),
        (aiohttp.TCPConnector, "connect", "self req traces timeout"),
        (aiohttp.TCPConnector, "_create_connection", "self req traces timeout"),
        (aiohttp.TCPConnector, "_release", "self key protocol should_close"),
        (httpcore.AsyncConnectionPool, "handle_async_request", "self request"),
        (httpcore.AsyncConnectionPool, "create_connection", "self origin"),
        (httpcore.AsyncHTTPConnection, "_connect", "self request"),
        (AsyncConnectionPool, "getconn", "self timeout"),
        (AsyncConnectionPool, "putconn", "self conn"),
        (AsyncConnectionPool, "_check_connection", "self conn"),
        (QueuePool, "_do_get", "self"),
        (QueuePool, "_create_connection", "self"),
        (QueuePool, "_do_return_conn", "self record"),
    ],
)
def test_methods_take_what_hooks_pass_on(kind: Any, method: str, arguments: str) -> None:
    """The same arguments in the same order."""
    assert list(inspect.signature(getattr(kind, method)).parameters) == arguments.split()


def test_asyncpgs_pool_can_be_of_a_subclass() -> None:
    """Its layout is of slots, to which a subclass without any adds nothing."""

    class Listening(asyncpg.Pool):  # type: ignore[misc, unused-ignore]
        __slots__ = ()

    assert {"_holders", "_closed", "_queue"} <= set(asyncpg.Pool.__slots__)
    holder = asyncpg.pool.PoolConnectionHolder
    assert {"_con", "_in_use", "_proxy", "_setup"} <= set(holder.__slots__)
    pool = asyncpg.Pool.__new__(asyncpg.Pool)
    pool.__class__ = Listening
    assert type(pool) is Listening


def test_a_task_tells_who_waits_for_it() -> None:
    """asyncio shows a task's callbacks, by which an owner is found."""

    async def go() -> bool:
        task = asyncio.ensure_future(asyncio.sleep(0))
        waiting = asyncio.ensure_future(asyncio.wait_for(asyncio.shield(task), 1.0))
        await asyncio.sleep(0)
        found = bool(getattr(task, "_callbacks", None))
        await waiting
        return found

    assert asyncio.run(go())
