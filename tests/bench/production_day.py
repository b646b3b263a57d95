"""Sizes from production on live upstreams: one day is observed, the next one lives with the size.

    python -m tests.bench.production_day [--only NAME ...] [--seconds S] [--shape steps] [--tight]

For each of the lab's four upstreams a service with one pool, and the demo service with its three,
live a compressed day, scraped by a real Prometheus each 0.4 s. `poolkit observe` names a size
from that alone; `poolkit size` measures the same upstream under load, and the two should agree
within 15 % or one connection. Where production cannot tell a size, that is an answer too, and the
next day takes the one measured. The next day has other calls of the same demand. Its waits near
noon, where the rate is that of the target, are held against the wait target; its p99 wait over the
whole day against the interval that the observation predicted.

Exit code 1 where a size is too small by more than one connection and trusted, where sizes do not
agree, or where the next day's waits near noon miss the target by more than chance.
Takes 25 minutes as it is, `--only lab-db --seconds 30` two.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from poolkit.analysis.windows import Windows
from poolkit.lab.catalogue import CATALOGUE
from poolkit.lab.running import Lab
from poolkit.lab.service import day as days
from poolkit.lab.service import sizes
from poolkit.lab.service.day import Day
from poolkit.lab.service.run import ServiceProcess
from poolkit.load.measurement import Measurement
from poolkit.observe.preset import load
from poolkit.observe.prometheus import Reader
from poolkit.records import Recommendation
from poolkit.targets import Target, load_targets
from poolkit.targets.metrics import MetricsFrom
from tests.bench.provenance import caption
from tests.bench.quiet import Cores
from tests.bench.trials import run_command
from tests.monitor.living import NEAR_NOON, LivingService, near_noon, whole_day
from tests.monitor.prometheus import Prometheus

SECONDS = 90.0  # of a day
SCRAPE = 0.4  # s from one scrape to the next: windows of 2 s, in which the rate hardly changes
IDLE = 2.0  # s around a day, in which its first and last counts are scraped
# Connections of the first day: more than needed, so that it tells how many are.
GENEROUS = {"lab-http": 32, "lab-cpu": 24, "lab-contended": 20, "lab-db": 20}
DEMO, DEMO_SIZE = "demo-service", 10
TIGHT = 0.65  # of these, with --tight
NEAR = 0.15  # a size agrees within so large a share of the other, or one connection
P99 = 0.01
NO_WAIT = 0.0005  # s: a call that finds a free connection takes so long at most to have it
IN_A_ROW = 8.0  # calls that wait do so together, and count as one
SEEDS = (11, 12)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


Live = Callable[[Day, int], Measurement]


class Subject(Protocol):
    """A service on upstreams of the lab.

    Attributes:
        first: connections of each of its pools on the first day.
        peak: calls/s at noon.
        toml: its targets.
    """

    first: Mapping[str, int]
    peak: float
    toml: str

    def serving(
        self, chosen: Mapping[str, int]
    ) -> contextlib.AbstractContextManager[tuple[str, Live]]:
        """The service with pools of these sizes: HOST:PORT of its metrics, and how it lives."""
        ...


class OneUpstream:
    """A service with one pool in front of one upstream of the lab; its waits are known exactly."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.first = {name: GENEROUS[name]}
        self.peak = CATALOGUE[name].target_rate
        self.toml = lab.targets_toml()
        self._name = name

    @contextlib.contextmanager
    def serving(self, chosen: Mapping[str, int]) -> Iterator[tuple[str, Live]]:
        """Serve in this process."""
        name = self._name
        target = _targets(self.toml, (name,))[name]
        with LivingService(IDLE) as service:

            def live(day: Day, seed: int) -> Measurement:
                return service.live(target, chosen[name], day, seed, _Progress(day))

            yield service.address, live


