"""Does the size read off a short sweep hold on upstreams that nobody tuned it for?

    python -m tests.bench.sizing_population [--rows N] [--sweeps N] [--budget S] [--seed N]
                                            [--families a,b] [--verbose]

Upstreams of fourteen kinds are drawn at random (4 to 48 workers, cv 0 to 2, 40 to 92 % of the
plateau, waits of 5 to 50 ms). Each is measured as `poolkit size` does it before verification,
simulated call by call: the climb to the target rate, then a sweep with the share of the default
budget that a sizing gives it. "Climb alone" is what push = false has. Needed is the smallest pool
that keeps P(wait > target) at 1 % in long open loops, simulated exactly; where they cannot tell two
sizes apart it is an interval. Right is an answer of at least what is needed and at most 10 %, or
one connection, above. The default (3 upstreams a kind) takes some ten minutes on two cores. Exit
code 1 where the figures are missed: on the kinds that it was made with, answers right in
`LEAST_RIGHT` of the cases and below what is needed in `MOST_BELOW` at most; over all kinds, no
other method right more often.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context

from poolkit.measure import approach, sweep
from poolkit.measure.run import SIZE_BUDGET, SWEEP_SHARE
from poolkit.records import Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.synthetic import simulated_open_trial, simulated_trial
from tests.bench.population import (
    DEVELOPMENT,
    FAMILIES,
    HELD_OUT,
    LARGEST,
    SECOND,
    Needed,
    Row,
    needed,
    rows,
)
from tests.bench.provenance import caption
from tests.bench.rivals import METHODS

BUDGET = SWEEP_SHARE * SIZE_BUDGET  # s of load: what `poolkit size` gives its sweep by default
# Of the answers, before verification mends them: shares (0 to 1).
LEAST_RIGHT, MOST_BELOW = 0.6, 0.15
JUDGEMENTS = ("right", "below", "above", "no answer")


@dataclass(frozen=True, slots=True)
class Job:
    """One upstream to examine, and the sweeps to make of it."""

    row: Row
    sweeps: int
    budget: float
    seed: int


@dataclass(frozen=True, slots=True)
class Examined:
    """What is needed and what each method answered, sweep by sweep; needed None: beyond reach."""

    row: Row
    needed: Needed | None
    answers: dict[str, tuple[int | None, ...]]


def swept(row: Row, objective: Objective, budget: float, seed: int) -> Sweep:
    """The own policies of climb and sweep on the simulated upstream."""
    limits = sweep.SweepLimits(max_size=objective.max_size, budget=budget, seed=seed)
    trials: list[Trial] = []
    while (step := approach.next_trial(trials, objective, SIZE_BUDGET)) is not None:
        light = next((trial.mean_hold for trial in trials), None)
        drawn = seed * 1000 + len(trials)
        trials.append(simulated_open_trial(row.upstream, step, drawn, row.wait, light))
    while (plan := sweep.next_trial(trials, objective, limits)) is not None:
        trials.append(
            simulated_trial(
                row.upstream,
                plan.pool_size,
                warm_up=plan.warm_up,
                seconds=plan.seconds,
                seed=seed * 1000 + len(trials),
                purpose=plan.purpose,
                ends_early=True,
            )
        )
    return Sweep(target=row.name, trials=tuple(trials))


def examine(job: Job) -> Examined:
    """Sweep, size by every method, and find what is needed."""
    objective = Objective(target_rate=job.row.rate, wait_p99=job.row.wait, max_size=LARGEST)
    seeds = range(job.seed, job.seed + job.sweeps)
    sweeps = [swept(job.row, objective, job.budget, seed) for seed in seeds]
    answers = {
        name: tuple(method(one, objective) for one in sweeps) for name, method in METHODS.items()
    }
    ours = sorted(answer or LARGEST // 4 for answer in answers["poolkit"])
    return Examined(job.row, needed(job.row, ours[len(ours) // 2]), answers)


def judge(answer: int | None, need: Needed) -> str:
    """Which of the judgements an answer deserves."""
    if answer is None:
        return "no answer"
    if answer < need.least:
        return "below"
    return "right" if answer <= max(need.most + 1, 1.1 * need.most) else "above"


def _jobs(options: argparse.Namespace) -> Iterable[Job]:
    for family in options.families.split(","):
        for number, row in enumerate(rows(family, options.rows, options.seed)):
            yield Job(row, options.sweeps, options.budget, options.seed * 10_000 + 100 * number)


def judged(families: Iterable[str], found: list[Examined]) -> dict[str, dict[str, Counter[str]]]:
    """How often each judgement was deserved, by method and kind; kinds beyond reach left out."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for one in found:
        if one.needed is None or one.row.family not in families:
            continue
        for method, answers in one.answers.items():
            counts[method][one.row.family].update(judge(a, one.needed) for a in answers)
    return counts


def _print(title: str, families: Iterable[str], found: list[Examined]) -> None:
    counts = judged(families, found)
    if not counts:
        return
    present = [name for name in families if name in counts["poolkit"]]
    print(f"\n| {title} | {' | '.join(JUDGEMENTS)} | {' | '.join(present)} |")
    print("|---" * (1 + len(JUDGEMENTS) + len(present)) + "|")
    for method, by_family in counts.items():
        total = _total(by_family)
        cells = [f"{total[word] / total.total():.0%}" for word in JUDGEMENTS]
        cells += [f"{by_family[n]['right']}/{by_family[n].total()}" for n in present]
        print(f"| {method} | {' | '.join(cells)} |")


def _total(by_family: Mapping[str, Counter[str]]) -> Counter[str]:
    return sum(by_family.values(), Counter[str]())


def reaches(found: list[Examined]) -> bool:
    """Whether poolkit is right often enough, seldom below, and no other method more often right."""
    ours = _total(judged(DEVELOPMENT, found).get("poolkit", {}))
    everywhere = {method: _total(seen) for method, seen in judged(FAMILIES, found).items()}
    right = {method: seen["right"] / seen.total() for method, seen in everywhere.items()}
    is_best = right.get("poolkit", 0.0) >= max(right.values(), default=1.0)
    return (
        ours["right"] >= LEAST_RIGHT * ours.total()
        and ours["below"] <= MOST_BELOW * ours.total()
        and is_best
    )


def main() -> int:
    """Print a table for each group of kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3, help="upstreams a kind")
    parser.add_argument("--sweeps", type=int, default=4, help="sweeps of each")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of load a sweep")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print each upstream")
    options = parser.parse_args()
    begun = time.perf_counter()
    found: list[Examined] = []
    with get_context("spawn").Pool(options.processes) as pool:
        for one in pool.imap(examine, _jobs(options)):
            found.append(one)
            if options.verbose:
                need = one.needed and (one.needed.least, one.needed.most)
                print(
                    f"{one.row.family:10} {one.row.name}: needed {need}, {one.answers['poolkit']}"
                )
    print(caption())
    _print("kinds that it was made with", DEVELOPMENT, found)
    _print("kinds that the shape of the queue was corrected on", SECOND, found)
    _print("kinds that it never saw", HELD_OUT, found)
    print(f"\n{len(found)} upstreams, {options.sweeps} sweeps each of {options.budget:g} s of load")
    print(f"{time.perf_counter() - begun:.0f} s")
    return 0 if reaches(found) else 1


if __name__ == "__main__":
    sys.exit(main())
