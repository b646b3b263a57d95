"""A Redis target is probed like the others, on a real redis-server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import SecretStr

from poolkit.drivers.parameters.findings import IdleLimit
from poolkit.probes import Probe, probe
from poolkit.probes.idle import IdleSearch
from poolkit.probes.line import NoLine, Upstream
from poolkit.probes.records import CutKind
from poolkit.probes.redis import dialer, upstream, work
from poolkit.probes.stale import settings
from poolkit.targets import Target
from tests.redis_server import RedisServer


def target(url: str) -> Target:
    return Target(
        name="cache",
        driver="redis",
        dsn=SecretStr(url),
        statements=("GET x",),
        target_rate=2000.0,
        max_size=8,
    )


@pytest.fixture(scope="module")
def found() -> Iterator[Probe]:
    with RedisServer() as server:
        yield probe(target(server.url), cap=2.0, size=2)


@pytest.mark.lab
def test_everything_is_found_of_a_server_that_closes_nothing(found: Probe) -> None:
    """Idle time and age are longer than watched; costs are measured; the rule of thumb stays."""
    assert (found.status, found.doubts) == ("done", ())
    assert [limit.kind for limit in found.idle] == ["longer"]
    assert found.costs is not None
    assert {"health check", "dial", "TCP"} <= {cost.name for cost in found.costs.costs}
    assert found.names is not None
    assert found.names.is_address
    assert [row.name for row in found.parameters] == ["health_check_interval"]


@pytest.mark.lab
def test_what_a_cut_lets_through(found: Probe) -> None:
    """The pool sees a close by itself, a silent drop only by using the connection."""
    failed = {(count.setting, count.cut): count.failed for count in found.stale}
    assert set(failed) == {(one, cut) for one in settings("redis") for cut in get_args(CutKind)}
    assert {count for (_, cut), count in failed.items() if cut == "restart"} == {0}
    assert failed["none", "drop"] > 0
    assert failed["retry", "drop"] == 0


@pytest.mark.lab
def test_a_server_that_closes_is_seen_to() -> None:
    """redis looks at each client once a second, by a clock of seconds: so exactly it is found."""

    async def search(url: str) -> IdleLimit:
        dial = await dialer(target(url))
        limit, _ = await IdleSearch(dial, cap=15.0, connections=8).run()
        return limit

    with RedisServer("--timeout", "1") as server:
        limit = asyncio.run(search(server.url))
    assert limit.bounds is not None
    assert 0.9 < limit.bounds[0] < 3.1
    assert {one.outcome for one in limit.observations} <= {"alive", "closed", "open"}


@pytest.mark.lab
def test_a_login_that_is_refused() -> None:
    """By the server's own word; the right password is taken."""

    async def alive(url: str) -> str:
        line = await (await dialer(target(url)))()
        try:
            return await line.use(1.0)
        finally:
            await line.close()

    with RedisServer("--requirepass", "long enough") as server:
        assert asyncio.run(alive(server.url.replace("//", "//:long%20enough@"))) == "alive"
        with pytest.raises(NoLine, match="redis refused AUTH: WRONGPASS"):
            asyncio.run(alive(server.url.replace("//", "//:not-the-one@")))


def test_the_way_through_a_relay() -> None:
    """Over TLS to the server, without it to the relay, and with the same user and database."""
    secure = target("rediss://me:s3cret@db.test/3?ssl_cert_reqs=none")
    where = upstream(secure)
    assert isinstance(where, Upstream)
    assert (where.host, where.port) == ("db.test", 6379)
    assert where.context is not None
    assert where.context.verify_mode == ssl.CERT_NONE
    url, _ = work(secure, 7000)
    assert url == "redis://me:s3cret@127.0.0.1:7000/3"
    assert work(secure, None)[0] == secure.resolved_dsn()
