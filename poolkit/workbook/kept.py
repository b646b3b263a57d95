"""Two servers of the lab that end what idles: an HTTP service behind TLS, and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.tls import TlsFront, can_make
from poolkit.lab.upstream import HttpUpstream
from poolkit.probes.names import NAME as RENAMED

WEB, DATABASE = "kept-web", "kept-db"
TIMEOUT = 2.0  # s for which both keep an idle connection
DSN_VARIABLE = "POOLKIT_KEPT_DSN"
_SERVICE = Workers(workers=24, service_time=0.005, cv=0.3)


@dataclass(frozen=True)
class Kept:
    """Servers that run: the targets.toml, and what a process needs that reads it."""

    targets: Path
    environment: dict[str, str]


@contextlib.contextmanager
def kept() -> Iterator[Kept]:
    """Both servers, while it lasts; without TLS where this machine cannot make a certificate."""
    web = HttpUpstream(_SERVICE, keepalive=TIMEOUT)
    database = PostgresServer(accounts=10)
    environment = dict(os.environ)
    with contextlib.ExitStack() as stack:
        for server in (database, web):
            server.start()
            stack.callback(server.close)
        for server in (database, web):
            server.wait_ready()
        # By name, so that there is a record which could change.
        url = f"http://localhost:{web.port}/"
        if can_make():
            front = stack.enter_context(TlsFront(web.port, ("localhost", RENAMED)))
            environment["SSL_CERT_FILE"] = str(front.certificate)
            url = f"https://localhost:{front.port}/"
        environment[DSN_VARIABLE] = f"{database.dsn}?idle_session_timeout={round(1000 * TIMEOUT)}"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-kept-")))
        file = folder / "targets.toml"
        file.write_text(_toml(url), encoding="utf-8")
        yield Kept(file, environment)


def _toml(url: str) -> str:
    return f"""\
[targets.{WEB}]
driver = "aiohttp"
url = "{url}"
target_rate = 800
wait_p99 = 0.010
max_size = 32

[targets.{DATABASE}]
driver = "sqlalchemy"
dsn_env = "{DSN_VARIABLE}"
statements = ["select pg_sleep(0.004)"]
target_rate = 800
wait_p99 = 0.010
max_size = 32
"""
