"""Runs the demo service, sends a load to it, and reads its gauges on both sides of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from poolkit.analysis.summary import summarise
from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.base import close_pool
from poolkit.errors import BadInput
from poolkit.lab.child import Child
from poolkit.lab.service.sizes import TARGET_RATE
from poolkit.load.arrivals import poisson_exact
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.measurement import Measurement
from poolkit.load.timer import best_timer
from poolkit.monitor import reader
from poolkit.monitor.exposition import Scrape, scrape
from poolkit.records import Trial
from poolkit.show.before_after import PoolSeen, ServiceRun
from poolkit.targets.endpoint import is_loopback, of_url
from poolkit.targets.workload import HttpWork

SECONDS = 6.0
WARM_UP = 1.0
SEED = 20_260_101
PATH = "/checkout"
# Connections of the load itself: far more than the service can serve, so that none waits here.
CALLERS = 512


class ServiceProcess(Child):
    """The demo service with the pools of a pools.py as a process of its own, in a `with`.

    Args:
        pools: the pools.py.
        day: s; with it days of so many seconds are sent to it while it runs.
    """

    module = "poolkit.lab.service"

    def __init__(self, pools: Path, *, day: float | None = None) -> None:
        super().__init__(port=0, pools=pools, day=day)

    @property
    def url(self) -> str:
        """Its base URL."""
        return str(self._state["url"])


async def send(url: str, plan: Plan) -> Measurement:
    """Send a plan's load to an address of a service on this machine, whatever fails of it."""
    pool = AiohttpPool(HttpWork("GET", url), CALLERS)
    timer = best_timer(asyncio.get_running_loop())
    # An undersized service sheds calls, and is here to show how many.
    brakes = Brakes(max_failed_share=1.0, max_connections=CALLERS)
    await pool.open()
    try:
        return await Generator(pool, plan, timer, brakes=brakes).run()
    finally:
        timer.close()
        await close_pool(pool)


def _load(url: str, seconds: float) -> Trial:
    plan = Plan(
        seconds=seconds,
        warm_up=min(WARM_UP, seconds / 4),
        seed=SEED,
        arrivals=poisson_exact(TARGET_RATE, seconds, SEED),
        arrival_rate=TARGET_RATE,
    )
    measurement = asyncio.run(send(url, plan))
    return summarise(
        measurement, target="service", driver="aiohttp", fingerprint="", purpose="verify"
    )


def _pool(first: Scrape, last: Scrape, name: str) -> PoolSeen:
    traffic = reader.between(first, last, name)
    return PoolSeen(
        pool=name,
        driver=traffic.driver,
        pool_size=last.pools[name].values["poolkit_pool_size"],
        arrival_rate=traffic.arrival_rate,
        hold_time=traffic.hold_time,
        wait_time=traffic.wait_time,
        wait_p99=traffic.wait_p99,
        turned_away=round(traffic.timeouts),
        dials=round(traffic.dials),
    )


def own_address(base: str) -> str:
    """The base URL of a service in one form; BadInput where it is not on this machine."""
    where = of_url(base)
    if not all(is_loopback(host) for host in where.hosts):
        raise BadInput(
            f"{base} is not this machine",
            "this load knows no brake for calls that fail: review a target with poolkit review",
        )
    return where.canonical


def run_service(base: str, label: str, *, seconds: float = SECONDS) -> ServiceRun:
    """Send an open-loop load to a running service, and read its gauges on both sides of it.

    The load is Poisson arrivals at exactly TARGET_RATE, always the same ones.

    Args:
        base: the service's base URL; this machine.
        label: what the run is called in tables.
        seconds: of load.

    Raises:
        BadInput: it is not on this machine, or its /metrics cannot be read; nothing was sent.
    """
    base = own_address(base)
    first = scrape(f"{base}/metrics")
    trial = _load(f"{base}{PATH}", seconds)
    last = scrape(f"{base}/metrics")
    calls = sum(trial.outcomes.values())
    return ServiceRun(
        label=label,
        path=PATH,
        arrival_rate=TARGET_RATE,
        seconds=trial.window,
        throughput=trial.throughput,
        response_p50=trial.response_time.p50,
        response_p99=trial.response_time.p99,
        calls=calls,
        errors=calls - trial.outcomes.get("ok", 0),
        pools=tuple(_pool(first, last, name) for name in sorted(last.pools)),
    )
