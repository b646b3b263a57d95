"""Does memory grow with the number of calls? Resident size after 100 thousand and 5 million."""

from __future__ import annotations

import asyncio
import sys

import psutil

from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.timer import best_timer
from tests.bench.interleaved import reached

FEW, MANY = 100_000, 5_000_000
MOST = 10.0  # MB


class _InstantPool:
    """A pool that holds for one turn of the loop: as many calls as the generator can record."""

    pool_size = 16

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self.pool_size, 0, 0, 0, 0, 0)

    async def call(self, stamps: Stamps) -> None:
        stamps.acquired()
        await asyncio.sleep(0)
        stamps.served()


async def measure() -> bool:
    """Print the growth and tell whether it is small enough."""
    process = psutil.Process()
    seen: dict[int, float] = {}
    timer = best_timer(asyncio.get_running_loop())

    def look(_at: float, calls: int, _rate: float) -> None:
        for mark in (FEW, MANY):
            if calls >= mark and mark not in seen:
                seen[mark] = process.memory_info().rss / 1e6
        if MANY in seen:
            generator.cancel()

    generator = Generator(
        _InstantPool(),
        Plan(seconds=120.0, warm_up=0.1, seed=1, callers=16),
        timer,
        brakes=Brakes(max_calls=10 * MANY, max_rate=1e9),
        on_progress=look,
    )
    try:
        await generator.run()
    except Exception as error:  # the look ends the run once it has seen enough
        if MANY not in seen:
            raise error
    timer.close()
    growth = seen[MANY] - seen[FEW]
    print(
        f"resident size after {FEW:,} calls {seen[FEW]:.1f} MB, "
        f"after {MANY:,} {seen[MANY]:.1f} MB: "
        f"{growth:+.1f} MB: {reached(growth <= MOST)} (<= {MOST:g})"
    )
    return growth <= MOST


def main() -> int:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    return int(not uvloop.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
