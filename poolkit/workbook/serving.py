"""Open-loop trials that only a lesson asks for, measured by a process of their own.

    python -m poolkit.workbook.serving TARGETS OUT ORDERS

ORDERS is a JSON list of `Serving`; events are printed as `poolkit sweep --events` does, and each
trial is appended to OUT/LABEL.trials.jsonl. The notebooks read the events through
`poolkit.measure.child.Child`, as they do for any measurement.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter

from poolkit.errors import BadInput, ExitCode
from poolkit.load.arrivals import steps
from poolkit.measure import SEED, measure_arrivals
from poolkit.measure.preflight import check_caps
from poolkit.measure.reporter import Reporter
from poolkit.records import Record
from poolkit.targets import Target, load_targets
from poolkit.targets.settings import SETTINGS

WARM_UP = 0.5  # s
MOST_SECONDS = 30.0


class Serving(Record):
    """One size of a target in service: Poisson arrivals at `rate`, whatever the replies do.

    Attributes:
        label: names the trial's file; letters, digits and hyphens.
        target: name in targets.toml.
        pool_size: connections, 1 or more.
        rate: calls/s, more than 0.
        seconds: measured, after a warm-up.
        max_overflow: drive the same database with SQLAlchemy, so many of `pool_size` connections
            being overflow; None: with the target's own driver.
    """

    label: str = Field(pattern=r"[a-z0-9][a-z0-9-]*")
    target: str
    pool_size: int = Field(ge=1)
    rate: float = Field(gt=0)
    seconds: float = Field(3.0, gt=0, le=MOST_SECONDS)
    max_overflow: int | None = Field(None, ge=0)


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


def serve(orders: Sequence[Serving], file: Path, out: Path, reporter: Reporter) -> ExitCode:
    """Measure the orders one after the other; raises `PoolkitError` where one ends early."""
    for order in orders:
        target = load_targets(file, (order.target,))[order.target]
        if order.max_overflow is not None:
            target = with_overflow(target, order.max_overflow)
        reporter.about(target)
        check_caps(target)
        phases = [(order.rate, WARM_UP), (order.rate, order.seconds)]
        measure_arrivals(
            target,
            steps(phases, SEED),
            pool_size=order.pool_size,
            seconds=WARM_UP + order.seconds,
            out=out,
            emit=reporter.emit,
            warm_up=WARM_UP,
            arrival_rate=order.rate,
            file=f"{order.label}.trials.jsonl",
            because=f"lesson: {order.label}",
            last_words=reporter.fail,
        )
    return ExitCode.DONE


def main(targets: str, out: str, orders: str) -> int:
    """Measure what the command line orders; returns the exit code."""
    reporter, found = Reporter(), ORDERS.validate_json(orders)
    return int(reporter.run(lambda: serve(found, Path(targets), Path(out), reporter)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
