"""Histories: how often a stable series is alarmed, how often a step is seen, and how fast 50
reviews of 20 targets open.

To reach: at most 5 of 100 stable series alarmed; a step of three sigma seen after three reviews in
90 of 100, where twelve came before it; 50 reviews x 20 targets in 2 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.change_points import change_points
from poolkit.report.source import RECORDED, shared
from poolkit.review.export import RECOMMENDED, read_recommended, read_sizings, to_json
from poolkit.review.history import read_history
from poolkit.review.manifest import MANIFEST, read_manifest
from poolkit.show import charts

SERIES = 500
REVIEWS, TARGETS = 50, 20
ALARMS, SEEN, SECONDS = 0.05, 0.90, 2.0


def share(make: Callable[[], NDArray[np.float64]]) -> float:
    """How many of the series are said to have taken a step."""
    return sum(bool(change_points(make().tolist())) for _ in range(SERIES)) / SERIES


def write(folder: Path) -> None:
    """Reviews with all that a record holds: the recorded entries, scattered, under new names."""
    source = shared(RECORDED)
    written = read_recommended(source)
    sizings, manifest = read_sizings(source, written), read_manifest(source)
    rng = np.random.default_rng(1)
    for number in range(REVIEWS):
        created = f"{2025 + number // 12}-{number % 12 + 1:02}-01T06:00:00Z"
        record = folder / created.replace(":", "")
        record.mkdir()
        entries, settings = [], {}
        for i in range(TARGETS):
            entry = written.targets[i % len(written.targets)]
            name, by = f"target-{i}", float(np.exp(rng.normal(0.0, 0.02)))
            assert entry.plateau is not None
            plateau = entry.plateau.model_copy(update={"throughput": entry.plateau.throughput * by})
            entries.append(entry.model_copy(update={"target": name, "plateau": plateau}))
            settings[name] = manifest.targets[entry.target]
            text = sizings[entry.target].model_dump_json()
            (record / f"{name}.sizing.json").write_text(text)
        (record / RECOMMENDED).write_text(to_json(entries, created))
        told = manifest.model_copy(update={"parameters": {"targets": settings}})
        (record / MANIFEST).write_text(told.model_dump_json())


def main() -> int:
    """Print a line each; 1 where a figure is missed."""
    rng = np.random.default_rng(14)
    missed = 0

    def told(what: str, value: float, limit: float, *, most: bool, form: str = ".1%") -> None:
        nonlocal missed
        is_met = value <= limit if most else value >= limit
        missed += not is_met
        sign = "at most" if most else "at least"
        sys.stdout.write(
            f"{what}: {value:{form}} ({sign} {limit:{form}}){'' if is_met else '  MISSED'}\n"
        )

    for n in (8, 12, 20, 50):
        alarms = share(lambda n=n: rng.normal(100.0, 3.0, n))  # type: ignore[misc]
        told(f"stable, {n} reviews", alarms, ALARMS, most=True)
    for before in (12, 20, 40):

        def stepped(before: int = before) -> NDArray[np.float64]:
            return np.r_[rng.normal(0.0, 1.0, before), rng.normal(3.0, 1.0, 3)]

        seen = share(stepped)
        told(f"step of 3 sigma, {before} reviews before it and 3 after", seen, SEEN, most=False)
    with tempfile.TemporaryDirectory(prefix="poolkit-history-") as folder:
        write(Path(folder))
        began = time.perf_counter(), time.process_time()
        found = read_history([Path(folder)])
        read, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        charts.inline_svg(charts.history(found), alt="x")
        drawn = time.perf_counter() - began[0] - read
    what = f"{REVIEWS} reviews x {TARGETS} targets, read (s)"
    told(what, read, SECONDS, most=True, form=".2f")
    sys.stdout.write(f"CPU of that (s): {cpu:.2f}; their chart (s): {drawn:.2f}\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
