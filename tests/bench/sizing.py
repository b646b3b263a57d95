"""The size that `poolkit size` recommends against brute force, on twelve live upstreams of the lab.

    python -m tests.bench.sizing [--quick] [--only NAME ...] [--out FILE] [--fresh]

For each upstream the real command runs first. Then sizes around its answer are tried in open loops
at the target rate, in repeats that are interleaved between sizes and have the same arrivals at each
size (see `needed` for what counts). Every result is a line of JSON in FILE, and the same command
goes on from there. Exit code 1 where the figures are missed: recommended / needed within
[1.0, 1.10], or one connection, on all but one upstream, and below what is needed on none.

Seconds: a sizing takes at most 45 s of load; brute force 7.7 s a repeat, five repeats a size and at
most 150 s an upstream; together 40 minutes at most. `--quick`: three repeats of 4 s at the two
sizes that decide, 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolkit.lab.running import Lab
from poolkit.lab.sizing_cases import SIZING_CASES
from poolkit.records import Recommendation
from poolkit.targets import Target, load_targets
from poolkit.verify import failed_share
from tests.bench.needed import Needed, decisive, is_clear, is_within, needed, next_size
from tests.bench.trials import open_loop, run_command

ALLOWANCE = 0.01
MAY_MISS = 1  # upstreams
RULES = ("littles_law_x1.3", "concurrent_x1.5", "cores*2+spindles", "small/medium/high table")


@dataclass(frozen=True, slots=True)
class Form:
    """How much brute force: repeats of a size, their seconds, and the seconds of an upstream."""

    name: str
    repeats: int
    seconds: float
    warm_up: float
    budget: float


FULL = Form("full", repeats=5, seconds=7.0, warm_up=0.7, budget=150.0)
QUICK = Form("quick", repeats=3, seconds=3.5, warm_up=0.5, budget=24.0)


class Results:
    """The lines of FILE: one for each sizing and each repeat; those of an earlier run first."""

    def __init__(self, path: Path, form: str) -> None:
        self._path = path
        self._form = form
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [json.loads(line) for line in lines]
        self._rows: list[dict[str, Any]] = [row for row in rows if row["form"] == form]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, kind: str, **values: Any) -> None:
        """Keep one result, on disk at once."""
        row = {"form": self._form, "upstream": name, "kind": kind, **values}
        self._rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def of(self, name: str, kind: str) -> Iterator[dict[str, Any]]:
        """The results of an upstream."""
        return (row for row in self._rows if row["upstream"] == name and row["kind"] == kind)

    def late(self, name: str) -> dict[int, list[float]]:
        """Shares of late calls in the repeats of each size tried."""
        found: dict[int, list[float]] = defaultdict(list)
        for row in self.of(name, "repeat"):
            found[row["size"]].append(row["late"])
        return dict(found)


def say(text: str) -> None:
    """A line of progress, with the time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


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
            _, recommendation, load = run_command("size", name, path, os.environ)
            keep_sizing(name, recommendation, load, time.monotonic() - begun, results)
            sizing = next(results.of(name, "sizing"))
        if sizing["size"] is not None:
            brute_force(target, sizing["size"], form, results)


def keep_sizing(
    name: str, found: Recommendation | None, load: float, seconds: float, results: Results
) -> None:
    """The command's answer as a result."""
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


def brute_force(target: Target, size: int, form: Form, results: Results) -> None:
    """Repeats around `size` until the needed size is known or the seconds are used up."""
    first = sorted({size, size - 1, decisive(size)} - {0}, reverse=True)
    if form is QUICK:
        first = sorted({size, decisive(size)} - {0}, reverse=True)
    batch: list[int] | None = first
    while batch:
        for repeat in range(form.repeats):
            for n in batch:
                late = results.late(target.name).get(n, [])
                if len(late) > repeat or is_clear(late, ALLOWANCE):
                    continue
                trial = open_loop(target, n, form.seconds, seed=repeat, warm_up=form.warm_up)
                share = failed_share(trial, target.wait_p99)
                results.add(target.name, "repeat", size=n, late=share)
                say(f"{target.name}: {n} connections, repeat {repeat + 1}: {share:.2%} late")
        left = form.budget - spent(target.name, form, results)
        more = next_size(size, passes(target.name, results), target.max_size)
        has_time = left >= form.repeats * (form.seconds + form.warm_up)
        batch = [more] if more is not None and has_time and form is not QUICK else None


def spent(name: str, form: Form, results: Results) -> float:
    """Seconds of load that brute force has used on an upstream."""
    return sum(form.seconds + form.warm_up for _ in results.of(name, "repeat"))


def passes(name: str, results: Results) -> dict[int, float]:
    """The share of its repeats that each size passed."""
    return {
        size: sum(share <= ALLOWANCE for share in late) / len(late)
        for size, late in sorted(results.late(name).items())
    }


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
    tried: dict[int, float]
    load: float
    knee_error: float | None
    rules: dict[str, int]

    @classmethod
    def of(cls, name: str, results: Results) -> Row | None:
        """What is known of an upstream; None before its brute force."""
        sizing = next(results.of(name, "sizing"), None)
        tried = passes(name, results)
        if sizing is None or (sizing["size"] is not None and not tried):
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
        return self.size is None or self.needed.is_below(self.size, self.tried)

    def cells(self) -> list[str]:
        """Its cells of the table."""
        tried = " ".join(f"{n}:{share:.1f}" for n, share in self.tried.items())
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
    """Print the table (Markdown) and the summary; whether the figures are reached."""
    heads = ["upstream", "rate", "recommended", "needed", "ratio", "within", "load", "knee"]
    heads += [*RULES, "passed"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    within, below = sum(row.is_within for row in rows), sum(row.is_below for row in rows)
    errors = [abs(row.knee_error) for row in rows if row.knee_error is not None]
    knee = f"{statistics.median(errors):.1%}" if errors else "none seen"
    least = len(rows) - MAY_MISS if len(rows) == len(SIZING_CASES) else len(rows)
    print(
        f"\n{within} of {len(rows)} within [1.0, 1.10] or one connection (>= {least}); "
        f"below needed {below} (0); knee off by {knee} in the median; "
        f"load of a sizing {max(row.load for row in rows):.0f} s at most (<= 45)"
    )
    return within >= least and below == 0


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
    results = Results(given.out, form.name)
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
