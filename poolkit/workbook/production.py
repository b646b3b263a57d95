"""What production tells, for a cell: read now from a service's metrics, or from the recording."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field

from poolkit.analysis.windows import Times, Windows
from poolkit.errors import BadInput
from poolkit.events import Event
from poolkit.lab.running import Lab
from poolkit.lab.service import sizes
from poolkit.lab.service.run import ServiceProcess
from poolkit.measure.store import read_record
from poolkit.observe.run import Observation, from_windows, observe
from poolkit.panels import HistoryPanel
from poolkit.records import FromProduction, Record
from poolkit.report.source import named, shared
from poolkit.show import narration
from poolkit.show.words import sentence
from poolkit.targets import Target, load_targets
from poolkit.targets.reading import read_toml
from poolkit.units import number, plural, rate
from poolkit.workbook.measuring import in_thread, line

RECORDED = "data/recordings/production"
HISTORY = "data/recordings/history"
TARGETS, WINDOWS = "targets.toml", "windows.json"
POOL = "orders-db"  # of the demo service, which is looked at
# As somebody chose by feel: one more than the rate needs, and too few to show twice the rate.
SIZES = {**sizes.RECOMMENDED, POOL: 6}
WEEK = 7 * 86400.0  # s
CANNOT = "cannot say"  # begins the reason why there is no size
LOOK = 30.0  # s: windows enough where a scrape is missed
Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A target, and what its metrics told of it."""

    target: Target
    found: Observation


class KeptTimes(Record):
    """Histograms of one kind of time, a row a window; without the last bound, which is infinite."""

    bounds: Row
    counts: tuple[tuple[int, ...], ...]
    total: Row

    @classmethod
    def of(cls, times: Times) -> Self:
        """As it is kept."""
        counts = np.round(times.counts).astype(int).tolist()
        return cls(
            bounds=times.bounds[:-1],
            counts=tuple(map(tuple, counts)),
            total=_rounded(times.total),
        )

    def times(self) -> Times:
        """As it was."""
        if not self.counts:
            return Times()
        return Times((*self.bounds, math.inf), np.array(self.counts, float), np.array(self.total))


class KeptWindows(Record):
    """The whole windows of one pool, as `analysis.production.Windows` has them."""

    schema_: Literal["poolkit.windows/1"] = Field("poolkit.windows/1", alias="schema")
    source: str  # where they were read, in words
    seconds: float
    ends: Row
    levels: tuple[int, ...]
    held: tuple[Row, ...]
    releases: tuple[tuple[int, ...], ...]
    asks: Row
    pools: Row
    size: float | None
    peak: int | None
    waits: KeptTimes
    holds: KeptTimes

    @classmethod
    def of(cls, windows: Windows, source: str) -> Self:
        """As they are kept; windows without all figures are dropped."""
        whole = windows.whole()
        return cls(
            source=source,
            seconds=whole.seconds,
            ends=_rounded(whole.ends),
            levels=whole.levels,
            held=tuple(map(_rounded, whole.held)),
            releases=tuple(map(tuple, np.round(whole.releases).astype(int).tolist())),
            asks=_rounded(whole.asks),
            pools=_rounded(whole.pools),
            size=whole.most_size if whole.most_size == whole.least_size else None,
            peak=whole.peak,
            waits=KeptTimes.of(whole.waits),
            holds=KeptTimes.of(whole.holds),
        )

    def windows(self) -> Windows:
        """As they were."""
        return Windows(
            seconds=self.seconds,
            ends=np.array(self.ends),
            levels=self.levels,
            held=np.array(self.held),
            releases=np.array(self.releases, float),
            asks=np.array(self.asks),
            pools=np.array(self.pools),
            waits=self.waits.times(),
            holds=self.holds.times(),
            least_size=self.size,
            most_size=self.size,
            peak=self.peak,
        )


