"""The timeouts of nginx, uvicorn, the lab, PostgreSQL and PgBouncer, all searched side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import NamedTuple

import pytest

from poolkit.drivers.parameters.findings import IdleLimit
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.probes.http import dial_http, find_use_limit, tls_context
from poolkit.probes.idle import IdleSearch
from poolkit.probes.line import Dial
from poolkit.probes.postgres import PostgresDialer, find_pooler_limit
from poolkit.targets.workload import HttpWork
from tests.pgbouncer import PgBouncer
from tests.probes.servers import certificate, nginx, uvicorn

pytestmark = pytest.mark.lab

CAP = 15.0


class Found(NamedTuple):
    limit: IdleLimit
    configured: float


def http(url: str) -> Dial:
    work = HttpWork("GET", url)
    return lambda: dial_http(work, tls_context(url))


async def search(dial: Dial) -> IdleLimit:
    limit, _ = await IdleSearch(dial, cap=CAP, connections=12).run()
    return limit


@pytest.fixture(scope="module")
def found(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    pair = certificate(tmp_path_factory.mktemp("tls"))
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(pair[0]))
        enter = stack.enter_context
        dials: dict[str, tuple[Dial, float]] = {
            "nginx": (http(enter(nginx(keepalive_timeout="2s"))), 2.0),
            "nginx with TLS": (http(enter(nginx(tls=pair, keepalive_timeout="1s"))), 1.0),
            "uvicorn": (http(enter(uvicorn(2))), 2.0),
            "the lab": (
                http(
                    enter(HttpUpstream(Workers(workers=4, service_time=0.001), keepalive=1.5)).url
                ),
                1.5,
            ),
            "idle_session_timeout": (
                PostgresDialer(f"{postgres.dsn}?idle_session_timeout=2000"),
                2.0,
            ),
            "idle_in_transaction_session_timeout": (
                PostgresDialer(
                    f"{postgres.dsn}?idle_in_transaction_session_timeout=1500", in_transaction=True
                ),
                1.5,
            ),
            "client_idle_timeout": (
                PostgresDialer(enter(PgBouncer(postgres.dsn, client_idle_timeout=2)).dsn),
                2.0,
            ),
        }
        pooled = PostgresDialer(enter(PgBouncer(postgres.dsn, server_idle_timeout=2)).dsn)

        async def behind() -> IdleLimit:
            limit = await find_pooler_limit(pooled, cap=CAP)
            assert limit is not None
            return limit

        async def all_of_them() -> list[IdleLimit]:
            searches: list[Awaitable[IdleLimit]] = [search(dial) for dial, _ in dials.values()]
            return list(await asyncio.gather(*searches, behind()))

        limits = asyncio.run(all_of_them())
    configured = [seconds for _, seconds in dials.values()] + [2.0]
    names = [*dials, "server_idle_timeout"]
    return {
        name: Found(limit, seconds)
        for name, limit, seconds in zip(names, limits, configured, strict=True)
    }


@pytest.mark.parametrize(
    "server",
    [
        "nginx",
        "nginx with TLS",
        "uvicorn",
        "the lab",
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
        "client_idle_timeout",
    ],
)
def test_the_configured_timeout_is_found(found: dict[str, Found], server: str) -> None:
    """Within 0.5 s, and by the close that the server announces."""
    limit, configured = found[server]
    assert limit.kind == "closed", limit.seen
    assert limit.timeout == pytest.approx(configured, abs=0.5)
    assert limit.seconds < 1.3 * configured + 10.0


def test_a_pooler_s_own_sessions_are_watched_from_within(found: dict[str, Found]) -> None:
    """PgBouncer's server_idle_timeout, which its clients are never told.

    It looks at its sessions every few hundred milliseconds, and so do we.
    """
    limit, configured = found["server_idle_timeout"]
    assert limit.session == "behind_pooler"
    assert limit.timeout == pytest.approx(configured, abs=1.0)


@pytest.mark.parametrize(("setting", "expected"), [(5, 5), (1000, None)])
def test_nginx_s_requests_a_connection(setting: int, expected: int | None) -> None:
    """keepalive_requests is found exactly, or `more than` what was tried."""
    with nginx(keepalive_requests=setting) as url:
        uses = asyncio.run(find_use_limit(http(url), rate=1e6, most=100))
    assert uses.requests == expected


def test_keepalive_off_keeps_nothing() -> None:
    """keepalive_timeout 0: each answer closes its connection."""
    with nginx(keepalive_timeout=0) as url:
        uses = asyncio.run(find_use_limit(http(url), rate=1e6, most=100))
    assert (uses.requests, uses.is_announced) == (1, True)
