"""A fleet of generators against one process: what it carries, costs, and how well it keeps time.

    python -m tests.bench.fleet

Everything runs on this machine: the server, the client and all generators share its cores, so two
generators can carry twice the calls of one only where there are cores to spare; the CPU that they
had is printed beside.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from poolkit.cli.progress import make_screen
from poolkit.errors import Cancelled
from poolkit.histogram import GROWTH
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.together import Part, together
from poolkit.measure.child import Order, command
from poolkit.measure.fleet.source import FleetSource
from poolkit.measure.generating import Load, Sent, ThisProcess
from poolkit.measure.parent import tied
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Distribution
from poolkit.review.export import read_recommended
from poolkit.review.outcome import trial_log
from poolkit.review.run import review
from poolkit.show import cold, trust, words
from poolkit.targets import Target, load_targets
from poolkit.targets.fleet import Fleet

SECONDS = 3.0
MANY = 100  # generators that are added up at most
STARTS = 40  # trials whose beginning is looked at
REPEATS = 5
CONNECTIONS, MOST_LOAD = 40, 120.0  # of the lab's PostgreSQL; s of a review of four replicas
SKEW, HALT, ORPHAN, OVERHEAD, TWICE = 0.002, 0.05, 2.0, 0.98, 1.8


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    seen: str
    holds: bool

    def __str__(self) -> str:
        return f"{'ok   ' if self.holds else 'MISS '} {self.name}: {self.seen}"


def closed(size: int, seconds: float = SECONDS) -> Load:
    """A closed loop that runs to its end: no purpose of the curve, which would end it early."""
    plan = TrialPlan("verify", size, 0.2, seconds, "bench", callers=size)
    return Load(plan, 5, 5.0, 5_000_000)


async def send(source: FleetSource | ThisProcess, target: Target, load: Load) -> Sent:
    """One trial without an onlooker."""
    return await source.send(target, load, lambda *_: None)


def rate(sent: Sent) -> float:
    """Successes a second of the whole trial."""
    return float(sent.measurement.completions.sum()) / sent.measurement.seconds


def cpu_of_a_call(part: Sent | Part) -> float:
    """CPU seconds of one process for each call that it carried."""
    samples = part.measurement.samples
    spent = float(samples.cpu[-1] - samples.cpu[0])
    return spent / max(1, int(part.measurement.completions.sum()))


async def carried(target: Target, file: Path) -> Figure:
    """Calls a second of two generators over those of one, in turn."""
    one, two = (FleetSource(Fleet(workers=n), file, lambda _: None) for n in (1, 2))
    try:
        pairs = []
        for _ in range(REPEATS):
            first, second = await send(one, target, closed(16)), await send(two, target, closed(32))
            pairs.append((rate(first), rate(second)))
            busy = sum(
                float(p.measurement.samples.cpu[-1] - p.measurement.samples.cpu[0]) / SECONDS
                for p in second.parts.values()
            )
        ratio = statistics.median(second / first for first, second in pairs)
        alone = statistics.median(first for first, _ in pairs)
        seen = (
            f"{ratio:.2f} times one's {alone:.0f} calls/s; the two had {busy:.2f} of "
            f"{len(os.sched_getaffinity(0))} cores, the server and this client the rest"
        )
        name = f"two generators carry (>= {TWICE} with cores to spare)"
        return Figure(name, seen, ratio >= TWICE)
    finally:
        await one.close()
        await two.close()


async def starts(source: FleetSource, target: Target) -> Figure:
    """How long after the agreed moment each of two generators begins."""
    skews: list[float] = []
    for _ in range(STARTS):
        sent = await send(source, target, closed(4, 0.4))
        skews += [part.skew for part in sent.parts.values()]
    p99, p50 = float(np.quantile(skews, 0.99)), float(np.quantile(skews, 0.5))
    seen = f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms of {len(skews)} starts (<= 2 ms)"
    return Figure("start skew", seen, p99 <= SKEW)


async def percentiles(source: FleetSource, target: Target) -> Figure:
    """The p99 of the sum against that of all calls' own times in the system."""
    sent = await send(source, target, closed(16))
    columns = [part.moments.columns() for part in sent.parts.values()]
    times = np.concatenate([ended - began for began, ended, _, _ in columns])
    times = np.sort(times[~np.isnan(times)])
    exact = float(times[int(np.ceil(0.99 * times.size)) - 1])
    merged = _responses(sent).p99 or 0.0
    off = abs(merged / exact - 1.0)
    seen = f"p99 {merged * 1e3:.3f} ms, {exact * 1e3:.3f} ms of the calls themselves"
    return Figure("merged p99", f"{seen} ({off:.2%} apart, <= 1 %)", off <= GROWTH - 1.0)


async def sums(source: FleetSource, target: Target) -> Figure:
    """How long adding up takes the client, up to a hundred generators: copies of a real part."""
    sent = await send(source, target, closed(16))
    part = next(iter(sent.parts.values()))
    data = pickle.dumps(part)
    took = {}
    for many in (2, 8, 32, MANY):
        parts = [pickle.loads(data) for _ in range(many)]
        began = time.process_time()
        together(parts)
        took[many] = time.process_time() - began
    size = len(zlib.compress(data, 1))
    each = ", ".join(f"{many}: {seconds * 1e3:.0f} ms" for many, seconds in took.items())
    seen = f"{each} (<= 1 s); a part of {part.calls} calls travels as {size / 1000:.0f} kB"
    return Figure("adding up N generators", seen, took[MANY] <= 1.0)


def _responses(sent: Sent) -> Distribution:
    first, *rest = sent.measurement.segments
    for segment in rest:
        first.merge(segment)
    return first.response.distribution()


