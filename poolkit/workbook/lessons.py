"""What the lessons measure beside a sweep: live, or from the recordings that come with poolkit.

Live orders are carried out by a process of their own:

    python -m poolkit.workbook.lessons TARGETS OUT ORDERS

ORDERS is a JSON list of `Serving`; events are printed as `poolkit sweep --events` does, and each
trial is appended to OUT/LABEL.trials.jsonl.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter

from poolkit.errors import BadInput, ExitCode, PoolkitError
from poolkit.events import Event, Failed, TrialDone
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.arrivals import steps
from poolkit.measure import SEED, measure_arrivals
from poolkit.measure.child import Child, python
from poolkit.measure.preflight import check_caps
from poolkit.measure.reporter import Reporter
from poolkit.measure.store import TrialLog
from poolkit.panels.sources import RecordedSource, Source, read_source
from poolkit.panels.story import Findings
from poolkit.records import Record, Trial
from poolkit.report.source import shared
from poolkit.report.temporary import lasting_folder
from poolkit.targets import Target, load_targets
from poolkit.targets.settings import SETTINGS
from poolkit.workbook.measuring import followed

RECORDED = "data/recordings/lessons"
WARM_UP = 0.5  # s
TOO_SMALL = 0.9  # of the connections that the traffic keeps busy
ROOMY = 2.0  # times these connections
# Two hosts behind one session: the slow one is asked for a quarter more than it can do.
FAST = Workers(workers=24, service_time=0.010, cv=0.5)
SLOW = Workers(workers=2, service_time=0.025, cv=0.5, seed=2)
HOSTS_RATE = 300.0  # calls/s, a third of them to the slow host
HOSTS_SIZE = 16
# Name of a target -> what its sweep limits, and whether a gate stands before the session.
HOSTS = {
    "one-gate": ("limit", "true"),
    "one-limit": ("limit", "false"),
    "limit-per-host": ("limit_per_host", "false"),
}


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
    seconds: float = Field(3.0, gt=0, le=30.0)
    max_overflow: int | None = Field(None, ge=0)


ORDERS = TypeAdapter(tuple[Serving, ...])


def offered_load(found: Findings) -> float:
    """Connections that the target's traffic keeps busy on average, at the hold time under load.

    Where a sweep led to no size, at that of its smallest trial that was served.
    """
    hold = found.recommendation.hold_time
    held = None if hold is None else hold.at_recommended or hold.at_one
    if held is None:
        served = [trial for trial in found.trials if trial.hold_time.mean]
        if not served:
            raise BadInput("no hold time was measured", "see why in the checks of the sweep")
        held = min(served, key=lambda trial: trial.pool_size).hold_time.mean or 0.0
    return found.objective.rate * held


def too_small(found: Findings) -> tuple[Serving, ...]:
    """The target rate on a pool somewhat smaller than the load that it must carry."""
    size = max(1, int(TOO_SMALL * offered_load(found)))
    rate = found.objective.rate
    target = found.sizing.target
    return (Serving(label="too-small", target=target, pool_size=size, rate=rate, seconds=2.5),)


def overflows(found: Findings) -> tuple[Serving, ...]:
    """SQLAlchemy's engine at one total and the target rate, more and more of it overflow."""
    rate = found.objective.rate_per_pool
    known = found.recommendation.recommended_size or found.sizing.size
    # Without a size one that surely carries the rate: the lesson is about dials, not about waits.
    roomy = math.ceil(ROOMY * offered_load(found) / found.objective.pools_left)
    size = max(2, known or min(roomy, found.objective.cap))
    return tuple(
        Serving(
            label=f"overflow-{word}",
            target=found.sizing.target,
            pool_size=size,
            rate=rate,
            seconds=2.0,
            max_overflow=overflow,
        )
        for word, overflow in (("none", 0), ("half", size // 2), ("all", size - 1))
    )


def hosts() -> tuple[Serving, ...]:
    """One session for two hosts: behind one gate, with one limit, with a limit for each host."""
    return tuple(
        Serving(label=name, target=name, pool_size=HOSTS_SIZE, rate=HOSTS_RATE, seconds=2.0)
        for name in HOSTS
    )


async def served(orders: Sequence[Serving], source: Source | None = None) -> tuple[Trial, ...]:
    """One trial for each order, measured now where the source is live, else as recorded.

    Orders of `hosts` are always of the lab: it takes a host that is slow on purpose.

    Raises:
        PoolkitError: the load ended early, or nothing is recorded; it says what to do.
    """
    source = read_source() if source is None else source
    if isinstance(source, RecordedSource):
        return tuple(_recorded(order) for order in orders)
    with contextlib.ExitStack() as stack:
        if orders[0].target in HOSTS:
            file = stack.enter_context(two_hosts())
        else:
            file = await asyncio.to_thread(source.targets_file, orders[0].target)
        return await measured_now(orders, file)


def _recorded(order: Serving) -> Trial:
    trials = TrialLog(shared(RECORDED) / f"{order.label}.trials.jsonl").read()
    for trial in trials:
        if trial.pool_size == order.pool_size and trial.arrival_rate == order.rate:
            return trial
    raise BadInput(
        f"{order.label} is not recorded with {order.pool_size} connections at {order.rate:g}/s",
        "measure it on the lab (POOLKIT_SOURCE=lab), or make recordings anew: make recordings",
    )


async def measured_now(
    orders: Sequence[Serving], file: Path, out: Path | None = None
) -> tuple[Trial, ...]:
    """One trial for each order, measured in a child process of its own."""
    folder = lasting_folder("poolkit-lesson-") if out is None else out
    target = load_targets(file, (orders[0].target,))[orders[0].target]
    words = str(file), str(folder), ORDERS.dump_json(tuple(orders)).decode()
    command = python("poolkit.workbook.lessons", *words)
    child = Child(command, target=target.name, secrets=target.secrets)

    def trials(so_far: Sequence[Event]) -> tuple[Trial, ...]:
        return tuple(event.trial for event in so_far if isinstance(event, TrialDone))

    (found,) = await followed(
        [child], lambda so_far: f"{len(trials(so_far[0]))} of {len(orders)} trials measured"
    )
    for event in found:
        if isinstance(event, Failed):
            raise PoolkitError(event.cause, event.remedy)
    return trials(found)


@contextlib.contextmanager
def two_hosts() -> Iterator[Path]:
    """Two upstreams of the lab, and a targets.toml with the three ways to limit their session."""
    with (
        HttpUpstream(FAST) as fast,
        HttpUpstream(SLOW) as slow,
        tempfile.TemporaryDirectory(prefix="poolkit-hosts-") as folder,
    ):
        # Two of three addresses are the fast host's, so that the median is one of its calls.
        urls = ", ".join(f'"{url}"' for url in (fast.url, f"{fast.url}other", slow.url))
        file = Path(folder) / "targets.toml"
        tables = [
            _HOST.format(
                name=name, sweep=sweep, gate=gate, urls=urls, rate=HOSTS_RATE, most=2 * HOSTS_SIZE
            )
            for name, (sweep, gate) in HOSTS.items()
        ]
        file.write_text("\n".join(tables), encoding="utf-8")
        yield file


_HOST = """\
[targets.{name}]
driver = "aiohttp"
urls = [{urls}]
url_order = "random"
sweep = "{sweep}"
gate = {gate}
target_rate = {rate:g}
max_size = {most}
"""


# -- the process that measures ---------------------------------------------------------------


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
