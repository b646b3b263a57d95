"""Two servers of the lab that end what idles: an HTTP service behind TLS, and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from poolkit.lab.child import side_by_side
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
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
    names = ("localhost", RENAMED) if can_speak_tls() else None
    web = HttpUpstream(_SERVICE, keepalive=TIMEOUT, tls_names=names)
    database = PostgresServer(accounts=10)
    environment = dict(os.environ)
    with contextlib.ExitStack() as stack:
        stack.enter_context(side_by_side(database, web))
        # By name, so that there is a record which could change.
        url = web.url.replace("127.0.0.1", "localhost")
        if names is not None:
            environment["SSL_CERT_FILE"] = str(web.certificate)
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
