"""The demo's four targets: what each upstream is, and what its service asks of it."""

from __future__ import annotations

from collections.abc import Mapping

from poolkit.lab import tables
from poolkit.lab.models import Contended, CpuBound, Workers
from poolkit.lab.target import LabTarget

_HTTP = Workers(workers=24, service_time=0.025, cv=0.5)
_CPU = CpuBound(delay=0.015, cpu=0.00127, cv=0.3)
_CONTENDED = Contended(base=0.009, sigma=0.1, kappa=0.001, cv=0.3)

_TARGETS = (
    LabTarget(
        name="lab-http",
        driver="aiohttp",
        sentence="A service with a fixed number of workers behind one queue.",
        truth=(
            f"{_HTTP.workers} workers x {_HTTP.service_time * 1e3:g} ms "
            f"(lognormal, cv {_HTTP.cv:g}): throughput n / {_HTTP.service_time:g} s up to "
            f"{_HTTP.workers} connections, plateau {_HTTP.plateau:.0f} calls/s."
        ),
        target_rate=600.0,
        wait_p99=0.010,
        max_size=64,
        model=_HTTP,
    ),
    LabTarget(
        name="lab-cpu",
        driver="aiohttp",
        sentence="A single-threaded service: calls wait side by side, then compute in turn.",
        truth=(
            f"{_CPU.delay * 1e3:g} ms side by side (lognormal, cv {_CPU.cv:g}), then "
            f"{_CPU.cpu * 1e3:g} ms of its only thread: plateau {_CPU.plateau:.0f} calls/s."
        ),
        target_rate=500.0,
        wait_p99=0.010,
        max_size=64,
        model=_CPU,
    ),
    LabTarget(
        name="lab-contended",
        driver="aiohttp",
        sentence="A service that slows down as more calls are in it, past its best too many.",
        truth=(
            f"{_CONTENDED.base * 1e3:g} ms (lognormal, cv {_CONTENDED.cv:g}) x (1 + "
            f"{_CONTENDED.sigma:g} (n - 1) + {_CONTENDED.kappa:g} n (n - 1)) with n calls in it: "
            f"highest {_CONTENDED.plateau:.0f} calls/s, at 30 connections."
        ),
        target_rate=450.0,
        wait_p99=0.010,
        max_size=64,
        model=_CONTENDED,
    ),
    LabTarget(
        name="lab-db",
        driver="asyncpg",
        sentence="A read from a real PostgreSQL, which waits for a resource that few can share.",
        truth=(
            f"about {tables.APART * 1e3:g} ms side by side, then about "
            f"{tables.TOGETHER * 1e3:g} ms in one of {tables.PLACES} places: "
            "plateau about 500 calls/s (measured)."
        ),
        target_rate=330.0,
        wait_p99=0.010,
        max_size=32,
        statements=(tables.READ,),
    ),
)
CATALOGUE: Mapping[str, LabTarget] = {target.name: target for target in _TARGETS}
