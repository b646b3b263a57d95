"""Twelve upstreams of many kinds that recommended sizes are held against by brute force.

None of them is an upstream of the demo or of the simulated tables, with which poolkit was made (a
test sees to that). Their rates are moderate: on two cores the generator needs one.
"""

from __future__ import annotations

from collections.abc import Mapping

from poolkit.lab import tables
from poolkit.lab.models import Contended, CpuBound, Mixed, Model, Workers
from poolkit.lab.target import LabTarget

WAIT = 0.010  # s


def _workers(workers: int, service_time: float, cv: float, rate: float) -> LabTarget:
    model = Workers(workers=workers, service_time=service_time, cv=cv)
    return _http(
        f"workers-{workers}-cv{round(cv * 10):02d}",
        "Workers behind one queue, whose times vary " + ("much." if cv > 1 else "little or some."),
        f"{workers} workers x {service_time * 1e3:g} ms (cv {cv:g})",
        model,
        rate,
    )


def _cpu(share: float) -> LabTarget:
    model = CpuBound(delay=0.021, cpu=0.0016, cv=0.4)
    return _http(
        f"cpu-{share * 100:.0f}",
        f"A single-threaded service at {share:.0%} of what its thread can do.",
        f"{model.delay * 1e3:g} ms side by side (cv {model.cv:g}), then {model.cpu * 1e3:g} ms of "
        "its only thread",
        model,
        round(share * model.plateau),
    )


def _http(name: str, sentence: str, truth: str, model: Model, rate: float) -> LabTarget:
    return LabTarget(
        name=name,
        driver="aiohttp",
        sentence=sentence,
        truth=f"{truth}: plateau {model.plateau:.0f} calls/s.",
        target_rate=rate,
        wait_p99=WAIT,
        max_size=64,
        model=model,
    )


def _postgres(
    name: str, sentence: str, truth: str, statement: str, rate: float, *, read_only: bool
) -> LabTarget:
    return LabTarget(
        name=name,
        driver="asyncpg",
        sentence=sentence,
        truth=truth,
        target_rate=rate,
        wait_p99=WAIT,
        max_size=32,
        statements=(statement,),
        read_only=read_only,
    )


_CONTENDED = Contended(base=0.014, sigma=0.06, kappa=0.0009, cv=0.4)
_MIXED = Mixed(workers=20, fast=0.011, slow=0.055, slow_share=0.12, cv=0.3)
_FARTHER = 0.004  # s, on top of what the lab's own read waits side by side

_CASES = (
    _workers(28, 0.031, 0.0, rate=700.0),
    _workers(10, 0.014, 0.5, rate=440.0),
    _workers(28, 0.031, 1.0, rate=540.0),
    _workers(10, 0.014, 2.0, rate=420.0),
    _workers(28, 0.031, 2.0, rate=540.0),
    _cpu(0.6),
    _cpu(0.8),
    _cpu(0.9),
    _http(
        "contended",
        "A service that slows down as more calls are in it.",
        f"{_CONTENDED.base * 1e3:g} ms (cv {_CONTENDED.cv:g}) x (1 + {_CONTENDED.sigma:g} (n - 1) "
        f"+ {_CONTENDED.kappa:g} n (n - 1)) with n calls in it",
        _CONTENDED,
        rate=400.0,
    ),
    _http(
        "mixed",
        "Workers for fast calls and some slow ones.",
        f"{_MIXED.workers} workers; {_MIXED.fast * 1e3:g} ms, and {_MIXED.slow * 1e3:g} ms for "
        f"{_MIXED.slow_share:.0%} of the calls (cv {_MIXED.cv:g} each)",
        _MIXED,
        rate=800.0,
    ),
    _postgres(
        "postgres-select",
        "A read from a real PostgreSQL, which waits for a resource that few can share.",
        f"about {(tables.APART + _FARTHER) * 1e3:g} ms side by side, then about "
        f"{tables.TOGETHER * 1e3:g} ms in one of {tables.PLACES} places.",
        f"{tables.READ} from pg_sleep({_FARTHER:g})",
        rate=310.0,
        read_only=True,
    ),
    _postgres(
        "postgres-row-locks",
        "Payments in a real PostgreSQL: updates that wait for each other's row locks.",
        f"about {tables.PREPARED * 1e3:g} ms side by side, then about {tables.LOCKED * 1e3:g} ms "
        f"with one of {tables.HOT_ROWS} rows locked, chosen at random.",
        tables.WRITE,
        rate=280.0,
        read_only=False,
    ),
)
SIZING_CASES: Mapping[str, LabTarget] = {case.name: case for case in _CASES}
