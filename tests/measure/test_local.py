"""`localhost` is this machine at every dial, though the resolver changes its mind in mid-trial."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvloop
from pydantic import SecretStr

from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.registry import make_pool
from poolkit.errors import CallFailed, Unreachable
from poolkit.lab.postgres import PostgresServer
from poolkit.load.stamps import CallStamps
from poolkit.measure.local import local
from poolkit.targets import Target
from tests.drivers.floods import serving
from tests.redis_server import RedisServer

pytestmark = pytest.mark.lab

# This machine by another name, so a dial that is not refused succeeds, and goes nowhere else.
ELSEWHERE = "0.0.0.0"


@pytest.fixture(scope="module")
def servers(postgres: PostgresServer) -> Iterator[dict[str, dict[str, Any]]]:
    """Keys of a target on localhost by driver."""
    with ExitStack() as stack:
        http = {"url": f"http://localhost:{stack.enter_context(serving())}/1000"}
        redis = stack.enter_context(RedisServer()).url
        sql = {
            "dsn": SecretStr(postgres.dsn.replace("127.0.0.1", "localhost")),
            "statements": ["select 1"],
        }
        assert "localhost" in sql["dsn"].get_secret_value()
        yield {
            "aiohttp": http,
            "httpx": http,
            "httpx2": {"library": "httpx2"} | http,
            **dict.fromkeys(("asyncpg", "psycopg", "sqlalchemy"), sql),
            "redis": {
                "dsn": SecretStr(redis.replace("127.0.0.1", "localhost")),
                "statements": ["GET a"],
            },
        }


def loop_of(kind: type[asyncio.AbstractEventLoop]) -> Any:
    """Kind of loop whose resolver leads to `address`."""

    class Resolver(kind):  # type: ignore[valid-type, misc]
        address = "127.0.0.1"

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            if host in ("localhost", b"localhost"):
                host = self.address
            return await super().getaddrinfo(host, port, **options)

    return local(Resolver)


async def ask(pool: Pool) -> str:
    try:
        await pool.open()
        await pool.call(CallStamps(asyncio.get_running_loop().time, 0.0))
    except CallFailed as failure:
        return failure.kind
    except Unreachable as failure:
        return failure.cause
    finally:
        await close_pool(pool)
    return "ok"


@pytest.mark.parametrize("kind", [asyncio.SelectorEventLoop, uvloop.Loop])
@pytest.mark.parametrize(
    "driver", ["aiohttp", "httpx", "httpx2", "asyncpg", "psycopg", "sqlalchemy", "redis"]
)
def test_what_is_dialled_is_judged_at_each_dial(
    servers: dict[str, dict[str, Any]], driver: str, kind: type[asyncio.AbstractEventLoop]
) -> None:
    """Whoever looks up the name, the library or the loop; and a name that is fine still works."""
    keys = {"driver": "httpx" if driver == "httpx2" else driver, **servers[driver]}
    target = Target(name="a", target_rate=1, **keys)
    with asyncio.Runner(loop_factory=loop_of(kind)) as runner:
        assert runner.run(ask(make_pool(target, 1, call_timeout=5.0))) == "ok"
        runner.get_loop().address = ELSEWHERE  # type: ignore[attr-defined]
        said = runner.run(ask(make_pool(target, 1, call_timeout=5.0)))
    words = ("host_not_found", "no such host", f"localhost leads to {ELSEWHERE}")
    assert any(word in said for word in words), said
