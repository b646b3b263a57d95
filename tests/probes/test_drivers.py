"""Proof, costs, cuts and DNS through the real drivers on real servers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from dnslib import RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSServer
from pydantic import SecretStr

from poolkit.drivers.parameters.findings import IdleLimit, Proof
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.probes import costs as probing_costs
from poolkit.probes import probe_costs, probe_dns
from poolkit.probes.http import request, upstream
from poolkit.probes.line import Upstream
from poolkit.probes.names import KEPT_CALLS, NAME, NEW, OLD, watch_change
from poolkit.probes.proof import prove
from poolkit.probes.records import CutKind, Setting, StaleCount
from poolkit.probes.relay import Relay
from poolkit.probes.stale import count_cut, count_stale, settings
from poolkit.targets import Target

pytestmark = [pytest.mark.lab, pytest.mark.alone]

TIMEOUT = 1.5  # s
HTTP, SQL = ("aiohttp", "httpx"), ("asyncpg", "sqlalchemy", "psycopg")
KNOWN = IdleLimit(kind="closed", timeout=TIMEOUT, bounds=(TIMEOUT, TIMEOUT), cap=75.0, seen="")


@pytest.fixture(scope="module")
def lab() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=64, service_time=0.001), keepalive=TIMEOUT) as server:
        yield server


@pytest.fixture(scope="module")
def targets(lab: HttpUpstream, postgres: PostgresServer) -> dict[str, Target]:
    """One of every driver, with a server timeout of 1.5 s."""
    dsn = f"{postgres.dsn}?options=-c%20idle_session_timeout%3D{TIMEOUT * 1000:.0f}"
    made = {}
    for driver in HTTP:
        made[driver] = Target(name="lab", driver=driver, url=lab.url, target_rate=5000.0)
    for driver in SQL:
        made[driver] = Target(
            name="lab",
            driver=driver,
            dsn=SecretStr(dsn),
            statements=("select 1",),
            target_rate=5000.0,
            max_size=16,
        )
    return made


@pytest.fixture
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    """The target of the driver that the test is asked for."""
    return targets[request.param]


every_driver = pytest.mark.parametrize("target", [*HTTP, *SQL], indirect=True)


@pytest.fixture(scope="module")
def proofs(targets: dict[str, Target]) -> dict[str, Proof | str]:
    """Two at a time, since they mostly wait."""

    async def together(drivers: tuple[str, ...]) -> dict[str, Proof | str]:
        results = await asyncio.gather(*(prove(targets[driver], KNOWN) for driver in drivers))
        return dict(zip(drivers, results, strict=True))

    found = {}
    for drivers in (HTTP, SQL[:2], SQL[2:]):
        found |= asyncio.run(together(drivers))
    return found


@pytest.fixture(scope="module")
def cuts(targets: dict[str, Target]) -> dict[str, tuple[StaleCount, ...] | str]:
    """Side by side, since they mostly wait."""

    async def all_of_them() -> list[tuple[StaleCount, ...] | str]:
        return list(await asyncio.gather(*(count_stale(one) for one in targets.values())))

    return dict(zip(targets, asyncio.run(all_of_them()), strict=True))


@every_driver
def test_the_recommended_value_meets_no_close_and_one_too_long_does(
    target: Target, proofs: dict[str, Proof | str]
) -> None:
    """No call fails and reuse is above 0.9; the too long value shows dead connections."""
    proof = proofs[target.driver]
    assert isinstance(proof, Proof), proof
    assert proof.holds, proof.seen
    assert proof.recommended.failed == 0
    assert proof.recommended.reuse_ratio > 0.9
    assert proof.too_long.disconnects > 0
    if target.driver != "psycopg":  # whose own way is to find them by asking
        assert proof.recommended.disconnects == 0
    if target.driver != "aiohttp":  # which repeats a GET in silence
        assert proof.too_long.failed > 0


def of(counts: tuple[StaleCount, ...], setting: Setting, cut: CutKind) -> StaleCount:
    return next(count for count in counts if (count.setting, count.cut) == (setting, cut))


@every_driver
def test_what_a_cut_lets_through(
    target: Target, cuts: dict[str, tuple[StaleCount, ...] | str]
) -> None:
    """A connection dropped in silence fails a call, unless it is asked, recycled or repeated."""
    counts = cuts[target.driver]
    assert not isinstance(counts, str), counts
    assert {count.setting for count in counts} == set(settings(target.driver))
    for count in counts:
        if count.setting != "none":
            assert count.failed == 0, count
    dropped = of(counts, "none", "drop")
    assert dropped.disconnects > 0
    if target.driver == "aiohttp":
        assert dropped.failed == 0  # a GET is repeated by itself
    else:
        assert dropped.failed > 0
        assert of(counts, "retry", "drop").retries > 0


@pytest.mark.parametrize("setting", ["none", "pre_ping", "retry"])
@pytest.mark.parametrize("driver", ["sqlalchemy", "psycopg"])
def test_a_server_that_really_restarts(
    postgres: PostgresServer, driver: str, setting: Setting
) -> None:
    """A crash and a restart of PostgreSQL under the pool: pre_ping and retry hide it, none not."""
    target = Target(
        name="db",
        driver=driver,
        dsn=SecretStr(postgres.dsn),
        statements=("select 1",),
        target_rate=100.0,
        max_size=4,
    )

    async def restart(_kind: CutKind) -> None:
        await asyncio.to_thread(postgres.restart)

    count = asyncio.run(count_cut(target, setting, "restart", restart))
    assert (count.failed > 0) is (setting == "none")
    assert count.disconnects > 0


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("aiohttp", {"dial", "TCP"}),
        ("asyncpg", {"reset on release", "setup callback", "no prepared-statement cache", "dial"}),
        ("sqlalchemy", {"pool_pre_ping", "rollback on checkin", "checkout callback", "dial"}),
        ("psycopg", {"check", "transaction", "reset callback", "dial"}),
    ],
    indirect=["target"],
)
def test_the_costs_are_measured(
    target: Target, names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in seconds with an interval, those of a checkout with what they take of throughput."""
    monkeypatch.setattr(probing_costs, "ROUND", 0.02)
    found = probe_costs(target, size=2)
    costs = found.costs
    assert costs is not None, found.doubts
    assert costs.pool_size == 2
    by_name = {cost.name: cost for cost in costs.costs}
    assert names <= set(by_name)
    assert by_name["dial"].seconds > 0
    for cost in costs.costs:
        assert cost.interval95 is not None
        assert cost.interval95[0] <= cost.seconds <= cost.interval95[1]
        assert cost.lost_share is not None
    if target.driver == "asyncpg":
        # A round trip less cannot make it dearer, however busy the machine.
        assert by_name["reset on release"].seconds > 0
    if target.driver in SQL:
        assert costs.throughput is not None
        assert "TLS handshake" in costs.skipped


