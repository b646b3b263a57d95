"""Sizes picked where the answer is least certain against a fixed grid, in a fifth of the seconds.

    python -m tests.bench.adaptive [--seeds N] [--live]

The grid is 1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64 at 10 s each; the sweep has 24 s. Both are
simulated call by call in virtual time, over many seeds, and held against the needed size (found by
trying, without a model) and the knee. `--live` does it once on a few upstreams of the lab, where
only the knee's truth is known. Exit code 1 where the sweep is worse by more than SLACK.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from poolkit.analysis.sizing import size
from poolkit.lab.catalogue import SIZING_CASES
from poolkit.lab.running import Lab
from poolkit.measure import sweep
from poolkit.records import Sizing, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Workers
from tests.analysis.synthetic import simulated_trial
from tests.bench.provenance import caption
from tests.bench.sizing_simulated import Row, is_good, needed, rows
from tests.bench.trials import run_command

GRID = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64)
GRID_SECONDS = 10.0
BUDGET = 24.0  # s: a fifth of the grid's
CALLS = 200_000
SLACK = 0.05  # share of the answers
KNEE_WITHIN = 0.05
LIVE = ("workers-28-cv00", "workers-10-cv05", "workers-28-cv10", "mixed")


@dataclass(frozen=True, slots=True)
class Score:
    """One way of measuring on one upstream: shares of the seeds that were right, and seconds."""

    sizes: float  # within [1.0, 1.10] of the needed size, or one connection
    knees: float | None  # within 5 % of the truth; None: it is not known
    knee_error: float | None  # median
    seconds: float
    trials: float


def truth_of_knee(row: Row) -> float | None:
    """Workers are the knee themselves; elsewhere no truth is stated."""
    return float(row.upstream.workers) if isinstance(row.upstream, Workers) else None


def fixed(row: Row, seed: int) -> Sweep:
    """Every size of the grid once, for its full time."""
    trials = [
        simulated_trial(row.upstream, n, seconds=GRID_SECONDS, seed=1000 * seed + n) for n in GRID
    ]
    return Sweep(target=row.name, trials=tuple(trials))


def adaptive(row: Row, seed: int, objective: Objective) -> Sweep:
    """What poolkit's sweep measures within the budget."""
    limits = sweep.SweepLimits(max_size=max(GRID), budget=BUDGET, seed=seed)
    trials: list[Trial] = []
    while (plan := sweep.next_trial(trials, objective, limits)) is not None:
        trials.append(
            simulated_trial(
                row.upstream,
                plan.pool_size,
                warm_up=plan.warm_up,
                seconds=plan.seconds,
                seed=1000 * seed + len(trials),
                purpose=plan.purpose,
                ends_early=True,
            )
        )
    return Sweep(target=row.name, trials=tuple(trials))


def knee_of(sizing: Sizing) -> float | None:
    """The knee by Little's Law; None: none was seen."""
    return next((knee.size for knee in sizing.knees if knee.rule == "littles_law"), None)


def score(row: Row, need: int, sweeps: list[Sweep]) -> Score:
    """How often the answers were right."""
    objective = Objective(target_rate=row.rate, wait_p99=row.wait, max_size=max(GRID))
    answers = [size(one, objective) for one in sweeps]
    truth = truth_of_knee(row)
    errors = None
    if truth is not None:
        found = [knee_of(answer) for answer in answers]
        errors = [1.0 if knee is None else abs(knee / truth - 1.0) for knee in found]
    return Score(
        sizes=statistics.mean(is_good(answer.size, need) for answer in answers),
        knees=None if errors is None else statistics.mean(e <= KNEE_WITHIN for e in errors),
        knee_error=None if errors is None else statistics.median(errors),
        seconds=statistics.mean(sweep.spent(one.trials) for one in sweeps),
        trials=statistics.mean(len(one.trials) for one in sweeps),
    )


