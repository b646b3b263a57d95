"""Does the size read off a short sweep survive brute force? The truth is simulated, no model.

    python tests/bench/sizing_simulated.py [--quick] [--seeds N] [--budget S]

Each upstream is swept in a closed loop by the policy of `measure.sweep` (about 20 s of load, the
same estimates as a real sweep), sized, and held against the smallest pool whose calls wait too
long in at most 1 % of the cases: an open loop of hundreds of thousands of calls, simulated
exactly. In a row the answers of several sweeps (seeds) are counted.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from poolkit.analysis.sizing import size
from poolkit.measure import sweep
from poolkit.records import Sizing, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers, open_loop
from tests.analysis.synthetic import simulated_trial

ALLOWANCE = 0.01
LARGEST = 128


@dataclass(frozen=True, slots=True)
class Row:
    """An upstream, the rate to carry (calls/s) and the longest good wait (s)."""

    name: str
    upstream: Upstream
    rate: float
    wait: float = 0.010


def rows() -> list[Row]:
    """The upstreams of the table."""
    found = [
        Row(f"workers 24, cv {cv:g}", Workers(24, 0.025, cv), 0.0, 0.010)
        for cv in (0.0, 0.5, 1.0, 2.0)
    ]
    found = [replace(row, rate=r, name=f"{row.name}, {r:g}/s") for row in found for r in (600, 770)]
    found += [
        Row(f"workers 8, cv {cv:g}, {rate:g}/s", Workers(8, 0.010, cv), rate)
        for cv in (0.0, 0.5, 1.0, 2.0)
        for rate in (480, 640)
    ]
    found += [
        Row(f"cpu, {share:.0%} of plateau", CpuBound(0.015, 0.00127, 0.3), share / 0.00127)
        for share in (0.6, 0.8, 0.9)
    ]
    found += [
        Row("cpu, varying work, 80%", CpuBound(0.015, 0.00127, 0.3, 0.5), 0.8 / 0.00127),
        Row("cpu, no delay, 80%", CpuBound(0.004, 0.0025, 0.3), 0.8 / 0.0025),
        Row("contended, 400/s", Contended(0.009, 0.1, 0.001, 0.3), 400),
        Row("contended, 500/s", Contended(0.009, 0.1, 0.001, 0.3), 500),
        Row("contended, no peak, 900/s", Contended(0.008, 0.03, 0.0, 0.5), 900),
        Row("mixed 16, 10% x6, 800/s", Workers(16, 0.008, 0.3, 0.1, 6.0), 800),
        Row("mixed 16, 10% x6, 1070/s", Workers(16, 0.008, 0.3, 0.1, 6.0), 1070),
        Row("mixed 40, 10% x6, 2000/s", Workers(40, 0.008, 0.3, 0.1, 6.0), 2000),
        Row("small, 120/s, 5 ms", Workers(4, 0.010, 0.5), 120, 0.005),
        Row("tight, 600/s, 2 ms", Workers(24, 0.025, 0.5), 600, 0.002),
    ]
    return found


def share_late(row: Row, pool_size: int, calls: int, seed: int) -> float:
    """The share of calls that wait too long, in one long open loop."""
    waits = open_loop(row.upstream, row.rate, pool_size, calls, seed).waits[calls // 50 :]
    return float((waits > row.wait).mean())


def needed(row: Row, start: int, calls: int) -> int:
    """The smallest pool that meets the objective, found by trying sizes around `start`."""

    def passes(pool_size: int) -> bool:
        late = [share_late(row, pool_size, calls, seed) for seed in (11, 12, 13)]
        return sum(late) / len(late) <= ALLOWANCE

    pool_size = max(1, start)
    if passes(pool_size):
        while pool_size > 1 and passes(pool_size - 1):
            pool_size -= 1
        return pool_size
    while pool_size < 4 * LARGEST and not passes(pool_size):
        pool_size += 1
    return pool_size


def swept(row: Row, objective: Objective, budget: float, seed: int) -> Sweep:
    """The sweep's own policy on the simulated upstream, with windows that suit the hold time."""
    limits = sweep.SweepLimits(max_size=objective.max_size, budget=budget, seed=seed)
    trials: list[Trial] = []
    while (plan := sweep.next_trial(trials, objective, limits)) is not None:
        trials.append(
            simulated_trial(
                row.upstream,
                plan.pool_size,
                warm_up=plan.warm_up,
                seconds=max(plan.seconds, plan.warm_up + 40 * _expected_hold(trials, plan)),
                seed=seed * 1000 + len(trials),
                purpose=plan.purpose,
                ends_early=True,
            )
        )
    return Sweep(target=row.name, trials=tuple(trials))


