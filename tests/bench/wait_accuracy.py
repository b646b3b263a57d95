"""Waits on real sockets against the exact recursion with the same arrivals and the same draws.

The lab's server holds each call for a time drawn from a known seed, in the order in which calls
come through the gate, so what every call should have held is known without measuring it. What the
sockets add to each hold (the median of measured less drawn) is given to the recursion as well. The
second figure takes the holds as measured. On a virtual clock the two are equal to the last digit
(tests/load/test_generator.py).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.drivers.fleet import GatedPool
from poolkit.lab.models import Workers, duration
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.arrivals import poisson_exact
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import best_timer
from poolkit.targets.workload import HttpWork
from tests.analysis.simulate import queue
from tests.bench.interleaved import reached

Floats = NDArray[np.float64]
SIZE, HOLD, CV, RATE, SECONDS = 10, 0.02, 0.5, 425.0, 20.0
REPEATS = 5
MOST_SHARE, MOST = 0.03, 0.2e-3  # of the mean wait; s


@dataclass(frozen=True, slots=True)
class Waits:
    """Mean waits (s) of one trial: measured, by the drawn holds and by the measured ones."""

    measured: float
    by_draws: float
    by_holds: float
    sockets: float  # s that each hold was longer than drawn


async def trial(url: str, model: Workers, seed: int) -> Waits:
    """One open loop through a gated pool."""
    chunks: list[Columns] = []
    pool = GatedPool(AiohttpPool(HttpWork("GET", url), SIZE), SIZE)
    await pool.open()
    timer = best_timer(asyncio.get_running_loop())
    plan = Plan(
        seconds=SECONDS,
        warm_up=0.0,
        seed=seed,
        arrivals=poisson_exact(RATE, SECONDS, seed),
        arrival_rate=RATE,
    )
    await Generator(pool, plan, timer, on_chunk=chunks.append).run()
    timer.close()
    await pool.close()
    started, acquired, released = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("started", "acquired", "released")
    )
    order = np.argsort(acquired, kind="stable")
    started, acquired, released = started[order], acquired[order], released[order]
    draw = duration(model.service_time, model.cv, model.seed)
    drawn = np.array([draw() for _ in range(started.size)])
    held = released - acquired
    sockets = float(np.median(held - drawn))
    return Waits(
        measured=float((acquired - started).mean()),
        by_draws=_mean_wait(started, drawn + sockets),
        by_holds=_mean_wait(started, held),
        sockets=sockets,
    )


def _mean_wait(started: Floats, holds: Floats) -> float:
    exact = queue(started, holds, SIZE)
    return float((exact.acquired - exact.arrived).mean())


def main() -> int:
    """Print the medians of the repeats; on uvloop, as the measuring child does."""
    import uvloop

    rows = []
    for seed in range(REPEATS):
        model = Workers(workers=100, service_time=HOLD, cv=CV, seed=seed)
        with HttpUpstream(model) as upstream:
            rows.append(uvloop.run(trial(upstream.url, model, seed)))
    wait = statistics.median(row.measured for row in rows)
    off = statistics.median(row.measured - row.by_draws for row in rows)
    by_holds = statistics.median(row.measured - row.by_holds for row in rows)
    within = abs(off) <= max(MOST, MOST_SHARE * wait)
    print(
        f"mean wait at {RATE:g}/s over {SIZE} connections: {wait * 1e3:.3f} ms, off the recursion "
        f"with the same draws by {off * 1e3:+.3f} ms ({off / wait:+.1%}): {reached(within)} (3 % "
        f"or 0.2 ms); with the holds as measured by {by_holds * 1e3:+.3f} ms; sockets add "
        f"{statistics.median(row.sockets for row in rows) * 1e3:.2f} ms to a hold "
        f"(medians of {REPEATS})"
    )
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