class DemoService:
    """The demo service with its three pools, as a process of its own."""

    def __init__(self, lab: Lab) -> None:
        self.first = dict.fromkeys(sizes.UNDERSIZED, DEMO_SIZE)
        self.peak = sizes.TARGET_RATE
        self.toml = sizes.targets_toml(lab)
        self._targets = sizes.targets_of(lab)

    @contextlib.contextmanager
    def serving(self, chosen: Mapping[str, int]) -> Iterator[tuple[str, Live]]:
        """Serve from a pools.py that poolkit writes, and send the calls of its visitors."""
        with tempfile.TemporaryDirectory() as folder:
            pools = Path(folder) / "pools.py"
            pools.write_text(sizes.pools_source(self._targets, chosen), encoding="utf-8")
            with ServiceProcess(pools) as service:

                def live(day: Day, seed: int) -> Measurement:
                    time.sleep(IDLE)
                    try:
                        return days.live(service.url, day, seed=seed)
                    finally:
                        time.sleep(IDLE)

                yield service.url.removeprefix("http://"), live


class _Progress:
    """Prints a line ten times a day."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._next = 0.0

    def __call__(self, at: float, calls: int, rate: float) -> None:
        """As the generator tells it."""
        if at >= self._next:
            say(f"    {at:5.0f} s of {self._day.seconds:g}: {rate:.0f}/s, {calls} calls so far")
            self._next += self._day.seconds / 10.0


def _targets(toml: str, names: Sequence[str]) -> Mapping[str, Target]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        path.write_text(toml, encoding="utf-8")
        return load_targets(path, names)


@dataclass(frozen=True, slots=True)
class Lived:
    """A day that is over, and the Prometheus that scraped it.

    Attributes:
        url: of the Prometheus.
        since: Unix time (s) a moment before the day.
        noon: of its noon.
        measured: what its load saw of the calls.
        others: share of the cores that others took meanwhile.
    """

    url: str
    since: float
    noon: float
    day: Day
    measured: Measurement
    others: float

    def counted(self, pool: str) -> Windows:
        """What the pool counted in it."""
        asked = MetricsFrom(pool, prometheus=self.url)
        reader = Reader(asked, lambda _what, _share: None, preset=load("poolkit"))
        return reader.read(self.since, self.noon + self.day.seconds / 2 + IDLE).whole()


@contextlib.contextmanager
def lived(subject: Subject, chosen: Mapping[str, int], day: Day, seed: int) -> Iterator[Lived]:
    """A day of the service with pools of these sizes, over; its Prometheus runs on."""
    listed = ", ".join(f"{name} {size}" for name, size in chosen.items())
    say(f"  a day of {day.seconds:g} s, up to {day.peak:g}/s, with {listed}")
    with (
        subject.serving(chosen) as (address, live),
        Prometheus(address, interval=round(1e3 * SCRAPE)) as prometheus,
    ):
        prometheus.wait_scraped()
        cores, began = Cores.now(), time.time()
        measured = live(day, seed)
        noon = time.time() - IDLE - day.seconds / 2
        others = cores.others_since()
        calls = whole_day(measured).outcomes
        say(f"    over: {dict(calls)}, others took {others:.0%} of the cores")
        yield Lived(prometheus.url, began, noon, day, measured, others)


@dataclass(frozen=True, slots=True)
class Row:
    """One pool: what was named, and how the next day went.

    Attributes:
        exact: p99 wait (s) of the next day: all of it, near noon; None: the load saw none.
        counted: the same by the service's histogram.
        late, calls: near noon by the histogram: share of calls above the wait target, of so many.
        predicted: interval (s) of the p99 wait of the whole day; None: none was predicted.
    """

    name: str
    first: int
    observed: Recommendation
    swept: int | None
    second: int
    wait: float
    exact: tuple[float, float] | None
    counted: tuple[float, float]
    late: float
    calls: float
    predicted: tuple[float, float] | None
    others: float

    @property
    def size(self) -> int | None:
        """That production told."""
        return self.observed.recommended_size

    @property
    def is_trusted(self) -> bool:
        """Whether it told today's waits."""
        told = self.observed.production
        return told is not None and told.today.is_trusted

    @property
    def agrees(self) -> bool | None:
        """Whether the two sizes do; None: there are no two."""
        if self.size is None or self.swept is None:
            return None
        return abs(self.size - self.swept) <= max(1.0, NEAR * self.swept)

    @property
    def is_kept(self) -> bool:
        """Whether the waits near noon are within the target, but for chance."""
        return self.late <= P99 + 2.0 * math.sqrt(IN_A_ROW * P99 / max(1.0, self.calls))

    @property
    def is_inside(self) -> bool | None:
        """Whether the day's p99 wait was as predicted; None: nothing was."""
        if self.predicted is None:
            return None
        found = self.counted[0] if self.exact is None else self.exact[0]
        return self.predicted[0] <= found <= max(self.predicted[1], NO_WAIT)

    @property
    def misses(self) -> list[str]:
        """In words what it misses."""
        found = []
        if self.agrees is False:
            found.append("sizes differ")
        too_small = self.size is not None and self.swept is not None and self.size < self.swept - 1
        if too_small and self.is_trusted:
            found.append("too small and trusted")
        if not self.is_kept:
            found.append("waits too long")
        if self.is_inside is False:
            found.append("not as predicted")
        return found

    def cells(self) -> list[str]:
        """Its cells of the table."""
        return [
            self.name,
            str(self.first),
            "cannot say" if self.size is None else str(self.size),
            "yes" if self.is_trusted else "no",
            "no answer" if self.swept is None else str(self.swept),
            {None: "", True: "yes", False: "NO"}[self.agrees],
            str(self.second),
            "" if self.exact is None else _ms(self.exact),
            _ms(self.counted),
            f"{self.late:.2%} of {self.calls:.0f}",
            "" if self.predicted is None else _ms(self.predicted),
            {None: "", True: "yes", False: "NO"}[self.is_inside],
            f"{self.others:.0%}",
            ", ".join(self.misses).upper(),
        ]


