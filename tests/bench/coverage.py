"""How often the 95 % intervals of knees and plateaus hold the truth; the least is 90 %.

    python -m tests.bench.coverage [--draws N]

Curves with known knees, each measured N times with noise (two dispersions, one and two repeats).
Exit code 1 where a rule's intervals hold the truth less often than in 90 % of the cases.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

import numpy as np

from tests.analysis.known_knees import KNOWN, Known, Seen, measured, seen
from tests.bench.provenance import caption

LEAST = 0.90
NOISE = ((0.2, 1), (1.0, 1), (1.0, 2))  # dispersion of the completions, repeats of each size


def row(known: Known, rule: str, truth: float, found: list[Seen]) -> tuple[str, int, int]:
    """One line of the table, and how many intervals there are and hold the truth."""
    held = [one for one in found if one.value is not None]
    inside = sum(one.holds(truth) for one in held)
    if not held:
        return f"| {known.name} | {rule} | {truth:.4g} | none seen | | |", 0, 0
    off = float(np.median([one.value for one in held if one.value is not None])) / truth - 1.0
    widths = [one.interval95[1] - one.interval95[0] for one in held if one.interval95]
    text = (
        f"| {known.name} | {rule} | {truth:.4g} | {len(held)} of {len(found)} | "
        f"{inside / len(held):.0%} | {off:+.1%}, {float(np.median(widths)) / truth:.0%} |"
    )
    return text, len(held), inside


def main() -> int:
    """Print a row a curve and rule, then each rule's share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=60, help="measured curves a row and noise")
    draws = parser.parse_args().draws
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    print(f"{caption()}\n")
    print("| curve | rule | truth | seen | holds the truth | off (median), width |")
    print("|---|---|---|---|---|---|")
    for known in KNOWN:
        found: dict[str, list[Seen]] = defaultdict(list)
        for dispersion, repeats in NOISE:
            for seed in range(draws):
                trials = measured(known, seed, dispersion=dispersion, repeats=repeats)
                for rule, one in seen(trials).items():
                    found[rule].append(one)
        for rule, truth in known.truth.items():
            text, held, inside = row(known, rule, truth, found[rule])
            print(text, flush=True)
            totals[rule][0] += held
            totals[rule][1] += inside
    shares = {rule: inside / held for rule, (held, inside) in totals.items() if held}
    print("\n" + ", ".join(f"{rule}: {share:.1%}" for rule, share in shares.items()))
    return int(any(share < LEAST for share in shares.values()))


if __name__ == "__main__":
    sys.exit(main())
