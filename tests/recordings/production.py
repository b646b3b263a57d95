"""Records a compressed day of the demo service, as `poolkit observe` reads its metrics.

    python -m tests.recordings.production

It takes five minutes and a half, into data/recordings/production: the target as targets.toml, what
its pool counted in windows, and a manifest.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from poolkit.analysis.windows import Windows
from poolkit.lab.service.sizes import TARGET_RATE
from poolkit.measure.store import write_atomic
from poolkit.report.source import RECORDED as REVIEW
from poolkit.report.source import shared
from poolkit.review.manifest import write_manifest
from poolkit.workbook import production
from poolkit.workbook.production import POOL, RECORDED, TARGETS, WINDOWS, KeptWindows

DAY = 300.0  # s
SOURCE = f"/metrics of the demo service, pool {POOL}"
# As lab-db is asked for, and where it was; nothing is sent there.
TARGET = f"""\
[targets.{POOL}]
driver = "asyncpg"
dsn = "postgresql://orders@127.0.0.1/orders"
statements = ["select balance from accounts where id = 1"]
target_rate = {TARGET_RATE:g}
wait_p99 = 0.010
max_size = 16
production = {{ metrics = "http://127.0.0.1:8800/metrics", pool = "{POOL}" }}
"""


def record(out: Path, day: float = DAY) -> int:
    """Observe a day of so many seconds, and put what was read into `out`; returns the windows."""
    with production.running(day) as file:
        seen = asyncio.run(production.observed_at(file, POOL, look=day))
    assert isinstance(seen.found.windows, Windows), "poolkit's own metrics count states"
    kept = KeptWindows.of(seen.found.windows, SOURCE)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / TARGETS, TARGET)
    write_atomic(out / WINDOWS, kept.model_dump_json() + "\n")
    write_manifest(out, {"command": "production", "day": day, "pool": POOL})
    return len(kept.ends)


def main() -> int:
    """Record beside the recorded review; returns the exit code."""
    out = shared(REVIEW).parent / Path(RECORDED).name
    sys.stdout.write(f"{out.name}: {record(out)} windows\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
