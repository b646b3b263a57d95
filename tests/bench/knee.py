"""The Little's Law knee of workers-type upstreams against the number of workers."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from tests.bench.trials import run_command

BUDGET = "20"  # s of load
REACH = 0.05
CASES = ((8, 0.0), (8, 1.0), (16, 0.5), (24, 2.0), (32, 0.5))  # workers, cv


def error_of(workers: int, cv: float) -> float:
    """Sweep one upstream, print its row; how far the knee was off (1: none was seen)."""
    model = Workers(workers=workers, service_time=0.02, cv=cv)
    with HttpUpstream(model) as upstream, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        path.write_text(
            f'[targets.workers]\ndriver = "aiohttp"\nurl = "{upstream.url}"\n'
            f"target_rate = {model.plateau * 0.6}\n"
        )
        ran = run_command("sweep", "workers", path, os.environ, "--budget", BUDGET)
    knees = {knee.rule: knee for knee in ran.sizing.knees} if ran.sizing else {}
    knee = knees.get("littles_law")
    if knee is None or knee.size is None or knee.interval95 is None:
        print(f"{workers:>8}{cv:>6g}    none seen", flush=True)
        return 1.0
    low, high = knee.interval95
    error = knee.size / workers - 1.0
    print(
        f"{workers:>8}{cv:>6g}{knee.size:>8.1f}{f'{low:.1f} to {high:.1f}':>16}"
        f"{error:>+9.1%}{ran.load:>6.0f} s",
        flush=True,
    )
    return abs(error)


def main() -> int:
    """Print a row an upstream; the figure to reach is 5 % in the median, at 20 s of load each."""
    print(f"{'workers':>8}{'cv':>6}{'knee':>8}{'interval':>16}{'off by':>9}{'load':>8}")
    median = statistics.median(error_of(workers, cv) for workers, cv in CASES)
    print(f"knee off by {median:.1%} in the median (<= {REACH:.0%})")
    return 0 if median <= REACH else 1


if __name__ == "__main__":
    sys.exit(main())
