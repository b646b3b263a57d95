"""Starvation of aiohttp and redis on real sockets: seen without the gate, gone with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from poolkit.analysis.summary import summarise
from poolkit.drivers.registry import gate_size, make_service_pool
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import best_timer
from poolkit.records import Trial
from poolkit.targets import Target
from tests.redis_server import redis_server

SIZE, CALLERS = 8, 64
HOLD = 0.02  # s
SECONDS = 2.0  # of a trial


def trial(target: Target, *, gated: bool) -> Trial:
    async def go() -> Trial:
        pool = make_service_pool(target, SIZE, pools=1, seed=1, gated=gated)
        await pool.open()
        timer = best_timer(asyncio.get_running_loop())
        try:
            plan = Plan(seconds=SECONDS, warm_up=0.0, seed=1, callers=CALLERS)
            measured = await Generator(pool, plan, timer).run()
        finally:
            timer.close()
            await pool.close()
        return summarise(
            measured,
            target=target.name,
            driver=target.driver,
            fingerprint=target.fingerprint,
            purpose="fairness",
            pools=1,
            gate=gate_size(target, SIZE) if gated else None,
        )

    return asyncio.run(go())


Where = Callable[[], AbstractContextManager[Target]]


@contextmanager
def of_aiohttp() -> Iterator[Target]:
    with HttpUpstream(Workers(workers=100, service_time=HOLD)) as server:
        yield Target(name="t", driver="aiohttp", url=server.url, target_rate=300.0)


@contextmanager
def of_redis() -> Iterator[Target]:
    with redis_server() as url:
        yield Target(
            name="t",
            driver="redis",
            dsn=url,
            statements=[f"BLPOP nothing {HOLD}"],
            read_only=False,
            target_rate=300.0,
        )


@pytest.mark.alone
@pytest.mark.lab
@pytest.mark.parametrize("where", [of_aiohttp, of_redis])
def test_more_callers_than_connections_starve_without_the_gate(where: Where) -> None:
    """64 callers on 8 connections: the check names it, and the gate ends it at no cost."""
    with where() as target:
        alone, gated = (trial(target, gated=gated) for gated in (False, True))
    fair = {t.gate: next(c for c in t.checks if c.name == "fair") for t in (alone, gated)}
    assert not fair[None].passed
    assert "gate" in fair[None].next
    assert fair[SIZE].passed
    assert alone.fairness is not None
    assert gated.fairness is not None
    assert alone.fairness < 0.6 < 0.85 < gated.fairness
    # Whoever waits behind the gate waits for 7 others, whoever starves for seconds.
    assert gated.wait_time.p99 is not None
    assert gated.hold_time.mean is not None
    assert gated.wait_time.p99 < 3 * (CALLERS / SIZE - 1) * gated.hold_time.mean
    assert alone.wait_time.longest is not None
    assert alone.wait_time.longest > 0.5
    assert gated.throughput > 0.9 * alone.throughput