def _rounded(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    return tuple(round(value, 4) for value in values.tolist())


async def observed(
    target: str = "",
    *,
    since: float = WEEK,
    look: float = LOOK,
    environment: Mapping[str, str] | None = None,
) -> Seen:
    """What production tells of one target, as `poolkit observe` reads it; nothing else is sent.

    Of the lab it is the demo service, which gets a compressed day of load meanwhile.

    Args:
        target: name; empty: the first of the source that names its metrics.
        since: s to read back, where a Prometheus has them.
        look: s to look, where the service's own /metrics are read.

    Raises:
        BadInput: no target names its metrics, they cannot be read, or nothing is left to go by.
    """
    source = named(environment)
    if source == "recorded":
        return recorded(target)
    if source == "lab":
        put = line()
        put(_status("starting the demo service on the lab"))
        with running(look) as file:
            return await observed_at(file, target, since=since, look=look, put=put)
    if source.is_dir():
        raise BadInput(
            f"{source.name} is a finished review, and this notebook reads metrics",
            "set POOLKIT_SOURCE to the targets.toml of a service with metrics, or to lab",
        )
    return await observed_at(source, target, since=since, look=look)


def recorded(target: str = "") -> Seen:
    """What the recording of the demo service's day tells, through the same analysis."""
    folder = shared(RECORDED)
    chosen = _chosen(folder / TARGETS, target)
    kept = read_record(KeptWindows, folder / WINDOWS, "make it again with: make recordings")
    return Seen(chosen, from_windows(chosen, kept.windows(), kept.source))


def reviews(folder: str = "", demand: Sequence[str] = ()) -> HistoryPanel:
    """The panel of what reviews come to over time: one's own, or the synthetic ones of the project.

    Args:
        folder: of kept reviews; empty: those of the project, with their demand.
        demand: of one's own targets, as `poolkit history --demand` takes it.
    """
    if folder:
        source = named()
        return HistoryPanel(folder, demand, source if isinstance(source, Path) else None)
    made = shared(HISTORY)
    peaks = sorted(made.glob("demand/*.csv"))
    return HistoryPanel(made, [f"{file.stem}={file}" for file in peaks])


def told(seen: Seen) -> str:
    """What was read, and that nothing was sent to the target."""
    production = _production(seen)
    gaps = f" ({production.left_out} more had gaps)" if production.left_out else ""
    queries = seen.found.queries
    sent = f"Sent: {plural(queries, 'query')}, nothing to the target" if queries else "Recorded"
    return (
        f"{seen.target.name}, from {production.source}, {production.since[:10]}: "
        f"{plural(production.windows, 'window')} of {number(production.window)} s{gaps}. "
        f"{sent}."
    )


def unsaid(seen: Seen) -> str:
    """Of what was asked all that has no answer, what was seen, and what would let it say more."""
    production, sizing = _production(seen), seen.found.sizing
    sizes = {"the target rate": (sizing.size, sizing.because)}
    sizes |= {one.name: (one.size, one.because) for one in production.scenarios}
    open_ones = {
        name: because
        for name, (size, because) in sizes.items()
        if size is None and because.startswith(CANNOT)
    }
    if production.averages is not None:
        ends = "Averages were read"
    else:
        most = plural(production.most_in_use, "connection")
        ends = f"Up to {most} of one pool were seen in use, at up to {rate(production.peak_rate)}"
    if not open_ones:
        return f"{ends}, and that answers all of it."
    # What would let it say stands last.
    ways = dict.fromkeys(because.rpartition("; ")[2] for because in open_ones.values())
    return f"{ends}. Not answered: {'; '.join(open_ones)}. {' '.join(map(sentence, ways))}"


def _production(seen: Seen) -> FromProduction:
    production = seen.found.recommendation.production
    assert production is not None, "it is what was observed"
    return production


@contextlib.contextmanager
def running(day: float) -> Iterator[Path]:
    """The demo service on a lab, its load a day of so many seconds; gives its targets.toml."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(sizes.UPSTREAMS))
        stack.enter_context(lab.in_environment())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-day-")))
        pools = folder / "pools.py"
        pools.write_text(sizes.pools_source(sizes.targets_of(lab), SIZES), encoding="utf-8")
        service = stack.enter_context(ServiceProcess(pools, day=day))
        file = folder / TARGETS
        file.write_text(sizes.targets_toml(lab, service.url), encoding="utf-8")
        yield file


async def observed_at(
    file: Path,
    target: str = "",
    *,
    since: float = WEEK,
    look: float = LOOK,
    put: Callable[[str], None] | None = None,
) -> Seen:
    """The same of a targets.toml; `put` takes the HTML that says how far it is."""
    chosen, put = _chosen(file, target), put or line()
    asked = chosen.production  # without it `observe` says so
    seconds = since if asked is not None and asked.prometheus else look

    # An interrupt of the cell ends what the thread does, too.
    interrupted = threading.Event()

    def sleep(seconds: float) -> None:
        if interrupted.wait(seconds):
            raise asyncio.CancelledError

    def see(event: Event) -> None:
        sleep(0.0)
        if said := narration.sentence(event):
            put(_status(f"{chosen.name}: {said}"))

    try:
        found = await in_thread(observe, chosen, seconds, see, sleep=sleep)
    finally:
        interrupted.set()
    return Seen(chosen, found)


def _status(said: str) -> str:
    return f'<p role="status">{escape(said)}</p>'


def _chosen(file: Path, target: str) -> Target:
    """The target that is named, or the first that says where its metrics are."""
    tables = read_toml(file).get("targets", {})
    known = [
        name
        for name, table in (tables.items() if isinstance(tables, dict) else ())
        if isinstance(table, dict) and "production" in table
    ]
    if not (target or known):
        raise BadInput(
            f"no target of {file.name} says where its metrics are",
            'add to one: production = { prometheus = "http://127.0.0.1:9090", pool = "orders-db" }'
            "; or look at the lab's demo service: POOLKIT_SOURCE=lab",
        )
    name = target or known[0]
    return load_targets(file, (name,), sends=False)[name]