def _expected_hold(trials: list[Trial], plan: sweep.TrialPlan) -> float:
    """Hold time (s) that this size will see, from the nearest size measured so far."""
    if not trials:
        return 0.0
    near = min(trials, key=lambda trial: abs(math.log(trial.pool_size / plan.pool_size)))
    hold = near.hold_time.mean or 0.0
    top = max(trial.throughput for trial in trials)
    saturated = near.throughput > 0.9 * top and len(trials) > 3
    return hold * (plan.pool_size / near.pool_size if saturated else 1.0)


def examine(job: tuple[Row, int, int, float]) -> tuple[Row, int, list[Sizing], float]:
    """One row of the table: the needed size, the answers, and the mean seconds of load."""
    row, seeds, calls, budget = job
    objective = Objective(target_rate=row.rate, wait_p99=row.wait, max_size=LARGEST)
    sweeps = [swept(row, objective, budget, seed) for seed in range(1, seeds + 1)]
    answers = [size(one, objective) for one in sweeps]
    start = sorted(answer.size or 8 for answer in answers)[len(answers) // 2]
    load = sum(sweep.spent(one.trials) for one in sweeps) / seeds
    return row, needed(row, start, calls), answers, load


def is_good(answer: int | None, need: int) -> bool:
    """Within [1.0, 1.10] of what is needed, or one connection above."""
    return answer is not None and need <= answer <= max(need + 1, 1.1 * need)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, seeds and calls")
    parser.add_argument("--seeds", type=int, default=None, help="sweeps a row")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of load a sweep")
    options = parser.parse_args()
    seeds = options.seeds or (3 if options.quick else 10)
    calls = 150_000 if options.quick else 400_000
    chosen = rows()[::3] if options.quick else rows()
    begun = time.perf_counter()
    print("| upstream | needed | answers (times) | Cd2 | rule p50 x 1.3 | good | below | load s |")
    print("|---|---|---|---|---|---|---|---|")
    good = below = total = rule_good = 0
    with get_context("spawn").Pool(2) as pool:
        jobs = [(row, seeds, calls, options.budget) for row in chosen]
        for row, need, answers, load in pool.imap(examine, jobs):
            sizes = [answer.size for answer in answers]
            fine = sum(is_good(one, need) for one in sizes)
            low = sum(one is None or one < need for one in sizes)
            rules = [answer.rules_of_thumb[0].size for answer in answers if answer.rules_of_thumb]
            rule = sorted(rules)[len(rules) // 2] if rules else 0
            counted = Counter(str(one) for one in sizes)
            shown = ", ".join(f"{one} ({n})" for one, n in sorted(counted.items()))
            spread = sorted(answer.dispersion or 0.0 for answer in answers)
            print(
                f"| {row.name} | {need} | {shown} | {spread[0]:.2f} to {spread[-1]:.2f} | {rule} | "
                f"{fine}/{seeds} | {low} | {load:.1f} |",
                flush=True,
            )
            good, below, total = good + fine, below + low, total + seeds
            rule_good += is_good(rule, need)
    print(
        f"\n{good} of {total} answers within [1.0, 1.10] or one connection; {below} below needed; "
        f"the rule of thumb is right on {rule_good} of {len(chosen)} upstreams; "
        f"{time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
