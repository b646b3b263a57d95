"""Redis: where its parameters come from, and the code that sets them, run."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.exceptions import TimeoutError as NoAnswer

from poolkit.recommend import parameters
from poolkit.records import Parameter, Trial
from poolkit.review import codegen
from tests.recommend.examples import redis_target, sizing, times, verifying_trial
from tests.redis_server import redis_server
from tests.review.test_codegen import imported, recommended


def rows(measured: Trial | None = None, **changes: Any) -> dict[str, Parameter]:
    found = parameters(redis_target(**changes), sizing(), measured)
    return {row.name: row for row in found}


def test_the_default_pool_is_named_as_the_mistake_it_is() -> None:
    """Measured with it, the blocking one is recommended all the same, with what was refused."""
    row = rows(verifying_trial(error_kinds={"pool_full": 12}), pool_class="default")["pool_class"]
    assert row.value == "BlockingConnectionPool"
    assert "raises MaxConnectionsError as soon as all connections are in use" in row.because
    assert "12 calls ended so at the target rate" in row.because
    assert "measured with ConnectionPool" not in rows()["pool_class"].because


def test_what_is_said_of_the_library_is_so() -> None:
    """The default limits that the reasons quote are those of the installed library."""
    default: Any = ConnectionPool()
    assert default.max_connections == 100
    assert "(100 by default" in rows()["pool_class"].because
    blocking = inspect.signature(BlockingConnectionPool.__init__).parameters
    assert (blocking["max_connections"].default, blocking["timeout"].default) == (50, 20)
    client: Any = Redis()
    assert client.get_retry().get_retries() == 10
    assert "up to 10 times" in rows()["retries"].because
    assert default.make_connection().health_check_interval == 0


@pytest.mark.lab
def test_the_pool_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, limits, gate and shutdown work on a real server."""

    async def scenario() -> None:
        target = redis_target(response_p99=0.005)  # gate_timeout: 50 ms
        measured = recommended(target, size=2, hold_time=times(0.01, 0.02))
        module = imported(codegen.render([measured], [target]), tmp_path)
        async with module.open_pools() as pools:
            sessions = pools.sessions
            pool = sessions.client.connection_pool
            assert isinstance(pool, BlockingConnectionPool)
            async with sessions.turn() as one, sessions.turn() as two:
                assert await one.set("a", 1)
                assert await two.get("a") == b"1"
                with pytest.raises(module.GateTimeout):
                    async with sessions.turn():
                        pytest.fail("a third caller came through a gate of two")
                with pytest.raises(NoAnswer):  # socket_timeout: 1 s
                    await one.blpop("nothing", 5)
                assert await one.get("a") == b"1"  # the pool lives on
            (idle, _), (in_use, _) = pool.get_connection_count()
            assert (in_use, idle <= 2) == (0, True)
            # The server closes every connection: the pool sees it before the next command.
            await sessions.client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.05)
            async with sessions.turn() as one:
                assert await one.get("a") == b"1"

    with redis_server() as url:
        monkeypatch.setenv("SESSIONS_DSN", url)
        asyncio.run(scenario())
