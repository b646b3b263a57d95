"""Idle timeouts at usual lengths: nginx 7 and 20 s, uvicorn 5 s, PostgreSQL 10 s, PgBouncer."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from poolkit.drivers.parameters.findings import IdleLimit
from poolkit.lab.postgres import PostgresServer
from poolkit.probes.http import dial_http
from poolkit.probes.idle import IdleSearch
from poolkit.probes.line import Dial
from poolkit.probes.postgres import PostgresDialer, find_pooler_limit
from poolkit.targets.workload import HttpWork
from tests.pgbouncer import PgBouncer
from tests.probes.servers import nginx, uvicorn

CAP = 75.0


def _http(url: str) -> Dial:
    return lambda: dial_http(HttpWork("GET", url), None)


async def _find(dial: Dial) -> tuple[IdleLimit, float]:
    began = time.monotonic()
    limit, _ = await IdleSearch(dial, cap=CAP).run()
    return limit, time.monotonic() - began


async def _behind(dial: PostgresDialer) -> tuple[IdleLimit, float]:
    began = time.monotonic()
    limit = await find_pooler_limit(dial, cap=CAP)
    assert limit is not None
    return limit, time.monotonic() - began


def main() -> int:
    """Search all at once; 1 where one is further off than 0.5 s or 5 %, or takes too long."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        postgres = enter(PostgresServer(accounts=10, max_connections=200))
        client = enter(PgBouncer(postgres.dsn, client_idle_timeout=8))
        server = enter(PgBouncer(postgres.dsn, server_idle_timeout=12))
        dials: dict[str, tuple[Dial, float]] = {
            "nginx keepalive_timeout": (_http(enter(nginx(keepalive_timeout="7s"))), 7.0),
            "nginx keepalive_timeout ": (_http(enter(nginx(keepalive_timeout="20s"))), 20.0),
            "uvicorn's default": (_http(enter(uvicorn())), 5.0),
            "idle_session_timeout": (
                PostgresDialer(f"{postgres.dsn}?idle_session_timeout=10000"),
                10.0,
            ),
            "client_idle_timeout": (PostgresDialer(client.dsn), 8.0),
        }

        async def search() -> list[tuple[IdleLimit, float]]:
            searches = [_find(dial) for dial, _ in dials.values()]
            return list(await asyncio.gather(*searches, _behind(PostgresDialer(server.dsn))))

        results = asyncio.run(search())
    rows = [(name.strip(), seconds) for name, (_, seconds) in dials.items()]
    rows.append(("server_idle_timeout", 12.0))
    print(f"{'':26}{'set':>6}{'found':>9}{'off by':>9}{'took':>8}{'allowed':>9}")
    missed = False
    for (name, configured), (limit, took) in zip(rows, results, strict=True):
        found = limit.timeout
        if found is None:
            print(f"{name:26}{configured:>6.0f}  {limit.seen}  MISSED")
            missed = True
            continue
        allowed = 1.3 * configured + 10.0
        is_held = abs(found - configured) <= max(0.5, 0.05 * configured) and took <= allowed
        missed |= not is_held
        print(
            f"{name:26}{configured:>4.0f} s{found:>7.2f} s{found - configured:>+7.2f} s"
            f"{took:>6.1f} s{allowed:>7.0f} s  {'' if is_held else 'MISSED'}"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
