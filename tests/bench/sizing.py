"""The size that `poolkit size` recommends against brute force, on twelve live upstreams of the lab.

    python -m tests.bench.sizing [--quick] [--only NAME ...] [--out FILE] [--fresh]

For each upstream the real command runs first. Then sizes around its answer are tried in open loops
at the target rate (see `brute_force`), with every result a line of FILE. Exit code 1 where the
figures are missed: recommended / needed within [1.0, 1.05], or one connection, on every upstream;
the knee of workers within 5 % in the median; every sizing within 45 s of load.

Seconds: a sizing takes at most 45 s of load; brute force 7.7 s a repeat and at most 150 s an
upstream; together 40 minutes at most. `--quick`: at most three repeats of 4 s a size and 24 s an
upstream, 15 minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from poolkit.lab.catalogue import SIZING_CASES
from poolkit.lab.models import Mixed, Workers
from poolkit.lab.running import Lab
from poolkit.targets import load_targets
from tests.bench.brute_force import Form, Results, brute_force, say, tried_sizes
from tests.bench.needed import NEAR_ENOUGH, Needed, Repeats, is_below, is_within, needed
from tests.bench.provenance import caption, hash_of_code
from tests.bench.trials import Ran, run_command

MOST_LOAD = 45.0  # s of a sizing, verification included
KNEE_WITHIN = 0.05  # in the median over upstreams of the workers' type
RULES = (
    "littles_law_x1.3",
    "concurrent_x1.5",
    "cores*2+spindles",
    "small/medium/high table",
    "netflix_gradient2",
)
FULL = Form("full", repeats=5, repeats_on=True, seconds=7.0, warm_up=0.7, budget=150.0)
QUICK = Form("quick", repeats=3, repeats_on=False, seconds=3.5, warm_up=0.5, budget=24.0)


def examine(name: str, form: Form, results: Results) -> None:
    """One upstream: the command's answer, then brute force around it."""
    with Lab([name]) as lab, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        lab.write_targets(path)
        os.environ.update(lab.environment())
        target = load_targets(path)[name]
        sizing = next(results.of(name, "sizing"), None)
        if sizing is None:
            begun = time.monotonic()
            ran = run_command("size", name, path, os.environ)
            keep_sizing(name, ran, time.monotonic() - begun, results)
            sizing = next(results.of(name, "sizing"))
        if sizing["size"] is not None:
            brute_force(target, sizing["size"], form, results)


def keep_sizing(name: str, ran: Ran, seconds: float, results: Results) -> None:
    """The command's answer as a result."""
    found, load = ran.recommendation, ran.load
    knees = {} if found is None else {knee.rule: knee.size for knee in found.knees}
    size = None if found is None else found.recommended_size
    say(f"{name}: recommended {size} after {load:.0f} s of load ({seconds:.0f} s)")
    results.add(
        name,
        "sizing",
        size=size,
        load=load,
        knee=knees.get("littles_law"),
        rules={} if found is None else {rule.name: rule.size for rule in found.rules_of_thumb},
    )


def true_knee(name: str) -> float | None:
    """Where the asymptotes of the stated truth meet: X_max * S(1); None: there is no model."""
    model = SIZING_CASES[name].model
    return None if model is None else model.plateau / model.throughput(1)


@dataclass(frozen=True, slots=True)
class Row:
    """One upstream of the table."""

    name: str
    size: int | None
    needed: Needed
    tried: dict[int, Repeats]
    load: float
    knee_error: float | None
    rules: dict[str, int]

    @classmethod
    def of(cls, name: str, results: Results) -> Row | None:
        """What is known of an upstream; None before its sizing."""
        sizing = next(results.of(name, "sizing"), None)
        tried = tried_sizes(name, results)
        if sizing is None:
            return None
        knee, truth = sizing["knee"], true_knee(name)
        error = None if knee is None or truth is None else knee / truth - 1.0
        return cls(
            name, sizing["size"], needed(tried), tried, sizing["load"], error, sizing["rules"]
        )

    @property
    def is_within(self) -> bool:
        """Whether the recommended size is right."""
        return self.size is not None and is_within(self.size, self.tried)

    @property
    def is_below(self) -> bool:
        """Whether the recommended size, or its lack, leaves callers waiting."""
        return self.size is None or is_below(self.size, self.tried)

    def cells(self) -> list[str]:
        """Its cells of the table."""
        tried = " ".join(f"{n}:{one.passed}/{one.count}" for n, one in self.tried.items())
        return [
            self.name,
            f"{SIZING_CASES[self.name].target_rate:.0f}/s",
            "none" if self.size is None else str(self.size),
            str(self.needed),
            self._ratio(self.size),
            "yes" if self.is_within else "NO",
            f"{self.load:.0f} s",
            "" if self.knee_error is None else f"{self.knee_error:+.1%}",
            *(self._ratio(self.rules.get(rule)) for rule in RULES),
            tried,
        ]

    def _ratio(self, size: int | None) -> str:
        ratio = None if size is None else self.needed.ratio(size)
        return "?" if ratio is None else f"{ratio:.2f}"


def report(rows: list[Row]) -> bool:
    """Print the table (Markdown), its caption and the summary; whether the figures are reached."""
    heads = ["upstream", "rate", "recommended", "needed", "ratio", "within", "load", "knee"]
    heads += [*RULES, "passed"]
    print(f"{caption()}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    within, below = sum(row.is_within for row in rows), sum(row.is_below for row in rows)
    knee = knee_off(rows)
    load = max((row.load for row in rows), default=0.0)
    print(
        f"\n{within} of {len(rows)} within [1.0, {NEAR_ENOUGH:.2f}] or one connection (all); "
        f"below needed {below} (0); knee of workers off by "
        f"{'nothing to tell' if knee is None else f'{knee:.1%}'} in the median "
        f"(<= {KNEE_WITHIN:.0%}); load of a sizing {load:.0f} s at most (<= {MOST_LOAD:.0f})"
    )
    near = knee is None or knee <= KNEE_WITHIN
    return bool(rows) and within == len(rows) and near and load <= MOST_LOAD


def knee_off(rows: list[Row]) -> float | None:
    """The median error of the knee on upstreams of the workers' type; None: there is none.

    A knee that was not seen is off by all of it.
    """
    kinds = {row.name: SIZING_CASES[row.name].model for row in rows}
    of_workers = [row for row in rows if isinstance(kinds[row.name], Workers | Mixed)]
    errors = [1.0 if row.knee_error is None else abs(row.knee_error) for row in of_workers]
    return statistics.median(errors) if errors else None


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sizing")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    parser.add_argument("--only", nargs="+", choices=SIZING_CASES, metavar="NAME")
    parser.add_argument(
        "--out", type=Path, default=Path(tempfile.gettempdir()) / "poolkit-bench-sizing.jsonl"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the results of an earlier run")
    return parser.parse_args()


def main() -> int:
    """Examine every upstream, print the table."""
    given = options()
    form = QUICK if given.quick else FULL
    if given.fresh:
        given.out.unlink(missing_ok=True)
    results = Results(given.out, form.name, hash_of_code())
    if len(results):
        say(f"going on from {len(results)} results in {given.out} (--fresh starts anew)")
    begun = time.monotonic()
    chosen = given.only or list(SIZING_CASES)
    for number, name in enumerate(chosen, 1):
        say(f"{name} ({number} of {len(chosen)}, {(time.monotonic() - begun) / 60:.1f} min so far)")
        examine(name, form, results)
    reached = report([row for name in chosen if (row := Row.of(name, results)) is not None])
    if reached and given.only is None:
        # A finished table is no beginning of the next one.
        given.out.unlink()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
