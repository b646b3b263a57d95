"""Sizes from production metrics: how right on simulated days, how fast and large for a fleet.

    python tests/bench/observe.py [--seconds S] [--seeds N] [--others | --held-out]
        [--pods N] [--days N]

Accuracy: the six simulated upstreams (with `--others` six more, with `--held-out` six on which
nothing of the method was chosen), a day of sine or of steps compressed to `--seconds`, with twice,
1.3 times and just the connections needed; needed is brute force at the peak, and at 1.1 times the
peak, beyond what was seen. A size is good within 15 % of it, or "cannot say"; low is more than one
connection below it and trusted. The next day, of another seed, has its p99 wait inside the interval
predicted or not: with the size named, and with today's. Power: of how many short days the waits are
trusted, and of how many that no model should tell. Volume: `--pods` for `--days`, from a Prometheus
that adds them up, as it does: time and the peak of this process's memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from poolkit.analysis.next_day import next_day
from poolkit.analysis.production import evidence, sized
from poolkit.analysis.todays_waits import todays_waits
from poolkit.analysis.windows import Times, Windows
from poolkit.observe.run import observe
from poolkit.targets import load_targets
from poolkit.targets.objective import Objective
from tests.analysis.day import (
    HELD_OUT,
    OTHERS,
    SIX,
    Service,
    arrivals,
    calls_of,
    day,
    steady,
    steps,
)
from tests.observe.fake import Averaging, Fake, serving

WAIT = 0.010
SHORT = 60.0  # s, of a day in which too little is seen
GROWN = 1.1  # times the peak of the day
TRIED = range(20, 26)  # seeds of the open loops that tell the size needed
OF = ("orders", "asyncpg", "2026-11-28T00:00:00Z")


def needed(service: Service) -> int:
    """The smallest pool that keeps to the wait at the peak of the day, by trying."""

    def late(size: int) -> float:
        shares = []
        for seed in TRIED:
            rng = np.random.default_rng(seed)
            calls = service.upstream.serve(steady(service.peak, 300.0, rng), size, rng)
            shares.append(float((calls.waits[2000:] > WAIT).mean()))
        return sum(shares) / len(shares)

    low, size = 0, 8
    while late(size) > 0.01:
        low, size = size, 2 * size
    while size - low > 1:
        middle = (low + size) // 2
        low, size = (middle, size) if late(middle) > 0.01 else (low, middle)
    return size


@dataclass
class Count:
    """How many of the sizes were right, and of the next days within what was predicted."""

    sizes: int = 0
    good: int = 0
    low: int = 0
    unsaid: int = 0
    days: int = 0
    inside: int = 0
    waits: int = 0  # of the days, with a p99 wait above 0
    waits_inside: int = 0

    def add(self, got: int | None, need: int, is_trusted: bool) -> None:
        """Count one size, None: cannot say."""
        self.sizes += 1
        self.unsaid += got is None
        self.good += got is None or abs(got - need) <= max(1.0, 0.15 * need)
        self.low += got is not None and is_trusted and got < need - 1

    def __str__(self) -> str:
        said = (
            f"good {self.good} of {self.sizes} ({self.unsaid} cannot say), trusted and low by more "
            f"than one {self.low}"
        )
        if not self.days:
            return said
        return (
            f"{said}; next day's p99 inside {self.inside} of {self.days} "
            f"({self.inside / max(1, self.days):.0%} against 90 %), with a wait "
            f"{self.waits_inside} of {self.waits}"
        )


def accuracy(services: Sequence[Service], seconds: float, seeds: int) -> None:
    """Print two rows for each upstream, and the sum."""
    totals = Count(), Count()
    for service in services:
        need, grown = needed(service), replace(service, peak=GROWN * service.peak)
        needs = need, needed(grown)
        for name, shape in (("sine", arrivals), ("steps", steps)):
            rows, answers = (Count(), Count()), []
            for size in (need, round(1.3 * need), 2 * need):
                for seed in range(1, seeds + 1):
                    windows = day(service, size, seconds=seconds, seed=seed, shape=shape).whole()
                    known = evidence(windows, service.peak, *OF)
                    trusted = todays_waits(*known, WAIT).is_trusted
                    said: list[int | None] = []
                    for row, of, wanted in zip(rows, (service, grown), needs, strict=True):
                        asked = Objective(target_rate=of.peak, wait_p99=WAIT, max_size=1024)
                        said.append(sized(windows, asked, *OF)[0].size)
                        row.add(said[-1], wanted, trusted)
                    shown = " ".join(str(one or "-") for one in said)
                    answers.append(f"{size}: {shown}{'' if trusted else '?'}")
                    row, got = rows[0], said[0]
                    for one in next_day(windows, sorted({size, got or size})):
                        calls = calls_of(service, one.pool_size, seconds, 1000 + seed, shape)
                        p99 = float(np.quantile(calls.waits, 0.99))
                        least, most = one.wait_p99_interval95 or (0.0, np.inf)
                        inside = least <= p99 <= most
                        row.days += 1
                        row.inside += inside
                        row.waits += p99 > 0
                        row.waits_inside += inside and p99 > 0
            print(f"{service.name:18} {name:5} needed {needs}   {', '.join(answers)}")
            for at, row, total in zip(("the peak", "1.1 times"), rows, totals, strict=True):
                print(f"    {at}: {row}")
                for field in fields(Count):
                    both = getattr(total, field.name) + getattr(row, field.name)
                    setattr(total, field.name, both)
            sys.stdout.flush()
    print(f"all, at the peak: {totals[0]}\nall, at {GROWN} times the peak: {totals[1]}")


def longer(windows: Windows, buckets: int) -> Windows:
    """The same where each call that waited did so by so many buckets of its histogram longer."""
    times = windows.waits
    beyond = times.counts[:, -1:] - times.counts[:, :-1]
    beyond = np.hstack((np.repeat(beyond[:, :1], buckets, axis=1), beyond[:, :-buckets]))
    counts = np.hstack((times.counts[:, -1:] - beyond, times.counts[:, -1:]))
    return replace(windows, waits=Times(times.bounds, counts, times.total))


def power(services: Sequence[Service], seconds: float, seeds: int) -> None:
    """Print how many of short days are trusted: as they are, and where waits are of other cause."""
    right, wrong, waited, days = 0, 0, 0, 0
    for service in services:
        need = needed(service)
        for shape in (arrivals, steps):
            for size in (need, round(1.3 * need), 2 * need):
                for seed in range(1, seeds + 1):
                    whole = day(service, size, seconds=seconds, seed=seed, shape=shape).whole()
                    windows, trial = evidence(whole, service.peak, *OF)
                    days += 1
                    right += todays_waits(windows, trial, WAIT).is_trusted
                    counted = windows.waits.counts.sum(axis=0)
                    if counted[0] < 0.99 * counted[-1]:  # else p99 is the same
                        waited += 1
                        wrong += todays_waits(longer(windows, 3), trial, WAIT).is_trusted
    print(
        f"{seconds:g} s: {right} of {days} days are trusted; with waits 8 to 10 times as long "
        f"{wrong} of the {waited} that have any"
    )


def volume(pods: int, days: float) -> None:
    """Print the time and memory of one observation of a fleet."""
    windows = day(SIX[3], 24, seconds=300.0)
    count = round(days * 86_400 / 300)
    rows = np.arange(count) % windows.ends.size

    def many(table: Times) -> Times:
        return Times(table.bounds, table.counts[rows] * pods * 60, table.total[rows] * pods * 60)

    states = np.pad(windows.held[rows] * pods * 60, ((0, 0), (0, 64 - len(windows.levels))))
    large: Windows = replace(
        windows,
        seconds=300.0,
        ends=time.time() - 300.0 * np.arange(count)[::-1],
        levels=tuple(range(64)),
        held=states,
        releases=np.pad(
            windows.releases[rows] * pods * 60, ((0, 0), (0, 64 - len(windows.levels)))
        ),
        asks=windows.asks[rows] * pods * 60,
        pools=np.full(count, float(pods)),
        waits=many(windows.waits),
        holds=many(windows.holds),
    )
    _observed(Fake(large), pods, days, "poolkit")
    _observed(Averaging(large), pods, days, "hikaricp")


def _observed(fake: Fake, pods: int, days: float, preset: str) -> None:
    """Print what one observation of a fleet costs."""
    with serving(fake), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets.toml"
        file.write_text(
            '[targets.orders-db]\ndriver = "asyncpg"\ndsn = "postgresql://u:p@127.0.0.1/o"\n'
            f'statements = ["select 1"]\ntarget_rate = {450 * pods}\nwait_p99 = 0.01\n'
            f"max_size = 100000\nreplicas = {pods}\n"
            f'production = {{ prometheus = "{fake.url}", pool = "orders-db", '
            f'preset = "{preset}" }}\n',
            encoding="utf-8",
        )
        began = time.monotonic()
        found = observe(load_targets(file)["orders-db"], days * 86_400, lambda _event: None)
        passed = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    r = found.recommendation
    print(
        f"{preset}, {pods} pods, {days:g} days: {passed:.1f} s, {peak:.0f} MB at most (the fake "
        f"server's own included), {found.queries} queries, size {r.recommended_size}"
    )


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    asked = parser.parse_args()
    volume(asked.pods, asked.days)
    services = HELD_OUT if asked.held_out else OTHERS if asked.others else SIX
    power(services, SHORT, asked.seeds)
    accuracy(services, asked.seconds, asked.seeds)


if __name__ == "__main__":
    main()
