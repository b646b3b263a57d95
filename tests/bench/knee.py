"""The Little's Law knee of workers-type upstreams against the number of workers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from tests.bench.trials import run_command


def main() -> None:
    """Print a row for 8, 16 and 32 workers; the figure to reach is 10 %."""
    print(f"{'workers':>8}{'knee':>8}{'interval':>16}{'off by':>9}{'load':>8}")
    for workers in (8, 16, 32):
        model = Workers(workers=workers, service_time=0.02, cv=0.5)
        with HttpUpstream(model) as upstream, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "targets.toml"
            path.write_text(
                f'[targets.workers]\ndriver = "aiohttp"\nurl = "{upstream.url}"\n'
                f"target_rate = {workers / 0.02 * 0.6}\n"
            )
            sizing, _, load = run_command("sweep", "workers", path, os.environ)
        knees = {knee.rule: knee for knee in sizing.knees} if sizing else {}
        knee = knees.get("littles_law")
        if knee is None or knee.size is None or knee.interval95 is None:
            print(f"{workers:>8}    none seen")
            continue
        low, high = knee.interval95
        print(
            f"{workers:>8}{knee.size:>8.1f}{f'{low:.1f} to {high:.1f}':>16}"
            f"{knee.size / workers - 1:>+9.1%}{load:>6.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
