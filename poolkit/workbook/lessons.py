"""What the lessons measure beside a sweep: live, or from the recordings that come with poolkit."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from poolkit import events
from poolkit.errors import BadInput, PoolkitError
from poolkit.events import Event
from poolkit.lab.child import side_by_side
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.child import Child
from poolkit.measure.store import TrialLog
from poolkit.panels.findings import Findings
from poolkit.panels.sources import RecordedSource, Source, read_source
from poolkit.records import Trial
from poolkit.report.source import shared
from poolkit.report.temporary import lasting_folder
from poolkit.targets import load_targets
from poolkit.workbook.measuring import followed
from poolkit.workbook.serving import Serving, command

RECORDED = "data/recordings/lessons"
TOO_SMALL = 0.9  # of the connections that the traffic keeps busy
ROOMY = 2.0  # times these connections
# Two hosts behind one session: the slow one is asked for a quarter more than it can do.
FAST = Workers(workers=24, service_time=0.010, cv=0.5)
SLOW = Workers(workers=2, service_time=0.025, cv=0.5, seed=2)
HOSTS_RATE = 300.0  # calls/s, a third of them to the slow host
HOSTS_SIZE = 16
HOSTS = ("one-gate", "one-limit", "limit-per-host")


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
    return (
        Serving(
            label="too-small", target=found.sizing.target, pool_size=size, rate=rate, seconds=2.5
        ),
    )


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
    child = Child(command(orders, file, folder), target=target.name, secrets=target.secrets)
    (seen,) = await followed(
        [child],
        lambda seen: (
            f"<p role='status'>{len(_trials(seen[0]))} of {len(orders)} trials measured</p>"
        ),
    )
    failed = next((event for event in seen if isinstance(event, events.Failed)), None)
    if failed is not None:
        raise PoolkitError(failed.cause, failed.remedy)
    return _trials(seen)


def _trials(seen: Sequence[Event]) -> tuple[Trial, ...]:
    return tuple(event.trial for event in seen if isinstance(event, events.TrialDone))


@contextlib.contextmanager
def two_hosts() -> Iterator[Path]:
    """Two upstreams of the lab, and a targets.toml with the three ways to limit their session."""
    fast, slow = HttpUpstream(FAST), HttpUpstream(SLOW)
    with contextlib.ExitStack() as stack:
        stack.enter_context(side_by_side(fast, slow))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-hosts-"))
        file = Path(folder) / "targets.toml"
        # Two of three addresses are the fast host's, so that the median is one of its calls.
        urls = [fast.url, f"{fast.url}other", slow.url]
        ways = zip(HOSTS, ("limit", "limit", "limit_per_host"), (True, False, False), strict=True)
        file.write_text("\n".join(_table(*way, urls) for way in ways), encoding="utf-8")
        yield file


def _table(name: str, limit: str, gate: bool, urls: Sequence[str]) -> str:
    listed = ", ".join(f'"{url}"' for url in urls)
    return "\n".join(
        [
            f"[targets.{name}]",
            'driver = "aiohttp"',
            f"urls = [{listed}]",
            'url_order = "random"',
            f'sweep = "{limit}"',
            f"gate = {str(gate).lower()}",
            f"target_rate = {HOSTS_RATE:g}",
            f"max_size = {2 * HOSTS_SIZE}",
            "",
        ]
    )