def examine(job: tuple[Row, int]) -> tuple[Row, int, Score, Score]:
    """One upstream, both ways."""
    row, seeds = job
    objective = Objective(target_rate=row.rate, wait_p99=row.wait, max_size=max(GRID))
    ours = [adaptive(row, seed, objective) for seed in range(1, seeds + 1)]
    start = size(ours[0], objective).size or 8
    need = needed(row, start, CALLS)
    grid = [fixed(row, seed) for seed in range(1, seeds + 1)]
    return row, need, score(row, need, grid), score(row, need, ours)


def simulated(seeds: int) -> int:
    """Print a row an upstream and the summary."""
    print(f"{caption()}\n")
    print("| upstream | needed | size right: grid, sweep | knee off: grid, sweep | s | trials |")
    print("|---|---|---|---|---|---|")
    grid, ours = [], []
    with get_context("spawn").Pool(2) as pool:
        for row, need, one, other in pool.imap(examine, [(row, seeds) for row in rows()]):
            if need > max(GRID):
                continue
            grid.append(one)
            ours.append(other)
            print(
                f"| {row.name} | {need} | {one.sizes:.0%}, {other.sizes:.0%} | "
                f"{_share(one.knee_error)}, {_share(other.knee_error)} | "
                f"{one.seconds:.0f}, {other.seconds:.0f} | {other.trials:.0f} |",
                flush=True,
            )
    sizes = [statistics.mean(one.sizes for one in scores) for scores in (grid, ours)]
    knees = [
        statistics.mean(one.knees for one in scores if one.knees is not None)
        for scores in (grid, ours)
    ]
    seconds = [statistics.mean(one.seconds for one in scores) for scores in (grid, ours)]
    print(
        f"\nsize right: grid {sizes[0]:.0%}, sweep {sizes[1]:.0%}; knee within {KNEE_WITHIN:.0%}: "
        f"grid {knees[0]:.0%}, sweep {knees[1]:.0%}; seconds {seconds[0]:.0f} and {seconds[1]:.0f} "
        f"({seconds[1] / seconds[0]:.2f}; <= 0.20)"
    )
    is_same = all(mine >= theirs - SLACK for theirs, mine in (sizes, knees))
    return 0 if is_same and seconds[1] <= 0.2 * seconds[0] else 1


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def live() -> int:
    """The same on real upstreams, for the knee; about ten minutes."""
    print(f"{'upstream':<18}{'knee':>8}{'grid':>10}{'sweep':>10}{'seconds':>12}")
    worst = 0.0
    for name in LIVE:
        with Lab([name]) as lab, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "targets.toml"
            lab.write_targets(path)
            sizes = ",".join(map(str, GRID))
            total = str(len(GRID) * GRID_SECONDS)
            both = [
                run_command("sweep", name, path, os.environ, "--sizes", sizes, "--budget", total),
                run_command("sweep", name, path, os.environ, "--budget", str(BUDGET)),
            ]
        model = SIZING_CASES[name].model
        assert model is not None
        truth = model.plateau / model.throughput(1)
        found = [None if ran.sizing is None else knee_of(ran.sizing) for ran in both]
        errors = [None if knee is None else knee / truth - 1.0 for knee in found]
        shown = "".join(f"{'none' if e is None else f'{e:+.1%}':>10}" for e in errors)
        print(
            f"{name:<18}{truth:>8.1f}{shown}{both[0].load:>7.0f},{both[1].load:>4.0f}", flush=True
        )
        worst = max(worst, 1.0 if errors[1] is None else abs(errors[1]))
    return 0 if worst <= 2 * KNEE_WITHIN else 1


def main() -> int:
    """Simulated, or `--live`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.adaptive")
    parser.add_argument("--seeds", type=int, default=8, help="sweeps an upstream, each way")
    parser.add_argument("--live", action="store_true", help="on the lab instead")
    given = parser.parse_args()
    return live() if given.live else simulated(given.seeds)


if __name__ == "__main__":
    sys.exit(main())
