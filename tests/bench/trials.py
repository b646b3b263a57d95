"""What the benchmarks share: one open-loop trial, and one sizing through the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from poolkit import events
from poolkit.analysis.summary import summarise
from poolkit.drivers.registry import make_service_pool
from poolkit.load.arrivals import steps
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import best_timer
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.targets import Target


def open_loop(
    target: Target, pool_size: int, seconds: float, seed: int, warm_up: float = 1.0
) -> Trial:
    """Poisson arrivals at the target rate through a pool of this size, measured for `seconds`.

    The same seed gives every size the same arrivals.
    """
    import uvloop

    async def go() -> Trial:
        pool = make_service_pool(target, pool_size, pools=1, seed=seed)
        await pool.open()
        timer = best_timer(asyncio.get_running_loop())
        rate = target.target_rate
        arrivals = steps([(rate, warm_up), (rate, seconds)], seed)
        plan = Plan(
            seconds=seconds + warm_up,
            warm_up=warm_up,
            seed=seed,
            arrivals=arrivals,
            arrival_rate=target.target_rate,
        )
        try:
            measurement = await Generator(pool, plan, timer).run()
        finally:
            timer.close()
            await pool.close()
        return summarise(
            measurement,
            target=target.name,
            driver=target.driver,
            fingerprint=target.fingerprint,
            purpose="verify",
        )

    return uvloop.run(go())


@dataclass(frozen=True, slots=True)
class Ran:
    """What a child command said: `load` is its seconds of load."""

    sizing: Sizing | None
    recommendation: Recommendation | None
    load: float
    exit_code: int


def run_command(
    command: str, name: str, targets: Path, environment: Mapping[str, str], *options: str
) -> Ran:
    """`poolkit sweep` or `size` as a child."""
    sizing = recommendation = None
    load = 0.0
    with tempfile.TemporaryDirectory() as out:
        arguments = [command, name, "--targets", str(targets), "--out", out, "--events", *options]
        done = subprocess.run(
            [sys.executable, "-m", "poolkit", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
            check=False,
        )
    for line in done.stdout.splitlines():
        match events.from_line(line):
            case events.Sized(sizing=sizing):
                pass
            case events.Recommended(recommendation=recommendation):
                pass
            case events.TrialDone(trial=trial):
                load += trial.warm_up + trial.window
    return Ran(sizing, recommendation, load, done.returncode)
