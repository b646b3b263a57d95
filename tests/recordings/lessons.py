"""Measures what the lessons replay on `recorded`, into data/recordings/lessons.

    python -m tests.recordings.lessons

It needs data/recordings/lab-review, whose sizes the lessons are about, and some 30 s.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from poolkit.lab.running import Lab
from poolkit.measure import SEED
from poolkit.panels.request import Request
from poolkit.panels.sources import RecordedSource
from poolkit.report.source import RECORDED as REVIEW
from poolkit.report.source import shared
from poolkit.review.manifest import write_manifest
from poolkit.workbook import lessons
from poolkit.workbook.lessons import Serving
from poolkit.workbook.measuring import measured

OF_HTTP, OF_DATABASE = "lab-http", "lab-db"


def record(out: Path) -> int:
    """Measure every lesson on the lab, put its trials and a manifest into `out`; returns how many.

    What `out` held is replaced once everything is measured.
    """
    with tempfile.TemporaryDirectory(prefix="poolkit-record-") as folder:
        made = Path(folder)
        orders = asyncio.run(_measured(made))
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("*.trials.jsonl"):
            old.unlink()
        for order in orders:
            name = f"{order.label}.trials.jsonl"
            shutil.copyfile(made / name, out / name)
    public = [order.model_dump(mode="json", exclude_none=True) for order in orders]
    write_manifest(out, {"command": "lessons", "seed": SEED, "orders": public})
    return len(orders)


async def _measured(made: Path) -> tuple[Serving, ...]:
    """Measure into the folder `made`; returns what was measured."""
    source = RecordedSource(shared(REVIEW))
    of_targets = (
        *lessons.too_small(await measured(Request(OF_HTTP), source)),
        *lessons.overflows(await measured(Request(OF_DATABASE), source)),
    )
    with Lab([OF_HTTP, OF_DATABASE]) as lab:
        # The measuring process finds the throwaway password of the lab's database there.
        os.environ.update(lab.environment())
        await lessons.measured_now(of_targets, lab.write_targets(made / "targets.toml"), made)
    with lessons.two_hosts() as file:
        await lessons.measured_now(lessons.hosts(), file, made)
    return (*of_targets, *lessons.hosts())


def main() -> int:
    """Record the lessons beside the recorded review; returns the exit code."""
    out = shared(REVIEW).parent / Path(lessons.RECORDED).name
    sys.stdout.write(f"{out.name}: {record(out)} trials\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
