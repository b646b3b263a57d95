"""Does the same review give the same size again? Ten times `poolkit size` on one upstream.

    python -m tests.bench.repeat_reviews [--only NAME] [--reviews N]

Exit code 1 where fewer than 9 in 10 of the sizes are within one connection, or 4 %, of their
median; a review without a size is not. The upstream is near saturation unless `--only` names
another of the lab's sizing cases. Takes 8 minutes at most.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path
from statistics import median_low

from poolkit.lab.catalogue import SIZING_CASES
from poolkit.lab.running import Lab
from tests.bench.brute_force import say
from tests.bench.provenance import caption
from tests.bench.trials import run_command

REVIEWS = 10
APART = 0.04  # of the median; or one connection
LEAST = 0.9  # share of the reviews


def alike(sizes: list[int | None]) -> int:
    """How many sizes are within one connection, or APART, of the median; None is no size."""
    found = [size for size in sizes if size is not None]
    if not found:
        return 0
    middle = median_low(found)
    return sum(abs(size - middle) <= max(1.0, APART * middle) for size in found)


def main() -> int:
    """Print a line a review, then how many are alike."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.repeat_reviews")
    parser.add_argument("--only", choices=SIZING_CASES, default="cpu-80", metavar="NAME")
    parser.add_argument("--reviews", type=int, default=REVIEWS, metavar="N")
    given = parser.parse_args()
    sizes: list[int | None] = []
    with Lab([given.only]) as lab, tempfile.TemporaryDirectory() as folder:
        path = lab.write_targets(Path(folder) / "targets.toml")
        for _ in range(given.reviews):
            ran = run_command("size", given.only, path, {**os.environ, **lab.environment()})
            sizes.append(ran.recommendation.recommended_size if ran.recommendation else None)
            say(f"{given.only}: recommended {sizes[-1]} after {ran.load:.0f} s of load")
    shown = " ".join("none" if size is None else str(size) for size in sizes)
    least = math.ceil(LEAST * given.reviews)
    print(f"{caption()}\n\n{given.only}: {shown}")
    print(
        f"{alike(sizes)} of {given.reviews} within one connection or {APART:.0%} of the median "
        f"(>= {least})"
    )
    return 0 if alike(sizes) >= least else 1


if __name__ == "__main__":
    sys.exit(main())
