"""The lab's targets: what each upstream is, and what its service asks of it.

`CATALOGUE` holds the demo's four. `SIZING_CASES` are twelve of many kinds that recommended sizes
are held against by brute force: none of them is an upstream of the demo or of the simulated tables,
with which poolkit was made (a test sees to that). Their rates are moderate, since on two cores the
generator needs one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from poolkit.lab import tables
from poolkit.lab.models import Contended, CpuBound, Mixed, Model, Workers

DSN_VARIABLE = "POOLKIT_LAB_DSN"


@dataclass(frozen=True, slots=True)
class LabTarget:
    """One upstream of the lab and the keys of its table in targets.toml.

    `model` is the truth of an HTTP upstream; the database has none and says it in `truth`.
    """

    name: str
    driver: str
    sentence: str
    truth: str
    target_rate: float  # calls/s
    max_size: int
    wait_p99: float = 0.010  # s
    model: Model | None = None
    statements: tuple[str, ...] = ()
    read_only: bool = True

    def toml(self, url: str | None) -> str:
        """Its table in targets.toml, the truth in comments; `url` for HTTP upstreams."""
        values: dict[str, object] = {"driver": self.driver}
        if self.model is not None:
            values["url"] = url
        else:
            values |= {"dsn_env": DSN_VARIABLE, "statements": self.statements}
            if not self.read_only:
                values["read_only"] = False
        for name in ("target_rate", "wait_p99", "max_size"):
            values[name] = getattr(self, name)
        lines = [f"# {self.sentence}", f"# Truth: {self.truth}", f"[targets.{self.name}]"]
        # JSON's texts, numbers and lists of texts are TOML's as well.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(lines) + "\n"


def _http(name: str, model: Model, rate: float, sentence: str, truth: str) -> LabTarget:
    return LabTarget(name, "aiohttp", sentence, truth, rate, max_size=64, model=model)


def _sql(
    name: str, statement: str, rate: float, sentence: str, truth: str, *, read_only: bool = True
) -> LabTarget:
    return LabTarget(
        name, "asyncpg", sentence, truth, rate, 32, statements=(statement,), read_only=read_only
    )


def _by_name(*targets: LabTarget) -> Mapping[str, LabTarget]:
    return {target.name: target for target in targets}


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:g} ms"


_HTTP = Workers(workers=24, service_time=0.025, cv=0.5)
_CPU = CpuBound(delay=0.015, cpu=0.00127, cv=0.3)
_CONTENDED = Contended(base=0.009, sigma=0.1, kappa=0.001, cv=0.3)
_DATABASE = "A read from a real PostgreSQL, which waits for a resource that few can share."

CATALOGUE = _by_name(
    _http(
        "lab-http",
        _HTTP,
        600.0,
        "A service with a fixed number of workers behind one queue.",
        f"{_HTTP.workers} workers x {_ms(_HTTP.service_time)} (lognormal, cv {_HTTP.cv:g}): "
        f"throughput n / {_HTTP.service_time:g} s up to {_HTTP.workers} connections, "
        f"plateau {_HTTP.plateau:.0f} calls/s.",
    ),
    _http(
        "lab-cpu",
        _CPU,
        500.0,
        "A single-threaded service: calls wait side by side, then compute in turn.",
        f"{_ms(_CPU.delay)} side by side (lognormal, cv {_CPU.cv:g}), then "
        f"{_ms(_CPU.cpu)} of its only thread: plateau {_CPU.plateau:.0f} calls/s.",
    ),
    _http(
        "lab-contended",
        _CONTENDED,
        450.0,
        "A service that slows down as more calls are in it, past its best too many.",
        f"{_ms(_CONTENDED.base)} (lognormal, cv {_CONTENDED.cv:g}) x (1 + "
        f"{_CONTENDED.sigma:g} (n - 1) + {_CONTENDED.kappa:g} n (n - 1)) with n calls in it: "
        f"highest {_CONTENDED.plateau:.0f} calls/s, at 30 connections.",
    ),
    _sql(
        "lab-db",
        tables.READ,
        330.0,
        _DATABASE,
        f"about {_ms(tables.APART)} side by side, then about {_ms(tables.TOGETHER)} in one of "
        f"{tables.PLACES} places: plateau about 500 calls/s (measured).",
    ),
)


def _case(name: str, model: Model, rate: float, sentence: str, truth: str) -> LabTarget:
    return _http(name, model, rate, sentence, f"{truth}: plateau {model.plateau:.0f} calls/s.")


def _workers(workers: int, service_time: float, cv: float, rate: float) -> LabTarget:
    return _case(
        f"workers-{workers}-cv{round(cv * 10):02d}",
        Workers(workers, service_time, cv),
        rate,
        "Workers behind one queue, whose times vary " + ("much." if cv > 1 else "little or some."),
        f"{workers} workers x {_ms(service_time)} (cv {cv:g})",
    )


def _cpu(share: float) -> LabTarget:
    model = CpuBound(delay=0.021, cpu=0.0016, cv=0.4)
    return _case(
        f"cpu-{share * 100:.0f}",
        model,
        round(share * model.plateau),
        f"A single-threaded service at {share:.0%} of what its thread can do.",
        f"{_ms(model.delay)} side by side (cv {model.cv:g}), then {_ms(model.cpu)} of "
        "its only thread",
    )


_SLOWER = Contended(base=0.014, sigma=0.06, kappa=0.0009, cv=0.4)
_MIXED = Mixed(workers=20, fast=0.011, slow=0.055, slow_share=0.12, cv=0.3)
_FARTHER = 0.004  # s, on top of what the lab's own read waits side by side

SIZING_CASES = _by_name(
    _workers(28, 0.031, 0.0, rate=700.0),
    _workers(10, 0.014, 0.5, rate=440.0),
    _workers(28, 0.031, 1.0, rate=540.0),
    _workers(10, 0.014, 2.0, rate=420.0),
    _workers(28, 0.031, 2.0, rate=540.0),
    _cpu(0.6),
    _cpu(0.8),
    _cpu(0.9),
    _case(
        "contended",
        _SLOWER,
        400.0,
        "A service that slows down as more calls are in it.",
        f"{_ms(_SLOWER.base)} (cv {_SLOWER.cv:g}) x (1 + {_SLOWER.sigma:g} (n - 1) "
        f"+ {_SLOWER.kappa:g} n (n - 1)) with n calls in it",
    ),
    _case(
        "mixed",
        _MIXED,
        800.0,
        "Workers for fast calls and some slow ones.",
        f"{_MIXED.workers} workers; {_ms(_MIXED.fast)}, and {_ms(_MIXED.slow)} for "
        f"{_MIXED.slow_share:.0%} of the calls (cv {_MIXED.cv:g} each)",
    ),
    _sql(
        "postgres-select",
        f"{tables.READ} from pg_sleep({_FARTHER:g})",
        310.0,
        _DATABASE,
        f"about {_ms(tables.APART + _FARTHER)} side by side, then about {_ms(tables.TOGETHER)} in "
        f"one of {tables.PLACES} places.",
    ),
    _sql(
        "postgres-row-locks",
        tables.WRITE,
        280.0,
        "Payments in a real PostgreSQL: updates that wait for each other's row locks.",
        f"about {_ms(tables.PREPARED)} side by side, then about {_ms(tables.LOCKED)} with one of "
        f"{tables.HOT_ROWS} rows locked, chosen at random.",
        read_only=False,
    ),
)
ALL: Mapping[str, LabTarget] = {**CATALOGUE, **SIZING_CASES}
