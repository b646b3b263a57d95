"""Brute force around a recommended size, in open loops at the target rate, kept line by line.

Repeats are interleaved between sizes and have the same arrivals at each size; `needed` says what
counts and which size is repeated next. Every result is a line of JSON in a file, with a hash of the
package's code, so that the same command goes on from there while the code is the same.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from poolkit.measure.verify import failed_share
from poolkit.records import Outcome, Trial
from poolkit.targets import Target
from tests.bench.needed import Repeats, next_repeat
from tests.bench.quiet import Cores
from tests.bench.trials import open_loop

ALLOWANCE = 0.01  # share of calls that may be late
OTHERS = 0.15  # share of the cores; a repeat beside more is no measurement
REFUSED = 0.001  # share of calls; a server that turns away more has met its limit


@dataclass(frozen=True, slots=True)
class Form:
    """How much brute force: repeats that majority decides and whether more follow at the edge.

    Then the seconds of a repeat and of an upstream.
    """

    name: str
    repeats: int
    repeats_on: bool
    seconds: float
    warm_up: float
    budget: float


class Results:
    """The lines of FILE: one for each sizing and each repeat; those of an earlier run first.

    Lines that another form of the benchmark or other code of the package made are left alone.
    """

    def __init__(self, path: Path, form: str, code: str) -> None:
        self._path = path
        self._key = {"form": form, "code": code}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [json.loads(line) for line in lines]
        self._rows: list[dict[str, Any]] = [
            row for row in rows if all(row.get(key) == value for key, value in self._key.items())
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, kind: str, **values: Any) -> None:
        """Keep one result, on disk at once."""
        row = {**self._key, "upstream": name, "kind": kind, **values}
        self._rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def of(self, name: str, kind: str) -> Iterator[dict[str, Any]]:
        """The results of an upstream."""
        return (row for row in self._rows if row["upstream"] == name and row["kind"] == kind)

    def shares(self, name: str, key: str) -> dict[int, list[float]]:
        """Shares of `late` or `refused` calls in the repeats of each size tried, by size."""
        found: dict[int, list[float]] = defaultdict(list)
        for row in self.of(name, "repeat"):
            found[row["size"]].append(row[key])
        return dict(sorted(found.items()))


def say(text: str) -> None:
    """A line of progress, with the time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def brute_force(target: Target, size: int, form: Form, results: Results) -> None:
    """Repeats around `size` until the judgement is known or the seconds are used up.

    Sizes that meet a limit of the server are too large, not too small: the search stays below.
    Calls that failed otherwise count as late. A repeat on a machine that others use is not kept.
    """
    while form.budget - spent(target.name, form, results) >= form.seconds + form.warm_up:
        largest = int(min(target.max_size, least_refused(target.name, results) - 1))
        if largest < 1:
            return
        n = next_repeat(
            min(size, largest),
            tried_sizes(target.name, results),
            largest=largest,
            few=form.repeats,
            many=form.repeats_on,
        )
        if n is None:
            return
        repeat = len(results.shares(target.name, "late").get(n, []))
        # The same arrivals at each size.
        cores = Cores.now()
        trial = open_loop(target, n, form.seconds, seed=repeat, warm_up=form.warm_up)
        others = cores.others_since()
        if others > OTHERS:
            results.add(target.name, "disturbed", size=n, others=others)
            say(f"{target.name}: {n} connections again: others took {others:.0%} of the cores")
            continue
        late = failed_share(trial, target.wait_p99) + share_of(trial, "error", "timeout")
        refused = share_of(trial, "rejected")
        results.add(target.name, "repeat", size=n, late=late, refused=refused)
        turned_away = f", {refused:.2%} refused" if refused else ""
        say(f"{target.name}: {n} connections, repeat {repeat + 1}: {late:.2%} late{turned_away}")


def share_of(trial: Trial, *outcomes: Outcome) -> float:
    """The share (0 to 1) of its calls that ended so."""
    ended = sum(trial.outcomes.get(outcome, 0) for outcome in outcomes)
    return ended / max(1, sum(trial.outcomes.values()))


def spent(name: str, form: Form, results: Results) -> float:
    """Seconds of load that brute force has used on an upstream."""
    repeats = [*results.of(name, "repeat"), *results.of(name, "disturbed")]
    return len(repeats) * (form.seconds + form.warm_up)


def tried_sizes(name: str, results: Results) -> dict[int, Repeats]:
    """What the repeats of each size showed that no limit of the server met."""
    late, limit = results.shares(name, "late"), least_refused(name, results)
    return {size: Repeats.of_late(late[size], ALLOWANCE) for size in late if size < limit}


def least_refused(name: str, results: Results) -> float:
    """The smallest size that the server turned calls away at, in most repeats; else infinity."""
    refused = results.shares(name, "refused").items()
    return min((n for n, shares in refused if median(shares) > REFUSED), default=math.inf)
