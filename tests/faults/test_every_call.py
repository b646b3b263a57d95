"""Whatever happens to connections: no hang, and every planned call has a record and an outcome."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from poolkit.drivers.registry import DRIVERS
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.brakes import Brakes
from tests.faults.driving import (
    ENDURING,
    GRACE,
    HTTP_DRIVERS,
    SECONDS,
    Ending,
    Loop,
    drive,
    target_of,
)
from tests.faults.proxy import FaultProxy, Mode

pytestmark = pytest.mark.lab

HTTP = list(HTTP_DRIVERS)
DATABASE = sorted(set(DRIVERS) - set(HTTP))
EVERY = [*HTTP, *DATABASE]
FAULT_AT = 0.3  # s
SIDE_BY_SIDE = 2  # more, and a loop that shares the cores may serve nobody before its fault

Case = tuple[str, Loop, Mode]  # of a driver


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(accounts=100) as server:
        yield server


def address(request: pytest.FixtureRequest, driver: str) -> str:
    """Where the driver finds its server."""
    if driver in HTTP:
        return f"http://127.0.0.1:{port_of(request, driver)}/"
    dsn: str = request.getfixturevalue("postgres").dsn
    return dsn


def port_of(request: pytest.FixtureRequest, driver: str) -> int:
    name = "upstream" if driver in HTTP else "postgres"
    port: int = request.getfixturevalue(name).port
    return port


CASES: list[Case] = [
    *[(driver, "open", mode) for driver in EVERY for mode in ("silent", "reset")],
    *[(driver, "open", mode) for driver in HTTP for mode in ("trickle", "truncate")],
    *[("aiohttp", "closed", mode) for mode in ("silent", "reset", "truncate")],
    *[("asyncpg", "closed", mode) for mode in ("silent", "reset")],
]


@pytest.fixture(scope="module")
def endings(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[Ending]]]:
    """Every case side by side: they mostly wait, each on a loop and a proxy of its own."""
    addresses = {driver: (port_of(request, driver), address(request, driver)) for driver in EVERY}

    def run(case: Case) -> Ending:
        driver, loop, mode = case
        port, where = addresses[driver]
        with FaultProxy(port) as proxy:
            target = target_of(driver, where.replace(f":{port}/", f":{proxy.port}/"))
            return drive(target, loop, faults={FAULT_AT: lambda: proxy.turn(mode)})

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        yield {case: threads.submit(run, case) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_every_planned_call_has_a_record(endings: dict[Case, Future[Ending]], case: Case) -> None:
    """Outcomes add up to the planned calls, and neither the trial's end nor closing hangs."""
    ending = endings[case].result(60.0)
    mode = case[2]
    # Stopped in mid-schedule: the call that was due at that very moment has a record as well.
    assert ending.recorded - ending.planned in ((0, 1) if ending.stopped else (0,))
    assert ending.outcomes["ok"] > 0  # before the fault
    if mode in ("silent", "trickle"):
        # Nobody waits for the call timeout (30 s): the grace ends, and what is left is cancelled.
        assert ending.outcomes["unfinished"] > 0
        assert ending.kinds["unfinished"] == ending.outcomes["unfinished"]
        assert ending.stopped == "silence"
    elif mode == "truncate":
        assert ending.kinds["truncated_body"] > 0
        assert ending.outcomes["unfinished"] == 0
    else:
        assert ending.kinds["disconnected"] > 0
    assert ending.seconds < SECONDS + GRACE + 2.0
    assert ending.closing < 3.0


@pytest.mark.parametrize(
    ("driver", "loop"), [("aiohttp", "closed"), *[(driver, "open") for driver in HTTP]]
)
def test_a_pool_recovers_when_its_upstream_does(driver: str, loop: Loop) -> None:
    """Killed and started again in mid-trial: failures are recorded, then calls succeed again."""
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:

        def again() -> None:
            server.kill()
            server.restart()

        target = target_of(driver, server.url)
        ending = drive(target, loop, faults={0.3: again}, seconds=1.5)
    assert ending.recorded == ending.planned
    assert ending.outcomes["error"] > 0
    assert set(ending.kinds) <= {"disconnected", "connection_refused"}
    assert ending.last_success > 1.3


@pytest.mark.parametrize("driver", DATABASE)
def test_a_pool_recovers_when_postgres_does(postgres: PostgresServer, driver: str) -> None:
    """Every session cut and the server started again in mid-trial, in an open loop."""
    target = target_of(driver, postgres.dsn)
    ending = drive(target, "open", faults={0.3: postgres.restart}, seconds=2.0)
    assert ending.recorded == ending.planned
    assert ending.kinds["disconnected"] > 0
    assert ending.last_success > 1.7


def test_a_trial_that_a_brake_ends_has_every_call_too(upstream: HttpUpstream) -> None:
    """A brake does not wait for the grace: what is under way is cancelled and recorded."""
    with FaultProxy(upstream.port) as proxy:
        target = target_of("aiohttp", f"http://127.0.0.1:{proxy.port}/")
        began = time.perf_counter()
        ending = drive(
            target,
            "open",
            faults={FAULT_AT: lambda: proxy.turn("silent")},
            seconds=20.0,
            grace=10.0,
            brakes=Brakes(max_silence=0.5),
        )
    assert time.perf_counter() - began < 6.0
    assert ending.stopped == "silence"
    # A call that was due at that moment and was not begun any more has a record as well.
    assert ending.recorded - ending.planned in (0, 1)
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
    target = target_of("aiohttp", upstream.url)
    ending = drive(target, "closed", faults={}, seconds=20.0, brakes=brakes)
    assert ending.stopped == stopped
    assert ending.seconds < 3.0
    assert ending.recorded == ending.planned > 0


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
        ending = drive(target, "open", faults={}, brakes=ENDURING)
    assert ending.recorded == ending.planned
    assert set(ending.kinds) == {"tls_certificate"}
    assert ending.outcomes["ok"] == 0
