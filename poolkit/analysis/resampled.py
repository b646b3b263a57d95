"""What another stretch of the same traffic might have told: the windows drawn again.

A bootstrap over short parts of the time, for what leaves one state in a row is not independent. It
sees what counts alone do not: where calls come in bursts, a day holds few of those that decide.
"""

from __future__ import annotations

import numpy as np

from poolkit.analysis.curve import Curve
from poolkit.analysis.model import PRUDENCE
from poolkit.analysis.queueing import waits
from poolkit.analysis.state_curve import fit
from poolkit.analysis.windows import Windows
from poolkit.records import StatePoint

PARTS = 60  # of the time, that are drawn again
SIZES = 40  # draws for the sizes
SEED = 19
INSIDE = (0.025, 0.5, 0.975)


def drawn(windows: Windows, most: int, draws: int, rng: np.random.Generator) -> list[Curve]:
    """Curves of one pool, readable up to `most` connections, one through each of so many draws."""
    parts = np.array_split(np.arange(windows.ends.size), min(PARTS, windows.ends.size))
    held = np.array([windows.held[part].sum(axis=0) for part in parts])
    left = np.array([windows.releases[part].sum(axis=0) for part in parts])
    times = rng.multinomial(len(parts), np.full(len(parts), 1.0 / len(parts)), draws)
    curves = []
    for seconds, releases in zip(times @ held, times @ left, strict=True):
        points = [
            StatePoint(
                in_use=n,
                throughput=calls / passed,
                interval95=(calls / passed, calls / passed),
                seconds=passed,
                releases=round(calls),
            )
            for n, passed, calls in zip(
                windows.levels, seconds.tolist(), releases.tolist(), strict=True
            )
            if n > 0 and passed > 0
        ]
        curve = fit(points, 1.0, 0.0)
        curves.append(curve.held_flat(max(curve.largest, most)))
    return curves


def sizes_drawn(
    windows: Windows, rate: float, wait: float, late: float, most: int
) -> tuple[int, int, int]:
    """The sizes of one pool that keep to a wait: 95 % of the draws from the first to the last, half
    of them up to the middle one; `most` where none does.

    Args:
        rate: calls/s of one pool.
        wait: s, that a share `late` (0 to 1) of the calls may exceed.
        most: connections of one pool, 1 or more; no larger size is tried.
    """
    found = []
    for curve in drawn(windows, most, SIZES, np.random.default_rng(SEED)):
        least, size = 0, most
        # More connections never make the chain's waits longer, up to where throughput falls.
        while size - least > 1:
            middle = (least + size) // 2
            (one,) = waits(curve, rate, (middle,), seen_to=curve.measured)
            if one.exceedance(wait) <= PRUDENCE * late:
                size = middle
            else:
                least = middle
        found.append(size)
    low, middle, high = np.quantile(found, INSIDE, method="nearest").tolist()
    return low, middle, high
