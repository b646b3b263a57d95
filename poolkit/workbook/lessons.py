"""What the lessons measure beside a sweep: live, or from the recordings that come with poolkit.

Live orders are carried out by a process of their own (`poolkit.workbook.serving`).
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from poolkit.errors import BadInput, PoolkitError
from poolkit.events import Event, Failed, TrialDone
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.child import Child, python
from poolkit.measure.store import TrialLog
from poolkit.panels.sources import RecordedSource, Source, read_source
from poolkit.panels.story import Findings
from poolkit.records import Trial
from poolkit.report.source import shared
from poolkit.report.temporary import lasting_folder
from poolkit.review.manifest import read_manifest
from poolkit.targets import load_targets
from poolkit.units import plural
from poolkit.workbook.measuring import followed, in_thread
from poolkit.workbook.serving import ORDERS, Serving

RECORDED = "data/recordings/lessons"
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


def roomy(found: Findings, pools: int = 1) -> int:
    """Connections of each of so many pools that surely carry the rate together."""
    return math.ceil(ROOMY * offered_load(found) / pools)


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
    # Without a size: the lesson is about dials, not about waits.
    size = max(2, known or min(roomy(found, found.objective.pools_left), found.objective.cap))
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
    """The trials of each order in turn, measured now where the source is live, else as recorded.

    Orders of `hosts` are always of the lab: it takes a host that is slow on purpose.

    Raises:
        PoolkitError: the load ended early, or nothing is recorded; it says what to do.
    """
    source = read_source() if source is None else source
    if isinstance(source, RecordedSource):
        known = recorded_orders()
        for order in orders:
            if order not in known:
                raise BadInput(
                    f"{order.label} is not recorded with {order.pool_size} connections at "
                    f"{order.rate:g}/s",
                    "measure it on the lab (POOLKIT_SOURCE=lab), or make recordings anew: "
                    "make recordings",
                )
        return recorded([order.label for order in orders])
    with contextlib.ExitStack() as stack:
        if orders[0].target in HOSTS:
            file = stack.enter_context(two_hosts())
        else:
            file = await in_thread(source.targets_file, orders[0].target)
        return await measured_now(orders, file)


def recorded_orders() -> tuple[Serving, ...]:
    """The orders whose trials come with poolkit."""
    return ORDERS.validate_python(read_manifest(shared(RECORDED)).parameters["orders"])


def recorded(labels: Sequence[str]) -> tuple[Trial, ...]:
    """The recorded trials of these orders, one order after the other."""
    folder = shared(RECORDED)
    return tuple(
        trial for label in labels for trial in TrialLog(folder / f"{label}.trials.jsonl").read()
    )


async def measured_now(
    orders: Sequence[Serving], file: Path, out: Path | None = None
) -> tuple[Trial, ...]:
    """The trials of each order, measured in a child process of their own."""
    folder = lasting_folder("poolkit-lesson-") if out is None else out
    target = load_targets(file, (orders[0].target,))[orders[0].target]
    words = str(file), str(folder), ORDERS.dump_json(tuple(orders)).decode()
    command = python("poolkit.workbook.serving", *words)
    child = Child(command, target=target.name, secrets=target.secrets)

    def trials(so_far: Sequence[Event]) -> tuple[Trial, ...]:
        return tuple(event.trial for event in so_far if isinstance(event, TrialDone))

    (found,) = await followed(
        [child], lambda so_far: f"{plural(len(trials(so_far[0])), 'trial')} measured"
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
