"""Sizes from production metrics: how right on simulated days, how fast and large for a fleet.

    python tests/bench/observe.py [--seconds S] [--seeds N] [--pods N] [--days N]

Accuracy: the six simulated upstreams, a day compressed to `--seconds`, with twice, 1.3 times and
just the connections needed; needed is brute force at the peak. A size is good within 15 % of it, or
"cannot say"; low is more than one connection below it and trusted. Volume: `--pods` for `--days`,
from a Prometheus that adds them up, as it does: time and the peak of this process's memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from poolkit.analysis.production import evidence, sized
from poolkit.analysis.todays_waits import todays_waits
from poolkit.analysis.windows import Times, Windows
from poolkit.observe.run import observe
from poolkit.targets import load_targets
from poolkit.targets.objective import Objective
from tests.analysis.day import SIX, Service, day, steady
from tests.observe.fake import Fake, serving

WAIT = 0.010
OF = ("orders", "asyncpg", "2026-11-28T00:00:00Z")


def needed(service: Service) -> int:
    """The smallest pool that keeps to the wait at the peak of the day, by trying."""

    def late(size: int) -> float:
        shares = []
        for seed in (11, 12):
            rng = np.random.default_rng(seed)
            calls = service.upstream.serve(steady(service.peak, 300.0, rng), size, rng)
            shares.append(float((calls.waits[2000:] > WAIT).mean()))
        return sum(shares) / len(shares)

    size = 1
    while late(size) > 0.01:
        size += max(1, size // 4)
    while size > 1 and late(size - 1) <= 0.01:
        size -= 1
    return size


def accuracy(seconds: float, seeds: int) -> None:
    """Print a row for each upstream."""
    good, low, total = 0, 0, 0
    for service in SIX:
        need, answers = needed(service), []
        for size in (need, round(1.3 * need), 2 * need):
            for seed in range(1, seeds + 1):
                windows = day(service, size, seconds=seconds, seed=seed).whole()
                asked = Objective(target_rate=service.peak, wait_p99=WAIT, max_size=1024)
                got = sized(windows, asked, *OF)[0].size
                trusted = todays_waits(*evidence(windows, service.peak, *OF)).is_trusted
                total += 1
                good += got is None or abs(got - need) <= max(1.0, 0.15 * need)
                low += got is not None and trusted and got < need - 1
                answers.append(f"{size}: {got or '-'}{'' if trusted else '?'}")
        print(f"{service.name:22} needed {need:3}   {', '.join(answers)}", flush=True)
    print(f"good {good} of {total}; trusted and too small by more than one: {low}")


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
    with serving(Fake(large)) as fake, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets.toml"
        file.write_text(
            '[targets.orders-db]\ndriver = "asyncpg"\ndsn = "postgresql://u:p@127.0.0.1/o"\n'
            f'statements = ["select 1"]\ntarget_rate = {450 * pods}\nwait_p99 = 0.01\n'
            f"max_size = 100000\nreplicas = {pods}\n"
            f'production = {{ prometheus = "{fake.url}", pool = "orders-db" }}\n',
            encoding="utf-8",
        )
        began = time.monotonic()
        found = observe(load_targets(file)["orders-db"], days * 86_400, lambda _event: None)
        passed = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    r = found.recommendation
    print(
        f"{pods} pods, {days:g} days: {passed:.1f} s, {peak:.0f} MB at most (the fake server's "
        f"own included), {found.queries} queries, size {r.recommended_size}"
    )


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--days", type=float, default=7.0)
    asked = parser.parse_args()
    volume(asked.pods, asked.days)
    accuracy(asked.seconds, asked.seeds)


if __name__ == "__main__":
    main()
