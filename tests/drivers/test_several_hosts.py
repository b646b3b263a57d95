"""One aiohttp session for several hosts: the limit over all of them against that for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import pytest

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.base import Pool
from poolkit.drivers.host_limits import limit_per_host
from poolkit.drivers.httpx import HttpxPool
from poolkit.drivers.registry import make_pool
from poolkit.errors import CallFailed
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.preflight import check_first_call
from poolkit.targets import Target
from poolkit.targets.workload import HttpWork
from tests.drivers.test_contract import run, stamps, until

SERVICE = 0.05  # s


@pytest.mark.parametrize(
    ("size", "hosts", "binds", "share"),
    [
        (8, 2, None, 8),
        (8, 2, "limit", 0),
        (8, 2, "limit_per_host", 4),
        (7, 2, "limit_per_host", 3),
        (1, 2, "limit_per_host", 1),
        (8, 1, "limit_per_host", 8),
    ],
)
def test_the_share_of_a_host(
    size: int, hosts: int, binds: Literal["limit", "limit_per_host"] | None, share: int
) -> None:
    """Even, rounded down, at least one; where the limit over all hosts binds there is none."""
    assert limit_per_host(size, hosts, binds) == share


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[HttpUpstream, HttpUpstream]]:
    model = Workers(workers=100, service_time=SERVICE)
    with HttpUpstream(model) as one, HttpUpstream(model) as other:
        yield one, other


@pytest.mark.lab
@pytest.mark.parametrize(
    ("binds", "first", "second", "in_use"),
    [
        # Of 12 calls to the first host and 2 to the second, on 8 connections:
        ("limit", 12, 2, 8),  # the first host takes all of them
        (None, 12, 2, 8),
        ("limit_per_host", 12, 2, 6),  # it gets its share of 4, and the second its 2
        ("limit_per_host", 12, 12, 8),
        ("limit", 12, 12, 8),
    ],
)
def test_which_limit_binds(
    pair: tuple[HttpUpstream, HttpUpstream],
    binds: Literal["limit", "limit_per_host"] | None,
    first: int,
    second: int,
    in_use: int,
) -> None:
    """Seen at two real servers: who waits, and how many connections each has."""
    order = [pair[0].url] * first + [pair[1].url] * second

    async def go() -> dict[int, int]:
        work = HttpWork("GET", order[0], others=tuple(order[1:]))
        pool = AiohttpPool(work, 8, binds=binds)
        await pool.open()
        calls = [asyncio.create_task(pool.call(stamps())) for _ in order]
        await until(pool, in_use=in_use, waiting=first + second - in_use)
        connector = pool._connector
        assert connector is not None
        per_host = {key.port: len(held) for key, held in connector._acquired_per_host.items()}
        await asyncio.gather(*calls)
        await pool.close()
        return per_host

    per_host = run(go())
    if binds == "limit_per_host":
        assert per_host[pair[0].port] == 4
        assert per_host[pair[1].port] == min(4, second)


@pytest.mark.lab
@pytest.mark.parametrize(("order", "alike"), [("turn", True), ("random", False)])
def test_calls_are_shared_out(
    pair: tuple[HttpUpstream, HttpUpstream], order: Literal["turn", "random"], alike: bool
) -> None:
    """In turn each host gets every second call; at random about half of them, as the seed says."""
    target = Target(
        name="t", driver="aiohttp", urls=[s.url for s in pair], url_order=order, target_rate=1.0
    )
    before = [server.stats()["served"] for server in pair]

    async def go() -> None:
        pool = make_pool(target, 20, seed=5)
        await pool.open()
        await asyncio.gather(*(pool.call(stamps()) for _ in range(40)))
        await pool.close()

    run(go())
    served = [server.stats()["served"] - old for server, old in zip(pair, before, strict=True)]
    assert sum(served) == 40
    assert (served == [20, 20]) is alike
    assert min(served) > 8


@pytest.mark.lab
def test_every_host_must_answer_before_there_is_load(
    pair: tuple[HttpUpstream, HttpUpstream],
) -> None:
    """One that is down is told by its address."""
    dead = "http://127.0.0.1:9/"
    target = Target(name="t", driver="aiohttp", urls=[pair[0].url, dead], target_rate=1.0)
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9/ failed: connection refused"):
        run(check_first_call(target))


@pytest.mark.lab
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(AiohttpPool, id="aiohttp"),
        pytest.param(HttpxPool, id="httpx"),
        pytest.param(partial(HttpxPool, infers_wait=True), id="inferring-httpx"),
        pytest.param(partial(HttpxPool, library="httpx2"), id="httpx2"),
    ],
)
def test_a_function_sends_nothing_to_another_host(
    pair: tuple[HttpUpstream, HttpUpstream], make: Callable[..., Pool]
) -> None:
    """It holds the session, and the name that it calls is none of the target's."""
    before = pair[0].stats()["served"]

    async def elsewhere(session: Any) -> None:
        await session.get(pair[0].url.replace("127.0.0.1", "localhost"))

    async def go() -> None:
        pool = make(HttpWork("GET", pair[0].url, function=elsewhere), 1)
        await pool.open()
        try:
            await pool.call(stamps())
        finally:
            await pool.close()

    with pytest.raises(CallFailed, match="host_not_allowed"):
        run(go())
    assert pair[0].stats()["served"] == before