async def halt(source: FleetSource, target: Target, upstream: HttpUpstream) -> Figure:
    """How many calls the server sees later than 50 ms after a cancel."""
    late = []
    for _ in range(REPEATS):
        task = asyncio.create_task(send(source, target, closed(8, 10.0)))
        await asyncio.sleep(1.5)
        source.cancel()
        await asyncio.sleep(HALT)
        before = await asyncio.to_thread(_served, upstream)
        with contextlib.suppress(Cancelled):
            await task
        await asyncio.sleep(0.3)
        late.append(await asyncio.to_thread(_served, upstream) - before)
    return Figure("calls later than 50 ms after a cancel", str(late), max(late) == 0)


def _served(upstream: HttpUpstream) -> int:
    return int(upstream.stats()["served"])


def orphans(upstream: HttpUpstream, file: Path) -> Figure:
    """How many calls the server sees later than 2 s after the client was killed."""
    with tempfile.TemporaryDirectory() as folder:
        order = Order("size", "fast", file, Path(folder), budget=60.0, fleet=2)
        client = subprocess.Popen(tied(command(order)), stdout=subprocess.PIPE)
        assert client.stdout is not None
        begun = 0
        for line in client.stdout:
            begun += json.loads(line)["event"] == "progress"
            if begun > 4:
                break
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
        time.sleep(ORPHAN)
        before = _served(upstream)
        time.sleep(1.0)
        late = _served(upstream) - before
    return Figure("calls later than 2 s after the client was killed", str(late), late == 0)


async def overhead(source: FleetSource, target: Target) -> Figure:
    """CPU of a call in a process of its own, alone and as one of a fleet."""
    alone = ThisProcess()
    ratios = []
    for _ in range(REPEATS):
        before = cpu_of_a_call(await send(alone, target, closed(8)))
        sent = await send(source, target, closed(8))
        after = cpu_of_a_call(await send(alone, target, closed(8)))
        (part,) = sent.parts.values()
        ratios.append((before + after) / 2 / cpu_of_a_call(part))
    ratio = statistics.median(ratios)
    seen = f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}; >= {OVERHEAD})"
    return Figure("CPU of a call alone over that in a fleet", seen, ratio >= OVERHEAD)


def four_replicas() -> Figure:
    """A whole review of four replicas on a PostgreSQL with room for little more."""
    with PostgresServer(max_connections=CONNECTIONS) as server, tempfile.TemporaryDirectory() as to:
        file, out = Path(to) / "targets.toml", Path(to) / "out"
        file.write_text(
            '[targets.db]\ndriver = "asyncpg"\ndsn_env = "BENCH_DSN"\ntarget_rate = 200\n'
            'statements = ["select pg_sleep(0.008)"]\nwait_p99 = 0.02\nreplicas = 4\nsurge = 1\n'
            f"max_connections = {CONNECTIONS}\nreserved_connections = 5\n",
            encoding="utf-8",
        )
        os.environ["BENCH_DSN"] = server.dsn
        screen = make_screen(Console(), Console(stderr=True))
        review(file, out, screen, budget=MOST_LOAD, fleet=4, cold=True)
        (found,) = read_recommended(out).targets
        target = load_targets(file)["db"]
        load: Counter[str] = Counter()
        for trial in trial_log(out, target).read():
            load[trial.purpose] += trial.warm_up + trial.window
    size, advice = found.recommended_size, found.cold
    parts = [", ".join(f"{purpose} {seconds:.0f}" for purpose, seconds in load.items()) + " s"]
    parts.append(f"{words.size(found)} each ({found.verdict}): {trust.how_sure(found)}")
    if size is not None:
        rolling = size * target.pools_rolling
        parts.append(f"{rolling} of {target.budget} connections while a deploy rolls")
    parts.append("no cold start" if advice is None else cold.finding(advice))
    is_answered = size is not None and advice is not None
    seen = f"{found.seconds:.0f} s of load (<= {MOST_LOAD:g} s): " + "; ".join(parts)
    name = f"a review of four replicas, max_connections {CONNECTIONS}"
    return Figure(name, seen, is_answered and found.seconds <= MOST_LOAD)


async def figures(targets: Mapping[str, Target], file: Path, fast: HttpUpstream) -> list[Figure]:
    """All but the orphans, one after the other."""
    found = [await carried(targets["fast"], file)]
    print(found[-1], flush=True)
    one, two = (FleetSource(Fleet(workers=n), file, lambda _: None) for n in (1, 2))
    try:
        for work in (
            starts(two, targets["steady"]),
            percentiles(two, targets["steady"]),
            sums(two, targets["steady"]),
            halt(two, targets["fast"], fast),
        ):
            found.append(await work)
            print(found[-1], flush=True)
    finally:
        await two.close()
    try:
        found.append(await overhead(one, targets["fast"]))
        print(found[-1], flush=True)
    finally:
        await one.close()
    return found


def main() -> int:
    """Print a line for each figure; 1 where one does not hold."""
    import uvloop

    with (
        tempfile.TemporaryDirectory() as folder,
        HttpUpstream(Workers(workers=1000, service_time=1e-6)) as fast,
        HttpUpstream(Workers(workers=1000, service_time=0.01)) as steady,
    ):
        file = Path(folder) / "targets.toml"
        file.write_text(
            "".join(
                f'[targets.{name}]\ndriver = "aiohttp"\nurl = "{one.url}"\ntarget_rate = 200\n'
                for name, one in (("fast", fast), ("steady", steady))
            ),
            encoding="utf-8",
        )
        found = uvloop.run(figures(load_targets(file), file, fast))
        found.append(orphans(fast, file))
        print(found[-1], flush=True)
    found.append(four_replicas())
    print(found[-1], flush=True)
    return 0 if all(figure.holds for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