HEADS = ["pool", "day 1", "observe", "trusted", "size", "agree", "day 2", "p99 exact: day, noon"]
HEADS += ["p99 counted: day, noon", "over the target near noon", "p99 predicted", "inside"]
HEADS += ["others", "missed"]


def _ms(times: Sequence[float]) -> str:
    return ", ".join(f"{1e3 * at:.1f}" for at in times) + " ms"


def examine(subject: Subject, day: Day, share: float) -> list[Row]:
    """Two days of a service, and what is said of each of its pools in between."""
    first = {name: max(1, round(share * size)) for name, size in subject.first.items()}
    observed: dict[str, Recommendation] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        with lived(subject, first, day, SEEDS[0]) as today:
            toml = subject.toml
            for name in first:
                where = f'production = {{ prometheus = "{today.url}", pool = "{name}" }}\n'
                toml = toml.replace(f"[targets.{name}]\n", f"[targets.{name}]\n{where}")
            path.write_text(toml, encoding="utf-8")
            for name in first:
                since = f"{max(60, math.ceil(time.time() - today.since))}s"
                ran = run_command("observe", name, path, os.environ, "--since", since)
                if ran.recommendation is None:
                    raise RuntimeError(f"observe {name} said nothing, exit {ran.exit_code}")
                observed[name] = ran.recommendation
                _tell(ran.recommendation)
        swept = {}
        for name in first:
            say(f"  poolkit size {name}")
            ran = run_command("size", name, path, os.environ)
            found = ran.recommendation
            swept[name] = None if found is None else found.recommended_size
            say(f"    {swept[name]} connections after {ran.load:.0f} s of load")
    second = {
        name: observed[name].recommended_size or swept[name] or size for name, size in first.items()
    }
    targets = _targets(subject.toml, tuple(first))
    with lived(subject, second, day, SEEDS[1]) as tomorrow:
        return [
            _row(targets[name], first[name], observed[name], swept[name], second[name], tomorrow)
            for name in first
        ]


