"""An order of a lesson, and the process that carries it out:

    python -m poolkit.workbook.serving TARGETS OUT ORDERS

ORDERS is a JSON list of `Serving`; events are printed as `poolkit sweep --events` does, and each
trial is appended to OUT/LABEL.trials.jsonl.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, TypeAdapter

from poolkit.drivers.registry import dials_beforehand
from poolkit.errors import BadInput, ExitCode
from poolkit.events import Step
from poolkit.lab.pgbouncer import PgBouncer
from poolkit.measure import SEED, cold, sweep
from poolkit.measure.fleet.source import FleetSource
from poolkit.measure.generating import Source
from poolkit.measure.preflight import check_caps
from poolkit.measure.reporter import Reporter
from poolkit.measure.session import Session
from poolkit.measure.sweep import SweepLimits, TrialPlan
from poolkit.records import Record, Trial
from poolkit.targets import Target, load_targets
from poolkit.targets.fleet import Fleet
from poolkit.targets.settings import SETTINGS

WARM_UP = 0.5  # s
SPARE = 60.0  # s that opening pools, starting processes and ending slow calls may take beside load
# What comes next, from the trials so far; None: enough is known.
Decide = Callable[[Sequence[Trial]], TrialPlan | None]


class Serving(Record):
    """One size of a target in service: Poisson arrivals at `rate`, whatever the replies do.

    Attributes:
        label: names the trials' file; letters, digits and hyphens.
        target: name in targets.toml.
        pool_size: connections of each pool, 1 or more.
        rate: calls/s over all pools, more than 0.
        seconds: measured, after a warm-up; of cold starts and sweeps: load in all.
        max_overflow: drive the same database with SQLAlchemy, so many of `pool_size` connections
            being overflow; None: with the target's own driver.
        pools: side by side, 1 or more.
        processes: that share these pools, each a generator of its own; None: the measuring one.
        is_cold: the pools begin with the load, empty and otherwise, as `poolkit size --cold` does.
        sizes: sweep over these in place of the service; empty: no sweep.
        pooler: settings of a PgBouncer to put before the server; None: none.
    """

    label: str = Field(pattern=r"[a-z0-9][a-z0-9-]*")
    target: str
    pool_size: int = Field(ge=1)
    rate: float = Field(gt=0)
    seconds: float = Field(3.0, gt=0, le=30.0)
    max_overflow: int | None = Field(None, ge=0)
    pools: int = Field(1, ge=1)
    processes: int | None = Field(None, ge=1)
    is_cold: bool = False
    sizes: tuple[int, ...] = ()
    pooler: dict[str, int] | None = None


ORDERS = TypeAdapter(tuple[Serving, ...])


def with_overflow(target: Target, max_overflow: int) -> Target:
    """The same statements on the same database, through SQLAlchemy's engine.

    Raises:
        BadInput: the target is no database, or its work is written for another library.
    """
    if target.is_http or (target.work is not None and target.driver != "sqlalchemy"):
        raise BadInput(
            f"{target.name} cannot be driven by SQLAlchemy", "name a database target by statements"
        )
    foreign = {key: None for key, drivers in SETTINGS.items() if "sqlalchemy" not in drivers}
    changes = {**foreign, "driver": "sqlalchemy", "max_overflow": max_overflow}
    return target.model_copy(update=changes)


@contextlib.contextmanager
def as_ordered(target: Target, order: Serving) -> Iterator[Target]:
    """The target as the order has it, what stands before its server running."""
    # What is asked decides which cold starts are tried.
    asked = {"target_rate": order.rate, "growth": 1.0, "replicas": order.pools, "workers": 1}
    target = target.model_copy(update=asked if order.is_cold else {})
    if order.max_overflow is not None:
        target = with_overflow(target, order.max_overflow)
    if order.pooler is None:
        yield target
        return
    settings: dict[str, Any] = {**order.pooler}
    with PgBouncer(target.resolved_dsn(), **settings) as before:
        yield target.model_copy(update={"dsn": SecretStr(before.dsn), "dsn_env": None})


def decider(order: Serving, target: Target) -> Decide:
    """What an order has measured, trial by trial."""
    if order.sizes:
        limits = SweepLimits(max(order.sizes), order.seconds, order.sizes, SEED)
        return lambda trials: sweep.next_trial(trials, target, limits)
    if order.is_cold:
        return lambda trials: cold.next_trial(
            trials,
            target,
            order.pool_size,
            has_min_size=dials_beforehand(target),
            left=order.seconds - sweep.spent(trials),
        )
    plan = TrialPlan(
        "verify",
        order.pool_size,
        WARM_UP,
        WARM_UP + order.seconds,
        f"lesson: {order.label}",
        pools=order.pools,
        rate=order.rate,
    )
    return lambda trials: None if trials else plan


def serve(orders: Sequence[Serving], file: Path, out: Path, reporter: Reporter) -> ExitCode:
    """Measure the orders one after the other; raises `PoolkitError` where one ends early."""
    for order in orders:
        target = load_targets(file, (order.target,))[order.target]
        reporter.about(target)
        with as_ordered(target, order) as ordered:
            check_caps(ordered)
            if order.pool_size > ordered.max_size:
                raise BadInput(
                    f"{target.name}: pool_size must be 1 to max_size = {target.max_size}, got "
                    f"{order.pool_size}",
                    "raise max_size in targets.toml, if the endpoint may have so many",
                )
            _carry_out(order, ordered, _source(order, file, reporter), out, reporter)
    return ExitCode.DONE


def _source(order: Serving, file: Path, reporter: Reporter) -> Source | None:
    """Where load comes from; None: this process."""
    if order.processes is None:
        return None

    def say(what: str) -> None:
        reporter.emit(Step(target=order.target, what=what, limit=0.0))

    return FleetSource(Fleet(workers=order.processes), file, say)


def _carry_out(
    order: Serving, target: Target, source: Source | None, out: Path, reporter: Reporter
) -> None:
    session = Session(
        target,
        out / f"{order.label}.trials.jsonl",
        reporter.emit,
        budget=order.seconds,
        deadline=order.seconds + SPARE,
        last_words=reporter.fail,
        source=source,
    )
    decide = decider(order, target)

    async def steps() -> ExitCode:
        while plan := decide(session.trials):
            await session.run(plan, SEED + len(session.trials))
        return ExitCode.DONE

    session.carry_out(steps)


def main(targets: str, out: str, orders: str) -> int:
    """Measure what the command line orders; returns the exit code."""
    reporter, found = Reporter(), ORDERS.validate_json(orders)
    return int(reporter.run(lambda: serve(found, Path(targets), Path(out), reporter)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
