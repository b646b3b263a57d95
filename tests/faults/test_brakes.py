"""The brakes of the real command, each made to happen: exit code, cause and remedy, what is kept."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from tests.faults.driving import Command
from tests.faults.proxy import FaultProxy

pytestmark = pytest.mark.lab

QUICK = ("--sizes", "1,2", "--budget", "4")
LONG = ("--sizes", "1,2,4,8", "--budget", "60")


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


@pytest.fixture
def proxy(upstream: HttpUpstream) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.port) as running:
        yield running


@pytest.fixture(scope="module")
def small_postgres() -> Iterator[PostgresServer]:
    """A server with 20 connections, 3 of them reserved for its superuser."""
    with PostgresServer(accounts=100, max_connections=20) as server:
        yield server


def http(port: int, *more: str) -> str:
    return "\n".join(['driver = "aiohttp"', f'url = "http://127.0.0.1:{port}/"', *more])


def database(dsn: str, statement: str, *more: str) -> str:
    lines = ['driver = "asyncpg"', f'dsn = "{dsn}"', f'statements = ["{statement}"]', *more]
    return "\n".join(lines)


# -- before any load --------------------------------------------------------------------------


def test_the_connection_budget_of_a_small_database(
    tmp_path: Path, small_postgres: PostgresServer
) -> None:
    """A sweep that would take its last connections is refused; one that fits is not."""
    with Command(tmp_path, database(small_postgres.dsn, "select 1", "max_size = 18")) as refused:
        assert refused.finish().code == 2
        assert "17 free connections" in refused.failed["cause"]
        assert "max_size = 17" in refused.failed["remedy"]
        assert refused.of("trial_started") == []
    fits = database(small_postgres.dsn, "select 1", "max_size = 17")
    with Command(tmp_path, fits, "--sizes", "17", "--budget", "1") as fitting:
        assert fitting.finish().code in (0, 4)
        assert fitting.trials[0].pool_size == 17


def test_too_few_file_descriptors(tmp_path: Path, upstream: HttpUpstream) -> None:
    """What the process has open already counts as well; the remedy names the command."""

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    with Command(tmp_path, http(upstream.port, "max_size = 64"), preexec_fn=lower) as command:
        assert command.finish().code == 2
        assert "this process may open 100" in command.failed["cause"]
        assert "ulimit -n" in command.failed["remedy"]
        assert command.of("started") == []


@pytest.mark.parametrize("is_allowed", [False, True])
def test_writes_are_refused_unless_the_target_allows_them(
    tmp_path: Path, small_postgres: PostgresServer, is_allowed: bool
) -> None:
    """The server itself refuses them, in every call, and the remedy names the key."""
    statement = "insert into pgbench_history (tid, bid, aid, delta) values (1, 1, 1, 1)"
    allowed = ("max_size = 2", "read_only = false") if is_allowed else ("max_size = 2",)
    with Command(tmp_path, database(small_postgres.dsn, statement, *allowed), *QUICK) as command:
        command.finish()
        if is_allowed:
            assert command.code in (0, 4)
            assert sum(trial.outcomes["ok"] for trial in command.trials) > 10
        else:
            assert command.code == 2
            assert "ReadOnly" in command.failed["cause"]
            assert "read_only = false" in command.failed["remedy"]
            assert command.trials == []


# -- under load -------------------------------------------------------------------------------


def fill(server: PostgresServer) -> Callable[[], object]:
    """Somebody else takes the database's connections."""
    import asyncio

    import asyncpg

    async def take() -> None:
        taken = []
        try:
            while True:
                taken.append(await asyncpg.connect(server.dsn))
        except asyncpg.TooManyConnectionsError:
            await asyncio.sleep(6.0)
        for connection in taken:
            connection.terminate()

    return lambda: asyncio.run(take())


@pytest.mark.parametrize(
    ("brake", "error", "target"),
    [
        ("refused", "kill", ""),
        ("silence", "silent", ""),
        ("error_share", "truncate", ""),
        ("p99", "trickle", "response_p99 = 0.05"),
    ],
)
def test_a_brake_stops_the_sweep(
    tmp_path: Path, upstream: HttpUpstream, brake: str, error: str, target: str
) -> None:
    """Exit 3; the trial names its brake; earlier trials are kept and the same command resumes."""
    with FaultProxy(upstream.port) as proxy:
        port = proxy.port
        with Command(tmp_path, http(port, target), *LONG) as command:
            command.wait_for("trial")
            command.wait_for("progress", 2)
            if error == "kill":
                upstream.kill()
                proxy.turn("reset")
            else:
                proxy.turn(error)  # type: ignore[arg-type]
            command.finish(40.0)
        assert command.code == 3
        assert f"stopped by the {brake} brake" in command.failed["cause"]
        assert "resumes" in command.failed["remedy"]
        assert command.trials[-1].stopped == brake
        assert command.trials[0].stopped is None
        kept = len(command.trials)
