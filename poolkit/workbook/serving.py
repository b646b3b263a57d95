"""Open-loop trials that only a lesson asks for, measured by a process of their own.

    python -m poolkit.workbook.serving TARGETS OUT ORDERS

ORDERS is a JSON list of `Serving`; events are printed as `poolkit sweep --events` does, and each
trial is appended to OUT/LABEL.trials.jsonl. The notebooks read the events through
`poolkit.measure.runner.Child`, as they do for any measurement.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter

from poolkit import events
from poolkit.drivers.registry import gate_size, make_service_pool
from poolkit.errors import BadInput, ExitCode, PoolkitError
from poolkit.events import Event, to_line
from poolkit.load.arrivals import steps
from poolkit.load.generator import Plan
from poolkit.measure import SEED, Emit
from poolkit.measure.hung import why_ended
from poolkit.measure.loop import run_until_over
from poolkit.measure.preflight import check_caps, check_descriptors, check_first_call
from poolkit.measure.store import TrialLog, prepare_out
from poolkit.measure.trial import TrialOrder, TrialRunner
from poolkit.measure.watchdog import Reason
from poolkit.records import Record
from poolkit.redact import Redactor
from poolkit.targets import Target, load_targets
from poolkit.targets.settings import SETTINGS

WARM_UP = 0.5  # s
SPARE = 30.0  # s that opening pools and ending slow calls may take beside the load
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


def command(orders: Sequence[Serving], targets: Path, out: Path) -> list[str]:
    """The command line of the process that measures these orders."""
    words = [sys.executable, "-P", "-m", "poolkit.workbook.serving", str(targets), str(out)]
    return [*words, ORDERS.dump_json(tuple(orders)).decode()]


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


def serve(orders: Sequence[Serving], file: Path, out: Path, emit: Emit) -> ExitCode:
    """Measure the orders one after the other; every outcome is told through `emit`."""
    target: Target | None = None
    try:
        prepare_out(out)
        for order in orders:
            target = load_targets(file, (order.target,))[order.target]
            if order.max_overflow is not None:
                target = with_overflow(target, order.max_overflow)
            check_caps(target)
            check_descriptors(target)
            if order.pool_size > target.max_size:
                raise BadInput(
                    f"{target.name}: {order.pool_size} connections are more than "
                    f"max_size = {target.max_size}",
                    "raise max_size in targets.toml, if the endpoint may have so many",
                )
            _serve_one(order, target, out, emit)
        code = ExitCode.DONE
    except PoolkitError as error:
        code = _fail(error, target, emit)
    emit(events.Done(target=target.name if target else "", exit_code=code))
    return code


def _serve_one(order: Serving, target: Target, out: Path, emit: Emit) -> None:
    """Load for one order; raises `PoolkitError` where it ended early."""
    seconds = WARM_UP + order.seconds
    log = TrialLog(out / f"{order.label}.trials.jsonl")
    runner = TrialRunner(target, log, emit, seconds)
    ended: list[Reason] = []

    async def work() -> ExitCode:
        runner.first_call = await check_first_call(target)
        emit(events.Started(target=target.name, driver=target.driver, budget=seconds))
        await runner.run(_order(order, target, seconds))
        return ExitCode.DONE

    def cancel(reason: Reason | None) -> None:
        ended.extend([reason] if reason else [])
        runner.cancel()

    def last_words(reason: Reason) -> None:
        _fail(why_ended(target, reason), target, emit)

    run_until_over(work(), cancel, seconds + SPARE, last_words)
    if ended:
        raise why_ended(target, ended[0])


def _order(order: Serving, target: Target, seconds: float) -> TrialOrder:
    rate, size = order.rate, order.pool_size
    arrivals = steps([(rate, WARM_UP), (rate, order.seconds)], SEED)
    return TrialOrder(
        make_service_pool(target, size, pools=1, seed=SEED),
        Plan(seconds=seconds, warm_up=WARM_UP, seed=SEED, arrivals=arrivals, arrival_rate=rate),
        "verify",
        size,
        f"lesson: {order.label}",
        gate=gate_size(target, size),
    )


def _fail(error: PoolkitError, target: Target | None, emit: Emit) -> ExitCode:
    redact = Redactor(target.secrets if target else ()).text
    name, code = target.name if target else "", error.exit_code
    cause, remedy = redact(error.cause), redact(error.remedy)
    emit(events.Failed(target=name, cause=cause, remedy=remedy, exit_code=code))
    return code


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line orders; returns the exit code."""
    targets, out, orders = arguments
    stdout = sys.stdout

    def emit(event: Event) -> None:
        stdout.write(to_line(event))
        stdout.flush()

    # A library that prints must not end up between two events.
    with contextlib.redirect_stdout(sys.stderr):
        return int(serve(ORDERS.validate_json(orders), Path(targets), Path(out), emit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
