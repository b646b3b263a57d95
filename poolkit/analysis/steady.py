"""Where a series becomes steady (MSER-5), and how exactly its mean is known (batch means)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from poolkit.records import Interval

GROUP = 5
BATCHES = 20
FEWEST_BATCHES = 10


def mser5(values: NDArray[np.float64]) -> int:
    """How many leading values to leave out so that the rest is steady.

    Values are averaged in groups of 5; the cut d minimises sum((z_i - mean)^2) / (k - d)^2 over the
    k - d groups kept: the squared standard error of their mean, which falls while biased values go
    and rises when good ones are (White 1997; Franklin and White 2008). Only the first half is
    searched; a cut at its end means that the series never settled.
    """
    groups = values.size // GROUP
    if groups < 4:
        return 0
    z = values[: groups * GROUP].reshape(groups, GROUP).mean(axis=1)
    left = np.arange(groups, 0, -1, dtype=np.float64)
    sums = np.cumsum(z[::-1])[::-1]
    squares = np.cumsum((z**2)[::-1])[::-1]
    spread = np.maximum(squares - sums**2 / left, 0.0)
    errors = (spread / left**2)[: groups // 2 + 1]
    return int(np.argmin(errors)) * GROUP


def rate_interval(
    completions: NDArray[np.float64], bin_seconds: float, least_batch: float = 0.0
) -> Interval | None:
    """The 95 % interval of a rate (calls/s) from counts per bin of `bin_seconds` s.

    Completions follow each other and are not independent; means over batches much longer than the
    correlation are nearly so (Law and Carson 1979). There are up to 20 equal batches. `least_batch`
    is the shortest one (s) that deserves the name, several hold times. None where fewer than 10
    fit.
    """
    per_batch = max(1, math.ceil(least_batch / bin_seconds), completions.size // BATCHES)
    batches = completions.size // per_batch
    if batches < FEWEST_BATCHES:
        return None
    # The front is left out rather than the end: what remains of the warm-up sits there.
    tail = completions[completions.size - batches * per_batch :]
    rates = tail.reshape(batches, per_batch).mean(axis=1) / bin_seconds
    half = float(stdtrit(batches - 1, 0.975)) * float(rates.std(ddof=1)) / math.sqrt(batches)
    middle = float(rates.mean())
    return (middle - half, middle + half)
