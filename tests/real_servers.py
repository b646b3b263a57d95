"""Real servers of known limits, each on a free port of 127.0.0.1 while its block runs.

They count what they received themselves, refused calls too.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from poolkit.lab.postgres import PostgresServer
from tests.pgbouncer import PgBouncer
from tests.probes.servers import free_port, nginx, running

ROOT = Path(__file__).parents[1]
SERVICE_TIME = 0.018  # s

# What a statement of the database does: it notes the call, then takes the time.
_WORK = """
create unlogged table calls (at timestamptz not null);
create function work(seconds float8) returns int language plpgsql as $$
begin
    insert into calls values (clock_timestamp());
    perform pg_sleep(seconds);
    return 1;
end $$
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Args:
        address: its URL, or the DSN of a database.
        calls: reads arrival (s since 1970) and status of each call so far, in any order; a
            database's status is 200.
    """

    address: str
    calls: Callable[[], list[tuple[float, int]]]

    def arrivals(self) -> list[float]:
        """When each call arrived, in order; s since 1970."""
        return sorted(at for at, _ in self.calls())

    def statuses(self) -> Counter[int]:
        """How many calls got each HTTP status."""
        return Counter(status for _, status in self.calls())


def most_in_window(times: Sequence[float], width: float) -> int:
    """The most of `times` (s, in order) within any `width` seconds."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= width:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_allowed(rate: float, width: float) -> float:
    """Calls that any `width` seconds may hold where `rate` calls/s are not to be exceeded.

    5 % more than the mean, and two sigma of Poisson's distribution.
    """
    mean = rate * width
    return 1.05 * mean + 2.0 * math.sqrt(mean)


@contextlib.contextmanager
def uvicorn(limit_concurrency: int | None = None) -> Iterator[Server]:
    """uvicorn with one worker, which answers 503 from that many open connections on.

    It counts the connection of the call too, and idle ones: a limit of 12 lets 11 through.
    """
    with _log() as log:
        port = free_port()
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
        # Longer than nginx keeps an idle connection to it.
        options += ["--timeout-keep-alive", "75", "--log-config", str(_refusals_to(log))]
        if limit_concurrency is not None:
            options += ["--limit-concurrency", str(limit_concurrency)]
        with running(_python("uvicorn", "tests.slow_apps:asgi", *options, log=log), port):
            yield Server(f"http://127.0.0.1:{port}/", lambda: _read(log))


@contextlib.contextmanager
def gunicorn(threads: int) -> Iterator[Server]:
    """gunicorn with one worker of so many threads; further calls wait in its queue."""
    with _log() as log:
        port = free_port()
        options = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "1"]
        options += ["--threads", str(threads), "--keep-alive", "75", "--log-level", "error"]
        with running(_python("gunicorn", "tests.slow_apps:wsgi", *options, log=log), port):
            yield Server(f"http://127.0.0.1:{port}/", lambda: _read(log))


@contextlib.contextmanager
def nginx_limit_conn(most: int, status: int = 503) -> Iterator[Server]:
    """nginx before uvicorn; it answers 503 to calls beyond so many at once.

    With a `status` of 444 it closes their connections and answers nothing.
    """
    zone = "limit_conn_zone $binary_remote_addr zone=callers:1m;"
    limit = f"limit_conn callers {most}; limit_conn_status {status};"
    with _limiting_nginx(zone, limit) as server:
        yield server


@contextlib.contextmanager
def nginx_limit_req(rate: int, burst: int) -> Iterator[Server]:
    """nginx before uvicorn; it answers 429 beyond `rate` calls/s and a bucket of `burst`."""
    zone = f"limit_req_zone $binary_remote_addr zone=callers:1m rate={rate}r/s;\n"
    limit = f"limit_req zone=callers burst={burst} nodelay;"
    with _limiting_nginx(f"{zone}limit_req_status 429;", limit) as server:
        yield server


@contextlib.contextmanager
def pgbouncer(servers: int) -> Iterator[Server]:
    """PgBouncer in transaction mode with so many connections to PostgreSQL.

    `select work(0.018)` takes that many seconds of one of them.
    """
    with PostgresServer(accounts=10) as postgres:
        with psycopg.connect(postgres.dsn) as connection:
            connection.execute(_WORK)
        with PgBouncer(postgres.dsn, pool_size=servers) as pooler:
            yield Server(pooler.dsn, lambda: _read_table(postgres.dsn))


@contextlib.contextmanager
def _limiting_nginx(zone: str, limit: str) -> Iterator[Server]:
    """A limiter's key must not be empty: nginx lets calls without a key pass."""
    with uvicorn() as upstream, _log() as log:
        host = upstream.address.removeprefix("http://").removesuffix("/")
        http = (
            f"upstream app {{ server {host}; keepalive 64; }}\n{zone}\n"
            f"log_format seen '$msec $status $request_time';\naccess_log {log} seen;\n"
        )
        location = (
            f"{limit} proxy_pass http://app; proxy_http_version 1.1; "
            'proxy_set_header Connection "";'
        )
        with nginx(http=http, location=location) as url:
            yield Server(url, lambda: _read(log))


@contextlib.contextmanager
def _log() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="poolkit-server-") as folder:
        log = Path(folder) / "calls"
        log.touch()
        yield log


def _read(log: Path) -> list[tuple[float, int]]:
    """Lines of `time status`, and nginx's `time status took`, whose time is that of the answer."""
    rows = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
    return [(float(row[0]) - float(row[2] if len(row) > 2 else 0.0), int(row[1])) for row in rows]


def _read_table(dsn: str) -> list[tuple[float, int]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select extract(epoch from at)::float8 from calls").fetchall()
    return [(at, 200) for (at,) in rows]


def _refusals_to(log: Path) -> Path:
    """A file for uvicorn that sends its one warning, the concurrency limit, to the calls' log."""
    path = log.with_name("logging.json")
    settings = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"call": {"format": "%(created).6f 503"}},
        "handlers": {
            "calls": {
                "class": "logging.FileHandler",
                "filename": str(log),
                "formatter": "call",
                "level": "WARNING",
            }
        },
        "loggers": {"uvicorn": {"handlers": ["calls"], "propagate": False}},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def _python(module: str, *words: str, log: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"SERVICE_TIME": str(SERVICE_TIME), "CALLS_LOG": str(log), "PYTHONPATH": path}
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(command, cwd=log.parent, env=os.environ | own)
