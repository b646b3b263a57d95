"""A user's function that keeps its connections: named, and not taken for a silent server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolkit.lab.postgres import PostgresServer
from tests.faults.driving import Command

pytestmark = pytest.mark.lab

# From the `after`-th call on it keeps connections: a response that is never read to its end, or a
# task that takes a connection when the call has given its own back.
WORK = """
import asyncio, itertools
calls, kept = itertools.count(), []
async def aiohttp(session):
    if next(calls) >= {after}:
        kept.append(await session.get("{url}endless"))
        return
    async with session.get("{url}") as response:
        await response.read()
async def asyncpg(connection):
    await connection.fetch("select 1")
    if next(calls) >= {after}:
        kept.append(asyncio.create_task(keep(connection._holder._pool)))
async def keep(pool):
    kept.append(await pool.acquire())
"""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Two bytes, or the beginning of ten million."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_endless = self.path.endswith("endless")
        self.send_response(200)
        self.send_header("Content-Length", str(10_000_000 if is_endless else 2))
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    return postgres.dsn


@pytest.mark.parametrize("driver", ["aiohttp", "asyncpg"])
@pytest.mark.parametrize(
    ("after", "code", "cause"), [(0, 2, "does not give"), (20, 3, "stopped by the work_leak brake")]
)
def test_a_function_that_keeps_its_connections_is_named(
    tmp_path: Path, url: str, dsn: str, driver: str, after: int, code: int, cause: str
) -> None:
    """At the first call before any load; under load it is the brake, not the server's silence."""
    (tmp_path / "leaky_work.py").write_text(WORK.replace("{url}", url).format(after=after))
    where = f'url = "{url}"' if driver == "aiohttp" else f'dsn = "{dsn}"'
    target = f'driver = "{driver}"\n{where}\nwork = "leaky_work:{driver}"'
    quick = ("--sizes", "2", "--budget", "20")
    with Command(tmp_path, target, *quick, cwd=tmp_path) as command:
        command.finish()
        assert command.code == code
        assert cause in command.failed["cause"]
        assert f"leaky_work:{driver} does not give its connections back" in command.failed["cause"]
        assert "async with" in command.failed["remedy"]
        assert [trial.stopped for trial in command.trials] == ["work_leak"] * (code == 3)
