"""Whatever happens to connections: no hang, and every planned call has a record and an outcome."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolkit.drivers.registry import DRIVERS
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.brakes import Brakes
from tests.faults.driving import (
    FIRST,
    GRACE,
    HTTP_DRIVERS,
    LONGEST,
    Loop,
    drive,
    fails_as,
    has_recovered,
    nothing_ends,
    target_of,
)
from tests.faults.proxy import FaultProxy, Mode
from tests.redis_server import RedisServer

pytestmark = pytest.mark.lab

HTTP = list(HTTP_DRIVERS)
DATABASE = sorted(set(DRIVERS) - set(HTTP))
EVERY = [*HTTP, *DATABASE]
KINDS = {"truncate": "truncated_body", "reset": "disconnected"}
TO_THE_END = 15.0  # s of grace: whatever was begun ends by itself

Case = tuple[str, Loop, Mode]  # of a driver


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def server_of(request: pytest.FixtureRequest, driver: str) -> Any:
    name = "upstream" if driver in HTTP else "redis" if driver == "redis" else "postgres"
    return request.getfixturevalue(name)


def address(server: Any) -> str:
    """Where a driver finds its server."""
    return str(server.dsn if isinstance(server, PostgresServer) else server.url)


CASES: list[Case] = [
    *[(driver, "open", mode) for driver in EVERY for mode in ("silent", "reset")],
    *[(driver, "open", "truncate") for driver in HTTP],
    # To a client a reply that trickles is a silence that reads; httpx2 reads as httpx does.
    *[(driver, "open", "trickle") for driver in ("aiohttp", "httpx")],
    *[("aiohttp", "closed", mode) for mode in ("silent", "reset")],
]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_every_planned_call_has_a_record(request: pytest.FixtureRequest, case: Case) -> None:
    """Outcomes add up to the planned calls, and neither the trial's end nor closing hangs."""
    driver, loop, mode = case
    server = server_of(request, driver)
    with FaultProxy(server.port) as proxy:
        where = address(server).replace(f":{server.port}/", f":{proxy.port}/")
        target = target_of(driver, where)
        is_silent = mode in ("silent", "trickle")
        until = nothing_ends() if is_silent else fails_as(KINDS[mode])
        grace = TO_THE_END if mode == "truncate" else GRACE
        ending = drive(target, loop, fault=lambda: proxy.turn(mode), until=until, grace=grace)
    assert ending.outcomes["ok"] >= FIRST
    if is_silent:
        # Nobody waits for the call timeout (30 s): the grace ends, and what is left is cancelled.
        assert ending.outcomes["unfinished"] > 0
        assert ending.stopped == "silence"
    else:
        assert ending.pool.kinds[KINDS[mode]] > 0
    if mode == "truncate":
        # Of those that were begun; one that was due at the very end may not have been.
        assert ending.pool.served + ending.pool.kinds.total() == ending.pool.begun
    assert ending.seconds < LONGEST


@pytest.mark.parametrize(
    ("driver", "loop"), [("aiohttp", "closed"), *[(driver, "open") for driver in HTTP[1:]]]
)
def test_a_pool_recovers_when_its_upstream_does(driver: str, loop: Loop) -> None:
    """Killed and started again in mid-trial: failures are recorded, then calls succeed again."""
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:

        def again() -> None:
            server.kill()
            server.restart()

        target = target_of(driver, server.url)
        ending = drive(target, loop, fault=again, until=has_recovered, grace=TO_THE_END)
    # Calls on connections that it took and never served are `rejected`.
    assert ending.outcomes["error"] + ending.outcomes["rejected"] == ending.pool.kinds.total() > 0
    assert set(ending.pool.kinds) <= {"disconnected", "connection_refused"}
    assert ending.pool.recovered >= FIRST


@pytest.mark.parametrize("driver", DATABASE)
def test_a_pool_recovers_when_its_database_does(
    request: pytest.FixtureRequest, driver: str
) -> None:
    """Every session cut and the server started again in mid-trial, in an open loop."""
    server = server_of(request, driver)
    target = target_of(driver, address(server))
    ending = drive(target, "open", fault=server.restart, until=has_recovered)
    # Whether a call was under way at the cut, or only dialled after it, is up to the moment.
    assert ending.pool.kinds.total() == ending.outcomes["error"] + ending.outcomes["rejected"] > 0
    assert {"disconnected", "connection_refused"} & set(ending.pool.kinds)
    assert ending.pool.recovered >= FIRST


def test_a_trial_that_a_brake_ends_has_every_call_too(upstream: HttpUpstream) -> None:
    """A brake does not wait for the grace: what is under way is cancelled and recorded."""
    with FaultProxy(upstream.port) as proxy:
        ending = drive(
            target_of("aiohttp", f"http://127.0.0.1:{proxy.port}/"),
            "open",
            fault=lambda: proxy.turn("silent"),
            grace=LONGEST,
            brakes=Brakes(max_silence=0.5),
        )
    assert ending.stopped == "silence"
    assert ending.seconds < LONGEST
    assert ending.outcomes["unfinished"] > 20


@pytest.mark.parametrize(
    ("brakes", "stopped"),
    [
        (Brakes(max_calls=50), "calls"),
        (Brakes(max_rate=50.0), "rate"),
        (Brakes(max_connections=2), "connections"),
        (Brakes(max_held_p99=0.001), "p99"),
    ],
    ids=["calls", "rate", "connections", "p99"],
)
def test_hard_caps_stop_a_trial(upstream: HttpUpstream, brakes: Brakes, stopped: str) -> None:
    """Each cap is met by load that passes it, and what was measured before is kept."""
    ending = drive(target_of("aiohttp", upstream.url), "closed", brakes=brakes)
    assert ending.stopped == stopped
    assert ending.seconds < LONGEST
    assert ending.due


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody trusts."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    words += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize("driver", HTTP)
def test_a_wrong_certificate_is_an_outcome(
    upstream: HttpUpstream, certificate: ssl.SSLContext, driver: str
) -> None:
    """Every call fails with `tls_certificate`; none gets through untrusted."""
    with FaultProxy(upstream.port, certificate) as proxy:
        target = target_of(driver, f"https://127.0.0.1:{proxy.port}/")
        ending = drive(target, "open", until=lambda pool: pool.kinds.total() >= FIRST)
    assert set(ending.pool.kinds) == {"tls_certificate"}
    assert ending.outcomes["ok"] == 0
