"""Measures what the lessons about lifecycle and diagnosis replay, into data/recordings/lifecycle.

    python -m tests.recordings.lifecycle

It takes about five minutes.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from poolkit.lab.postgres import PostgresServer
from poolkit.lab.service.compare import Lines, compare_reviewed
from poolkit.lab.service.compare import write as write_comparison
from poolkit.measure.store import write_atomic
from poolkit.report.source import RECORDED as REVIEW
from poolkit.report.source import shared
from poolkit.review.manifest import write_manifest
from poolkit.workbook.probing import CAP, RECORDED, closing_servers, probe_now
from poolkit.workbook.watched import RUNS, watched_runs


def record(out: Path) -> int:
    """Probe, watch and compare on the lab, and put what was found into `out`; returns how many.

    What `out` held is replaced once everything is measured.
    """
    with tempfile.TemporaryDirectory(prefix="poolkit-record-") as folder:
        made = Path(folder)
        with closing_servers() as (file, environment):
            asyncio.run(probe_now(file, (), CAP, environment, made))
        with PostgresServer(accounts=10) as server:
            runs = asyncio.run(watched_runs(server.dsn))
        write_atomic(made / RUNS, runs.model_dump_json(indent=1) + "\n")
        write_comparison(compare_reviewed(made / "review", Lines()), made)
        files = sorted(made.glob("*.json"))
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("*.json"):
            old.unlink()
        for file in files:
            shutil.copyfile(file, out / file.name)
    write_manifest(out, {"command": "lifecycle", "cap": CAP})
    return len(files)


def main() -> int:
    """Record beside the recorded review; returns the exit code."""
    out = shared(REVIEW).parent / Path(RECORDED).name
    sys.stdout.write(f"{out.name}: {record(out)} files\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
