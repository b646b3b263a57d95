"""How long one what-if takes: the figure to reach is 50 ms a question, the slowest one included.

Exit code 1 where it is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from poolkit.analysis.what_if import Planner, Question, grid, what_if
from poolkit.records import Sweep
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Workers
from tests.analysis.synthetic import simulated_trial

SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64)
MOST = 0.050  # s
REPEATS = 20

# What is asked, in words, and whether max_size is 64 or 256.
QUESTIONS = {
    "as it is": Question(),
    "another rate": Question(target_rate=800),
    "an upstream half as fast": Question(hold_factor=2),
    "one of three zones lost": Question(replicas=6, zones=3),
    "a response target": Question(response_p99=0.08),
    "a rate out of reach": Question(target_rate=2000),
    "a response out of reach": Question(response_p99=0.005),
    "both, 256 connections": Question(
        target_rate=2000, replicas=4, response_p99=0.005, max_connections=256
    ),
}


def main() -> int:
    """Print a row for each question, and one for a table of 8 x 8 answers."""
    trials = tuple(simulated_trial(Workers(24, 0.025, 0.5), n, seconds=2.0, seed=1) for n in SIZES)
    sweep, objective = (
        Sweep(target="simulated", trials=trials),
        Objective(target_rate=600.0, wait_p99=0.010),
    )
    print(f"{'':<28}{'median':>10}{'slowest':>10}")
    row("fit the sweep (once)", lambda: Planner.of(sweep, objective))
    planner = Planner.of(sweep, objective)
    slow = []
    for name, question in QUESTIONS.items():
        if row(name, lambda asked=question: what_if(planner, asked)) >= MOST:
            slow.append(name)
    rates, factors = tuple(range(100, 900, 100)), (1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 3)
    row("a table of 8 x 8", lambda: grid(planner, rates, factors))
    print("50 ms or slower: " + (", ".join(slow) or "none"))
    return 1 if slow else 0


def row(name: str, ask: Callable[[], object]) -> float:
    """Print the median and the slowest time of a question; returns the slowest (s)."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    median = statistics.median(times)
    print(f"{name:<28}{median * 1e3:>7.1f} ms{max(times) * 1e3:>7.1f} ms", flush=True)
    return max(times)


if __name__ == "__main__":
    sys.exit(main())
