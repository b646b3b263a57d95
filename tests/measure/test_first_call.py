"""What the first call learns of an HTTP server: how long it says that it keeps a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from poolkit.drivers.http import kept_for
from poolkit.errors import ExitCode, Unreachable
from poolkit.lab.postgres import PostgresServer
from poolkit.measure.preflight import FirstCall, check_first_call
from poolkit.measure.session import Session
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import TrialPlan
from tests.recommend.examples import database_target, http_target


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("timeout=5, max=100", 5.0),
        ("max=100, timeout=75", 75.0),
        ("max=100,Timeout = 20", 20.0),
        ('timeout="7"', 7.0),
        ("timeout=0", 0.0),
        ("max=100", None),
        ("notimeout=5", None),
        ("timeout=-5", None),
        ("timeout=soon", None),
        ("", None),
        ("timeout=" + "9" * 5000, 999_999_999.0),
        ("timeout=\u0665", None),  # a digit that is none in HTTP
    ],
)
def test_the_header_is_read_as_servers_write_it(header: str, seconds: float | None) -> None:
    """Node, Apache and nginx send it; nonsense says nothing."""
    assert kept_for(header) == seconds


async def first_call(headers: list[str | None], driver: str) -> FirstCall:
    """One call to a path for each header, which the server sends there."""

    async def serve(request: web.Request) -> web.Response:
        header = headers[int(request.match_info["n"])]
        return web.Response(text="ok", headers={} if header is None else {"Keep-Alive": header})

    application = web.Application()
    application.router.add_get("/{n}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        urls = tuple(f"http://127.0.0.1:{port}/{n}" for n in range(len(headers)))
        where = {"url": urls[0]} if len(urls) == 1 else {"url": None, "urls": urls}
        return await check_first_call(http_target(driver=driver, **where))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("driver", ["aiohttp", "httpx"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [(["timeout=5"], 5.0), ([None], None)],
)
def test_the_first_call_sees_what_the_server_says(
    driver: str, headers: list[str | None], seconds: float | None
) -> None:
    """From the reply's own header; without one nothing is known."""
    assert asyncio.run(first_call(headers, driver)).facts.keep_alive == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [(["timeout=75", "timeout=5"], 5.0), (["timeout=75", None], None)],
)
def test_of_several_addresses_the_shortest_counts(
    headers: list[str | None], seconds: float | None
) -> None:
    """One that says nothing may close before all the others."""
    assert asyncio.run(first_call(headers, "aiohttp")).facts.keep_alive == seconds


class Says(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("Keep-Alive", "timeout=5, max=1000")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def test_every_trial_keeps_what_the_first_call_saw(tmp_path: Path) -> None:
    """On disk too, where a review reads them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        log = tmp_path / "orders-api.trials.jsonl"
        target = http_target(url=f"http://127.0.0.1:{server.server_port}/")
        session = Session(target, log, lambda _event: None, budget=5.0, deadline=20.0)

        async def steps() -> ExitCode:
            await session.run(TrialPlan("ramp", 2, 0.0, 0.3, "a test", callers=2), seed=1)
            return ExitCode.DONE

        assert session.carry_out(steps) == ExitCode.DONE
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (trial,) = TrialLog(log).resume(target.fingerprint)
    assert (trial.keep_alive, trial.pooler) == (5.0, None)


@pytest.mark.lab
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "sqlalchemy"])
def test_a_database_killed_in_the_first_call_is_told(driver: str) -> None:
    """By SIGKILL: in time, as what it is; and the lab starts it anew and leaves nothing."""

    async def killed(server: PostgresServer) -> None:
        dsn = SecretStr(server.dsn)
        target = database_target(driver=driver, dsn=dsn, dsn_env=None, statements=HANGS)
        call = asyncio.create_task(check_first_call(target))
        connection = await asyncpg.connect(server.dsn)
        while not await connection.fetchval(HANGING):
            await asyncio.sleep(0.01)
        assert server.server_pid is not None
        os.kill(server.server_pid, signal.SIGKILL)
        connection.terminate()
        await call

    with PostgresServer(accounts=10) as server:
        with pytest.raises(Unreachable, match="disconnected") as caught:
            asyncio.run(killed(server))
        assert "see its log" in caught.value.remedy
        server.restart()
        assert asyncio.run(_answer(server.dsn)) == 10
        folder = Path(server.folder)
    assert not folder.exists()


HANGS = ("select pg_sleep(60)",)
HANGING = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'"


async def _answer(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select count(*) from pgbench_accounts"))
    finally:
        await connection.close()
