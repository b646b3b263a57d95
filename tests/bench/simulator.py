"""How long a million simulated calls take; 3 s is the most for the pool's own recursion."""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.analysis.simulate import Contended, CpuBound, Workers, open_loop, poisson, queue
from tests.analysis.simulate import draw_times as draw
from tests.analysis.upstreams import Line, Pausing, Sharing, Split, Stage

CALLS = 1_000_000
MOST = 3.0  # s


def main() -> int:
    """Print a row for the bare recursion and for each upstream, at about 80 % of its plateau."""
    rng = np.random.default_rng(1)
    arrived, holds = poisson(800.0, CALLS, rng), draw(0.02, 1.0, CALLS, rng)
    begun = time.perf_counter()
    queue(arrived, holds, 20)
    bare = time.perf_counter() - begun
    print(f"{'pool alone':12}{bare:6.2f} s a million calls")
    for upstream, rate, pool_size in (
        (Workers(24, 0.025, 1.0), 770.0, 40),
        (CpuBound(0.015, 0.00127, 0.3, 0.5), 630.0, 30),
        (Contended(0.009, 0.03, 0.0005, 0.5), 900.0, 30),
        (Sharing(0.01, 8, 1.0), 640.0, 30),
        (Pausing(24, 0.025, 0.5, 0.010, 0.2), 700.0, 40),
        (Split(24, 0.025, 0.5), 600.0, 60),
        (Line((Stage(0.01, 16, 1.0), Stage(0.002, 2, 0.5))), 800.0, 40),
    ):
        begun = time.perf_counter()
        open_loop(upstream, rate, pool_size, CALLS // 5)
        spent = 5 * (time.perf_counter() - begun)
        print(f"{type(upstream).__name__:12}{spent:6.2f} s")
    return int(bare > MOST)


if __name__ == "__main__":
    sys.exit(main())
