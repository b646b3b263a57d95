"""The recommended size of the demo's targets against the smallest size that really passes.

Needed = the smallest size that meets the wait target in most repeats of an open-loop trial at the
target rate; it is found by trying sizes one after the other and uses no model. `--quick` takes
fewer and
shorter repeats.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from poolkit.lab.running import Lab
from poolkit.targets import Target, load_targets
from poolkit.verify import failed_share
from tests.bench.trials import open_loop, run_command

QUICK = "--quick" in sys.argv
REPEATS = 3 if QUICK else 5
SECONDS = 5.0 if QUICK else 10.0


def share_of_passes(target: Target, pool_size: int) -> float:
    """In how many of the repeats (0 to 1) at most 1 % of the calls waited too long."""
    passes = 0
    for repeat in range(REPEATS):
        trial = open_loop(target, pool_size, SECONDS, seed=1000 * pool_size + repeat)
        passes += failed_share(trial, target.wait_p99) <= 0.01
    return passes / REPEATS


def needed_size(target: Target, start: int) -> tuple[int, dict[int, float]]:
    """The smallest size that passes in most repeats, searched outwards from `start`."""
    shares: dict[int, float] = {}

    def passes(size: int) -> bool:
        if size not in shares:
            shares[size] = share_of_passes(target, size)
        return shares[size] > 0.5

    size = start
    while not passes(size) and size < target.max_size:
        size += 1
    while size > 1 and passes(size - 1):
        size -= 1
    return size, dict(sorted(shares.items()))


def main() -> None:
    """Print a row a target; the figure to reach is a ratio within 1.0 to 1.2, or one connection."""
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        lab.write_targets(path)
        os.environ.update(lab.environment())
        print(f"{'target':<15}{'recommended':>12}{'needed':>8}{'ratio':>7}  passes by size")
        for target in load_targets(path).values():
            _, recommendation, load = run_command("size", target.name, path, os.environ)
            size = recommendation.recommended_size if recommendation else None
            if size is None:
                print(f"{target.name:<15}{'none':>12}")
                continue
            needed, shares = needed_size(target, size)
            within = size >= needed and (size <= 1.2 * needed or size == needed + 1)
            table = " ".join(f"{n}:{share:.1f}" for n, share in shares.items())
            print(
                f"{target.name:<15}{size:>12}{needed:>8}{size / needed:>7.2f}  {table}"
                f"  {'ok' if within else 'OUTSIDE'}  ({load:.0f} s of load)",
                flush=True,
            )


if __name__ == "__main__":
    main()
