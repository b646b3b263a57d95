"""Measures what the lessons replay on `recorded`, into data/recordings/lessons.

    python -m tests.recordings.lessons            # all of them
    python -m tests.recordings.lessons LABEL ...  # these anew, the others as they are

It needs data/recordings/lab-review, whose sizes the lessons are about, a PgBouncer, and a minute.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from poolkit.analysis.what_if import what_if
from poolkit.lab.running import Lab
from poolkit.measure import SEED
from poolkit.panels.request import Request
from poolkit.panels.sources import RecordedSource
from poolkit.panels.story import Findings
from poolkit.panels.what_if import planner_of
from poolkit.report.source import RECORDED as REVIEW
from poolkit.report.source import shared
from poolkit.review.manifest import write_manifest
from poolkit.workbook import budget, fleet_of, lessons
from poolkit.workbook.measuring import measured
from poolkit.workbook.serving import Serving

GROWTH, SCALED_OUT = 1.2, 4  # the parameters of 05_database_budget
OF_HTTP, OF_DATABASE = "lab-http", "lab-db"


def record(out: Path, labels: Sequence[str] = ()) -> int:
    """Measure every lesson on the lab, put its trials and a manifest into `out`; returns how many.

    What `out` held is replaced once everything is measured.

    Args:
        labels: of the orders to measure, the others being kept as they are; empty: all.
    """
    orders = asyncio.run(all_orders())
    chosen = [order for order in orders if not labels or order.label in labels]
    with tempfile.TemporaryDirectory(prefix="poolkit-record-") as folder:
        made = Path(folder)
        asyncio.run(_measured(chosen, made))
        out.mkdir(parents=True, exist_ok=True)
        kept = {f"{order.label}.trials.jsonl" for order in orders if order not in chosen}
        for old in out.glob("*.trials.jsonl"):
            if old.name not in kept:
                old.unlink()
        for order in chosen:
            name = f"{order.label}.trials.jsonl"
            shutil.copyfile(made / name, out / name)
    public = [order.model_dump(mode="json", exclude_defaults=True) for order in orders]
    write_manifest(out, {"command": "lessons", "seed": SEED, "orders": public})
    return len(chosen)


async def all_orders() -> tuple[Serving, ...]:
    """What the lessons order when they are about the recorded review."""
    source = RecordedSource(shared(REVIEW))
    web = await measured(Request(OF_HTTP), source)
    database = await measured(Request(OF_DATABASE), source)
    return (
        *lessons.too_small(web),
        *lessons.overflows(database),
        *lessons.hosts(),
        *of_budget(database, source),
    )


def of_budget(database: Findings, source: RecordedSource) -> tuple[Serving, ...]:
    """What 05_database_budget orders with its own parameters."""
    fleet, planner = fleet_of(database.objective), planner_of(database)
    plan = what_if(planner, fleet.question)
    size = budget.tried_size(database, fleet, source, plan.size)
    settings = budget.pooler_settings(database, planner, fleet, size, GROWTH, SCALED_OUT)
    return (
        *budget.replicas(database, fleet, size),
        *budget.cold_starts(database, fleet, size),
        *budget.through_pooler(database, fleet, size, settings),
    )


async def _measured(orders: Sequence[Serving], made: Path) -> None:
    """Measure into the folder `made`."""
    of_hosts = [order for order in orders if order.target in lessons.HOSTS]
    of_targets = [order for order in orders if order not in of_hosts]
    with Lab([OF_HTTP, OF_DATABASE]) as lab, lab.in_environment():
        # The measuring process finds the throwaway password of the lab's database there.
        if of_targets:
            await lessons.measured_now(of_targets, lab.write_targets(made / "targets.toml"), made)
    if of_hosts:
        with lessons.two_hosts() as file:
            await lessons.measured_now(of_hosts, file, made)


def main() -> int:
    """Record the lessons beside the recorded review; returns the exit code."""
    out = shared(REVIEW).parent / Path(lessons.RECORDED).name
    sys.stdout.write(f"{out.name}: {record(out, sys.argv[1:])} lessons\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