def _tell(found: Recommendation) -> None:
    told = found.production
    assert told is not None
    size = found.recommended_size
    say(
        f"  poolkit observe {found.target}: {'cannot say' if size is None else size}, "
        f"{told.windows} windows of {told.window:g} s, {told.peak_rate:.0f}/s at most, up to "
        f"{told.most_in_use} in use, {'trusted' if told.today.is_trusted else 'not trusted'}: "
        f"{told.today.because}"
    )
    for one in told.scenarios:
        say(f"    {one.name}: {one.size or one.because}")
    for next_day in told.next_day:
        said = next_day.wait_p99_interval95
        says = "without bound" if said is None else _ms(said)
        say(f"    p99 wait of such a day with {next_day.pool_size}: {says}")


def _row(
    target: Target,
    first: int,
    observed: Recommendation,
    swept: int | None,
    second: int,
    tomorrow: Lived,
) -> Row:
    wait = target.wait_p99
    assert wait is not None
    windows, day = tomorrow.counted(target.name), tomorrow.day
    middles = windows.ends - windows.seconds / 2 - tomorrow.noon + day.seconds / 2
    busy = np.array([day.rate(at) >= NEAR_NOON * day.peak for at in middles])
    noon = windows.waits.rows(busy)
    calls = float(noon.counts[:, -1].sum())
    above = calls - float(noon.counts[:, noon.bounds.index(wait)].sum())
    exact = None
    if target.name in GENEROUS:
        parts = (whole_day(tomorrow.measured), near_noon(tomorrow.measured, day))
        exact = _p99(*(part.wait.distribution().p99 for part in parts))
    counted = _p99(*(part.distribution().p99 for part in (windows.waits, noon)))
    told = observed.production
    predicted = [
        one.wait_p99_interval95
        for one in (told.next_day if told is not None else ())
        if one.pool_size == second and one.wait_p99_interval95 is not None
    ]
    return Row(
        target.name,
        first,
        observed,
        swept,
        second,
        wait,
        exact,
        counted,
        above / max(1.0, calls),
        calls,
        predicted[0] if predicted else None,
        tomorrow.others,
    )


def _p99(day: float | None, noon: float | None) -> tuple[float, float]:
    return (day or 0.0, noon or 0.0)


def report(rows: Sequence[Row]) -> bool:
    """Print the table (Markdown), its caption and the summary; whether nothing was missed."""
    print(f"\n{caption()}\n\n| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    said = [row for row in rows if row.size is not None]
    print(
        f"\n{len(said)} of {len(rows)} sizes told, the others cannot say; "
        f"{sum(row.agrees is True for row in said)} of these within {NEAR:.0%} or one connection "
        f"of the size measured under load (all)\nnear noon of the next day "
        f"{sum(row.is_kept for row in rows)} of {len(rows)} pools kept to the wait target (all)"
    )
    inside = [row.is_inside for row in rows if row.is_inside is not None]
    if inside:
        print(f"p99 wait of the next day as predicted: {sum(inside)} of {len(inside)} (90 %)")
    return bool(rows) and not any(row.misses for row in rows)


def main() -> int:
    """Live the days, print the table."""
    names = (*GENEROUS, DEMO)
    parser = argparse.ArgumentParser(prog="python -m tests.bench.production_day")
    parser.add_argument("--only", nargs="+", choices=names, default=list(names), metavar="NAME")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a day")
    parser.add_argument("--shape", choices=("sine", "steps"), default="sine")
    parser.add_argument("--tight", action="store_true", help="begin with too few connections")
    asked = parser.parse_args()
    if shutil.which("prometheus") is None:
        sys.stderr.write("prometheus is not installed: apt-get install prometheus\n")
        return 2
    rows = []
    for name in asked.only:
        say(name)
        upstreams = sizes.UPSTREAMS if name == DEMO else (name,)
        with Lab(upstreams) as lab, lab.in_environment():
            subject: Subject = DemoService(lab) if name == DEMO else OneUpstream(lab, name)
            day = Day(asked.seconds, subject.peak, shape=asked.shape)
            rows += examine(subject, day, TIGHT if asked.tight else 1.0)
    return 0 if report(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