class Zone(BaseResolver):  # type: ignore[misc]
    """A name server with one record that lives for an hour, and can be changed."""

    def __init__(self) -> None:
        self.address = OLD

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        reply = request.reply()
        reply.add_answer(RR(request.q.qname, rdata=A(self.address), ttl=3600))
        return reply


class AskingResolver(AbstractResolver):
    """Asks the name server on a port of this machine, each time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        question = DNSRecord.question(host)
        packet = await asyncio.to_thread(question.send, OLD, self._port, timeout=5)
        address = str(DNSRecord.parse(packet).short())
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("target", ["aiohttp"], indirect=True)
def test_a_changed_record_is_followed_by_dials_after_the_cache_s_time(target: Target) -> None:
    """By ttl_dns_cache, not by the record's TTL of an hour; kept connections do not follow."""
    zone = Zone()
    server = DNSServer(zone, address=OLD, port=0)
    server.start_thread()

    def change() -> None:
        zone.address = NEW

    async def go() -> tuple[float | None, int, int]:
        where = upstream(target)
        assert isinstance(where, Upstream)
        resolver = AskingResolver(server.server.server_address[1])
        async with Relay(where, hosts=(OLD, NEW)) as relay:
            work = request(target, relay.port, NAME)
            old_for, kept = await watch_change(work, relay, resolver, change, ttl=1)
            return old_for, kept, resolver.asked

    try:
        old_for, kept_on_old, asked = asyncio.run(go())
    finally:
        server.stop()
        server.server.server_close()
    assert old_for is not None
    assert 0.5 < old_for < 4.0
    assert kept_on_old == KEPT_CALLS
    assert asked <= 8  # the cache answers in between


def test_a_name_is_looked_up_and_an_address_is_not(lab: HttpUpstream) -> None:
    """`localhost` is a name with a look-up time; 127.0.0.1 has no record that could change."""
    began = time.monotonic()
    named = Target(
        name="n",
        driver="aiohttp",
        url=lab.url.replace("127.0.0.1", "localhost"),
        target_rate=100.0,
        ttl_dns_cache=300,
    )
    found = probe_dns(named)
    assert found.names is not None
    assert found.names.lookup is not None
    assert found.names.old_for is not None
    assert found.names.kept_on_old == KEPT_CALLS
    assert [p.name for p in found.parameters] == ["ttl_dns_cache"]
    assert "the 300 s of targets.toml" in found.parameters[0].because
    assert "have the retired server close its connections" in found.parameters[0].because
    bare = Target(name="a", driver="httpx", url=lab.url, target_rate=100.0)
    address = probe_dns(bare).names
    assert address is not None
    assert address.is_address
    assert time.monotonic() - began < 30.0
