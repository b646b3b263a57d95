"""Where a quantity that was measured again and again took a step, by permutation; pure.

The split that parts the means the most is looked for, and the same in the values shuffled: with
`alpha` = 2 that is E-divisive (Matteson and James 2014, "A nonparametric approach for multiple
change point analysis of multivariate data"), which for means is the cumulative sum statistic. Both
parts of a split that stands are searched again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from poolkit.records import Interval

LEAST = 8  # values: with fewer nothing is said of steps
PERSISTS = 3  # values on each side of a step: the first after it, and two that bear it out
SIGNIFICANCE = 0.04  # the largest share of shuffled series that part as far
SHUFFLES = 999
SEED = 20140101


@dataclass(frozen=True, slots=True)
class Level:
    """The mean of the values between two steps, and its 95 % interval."""

    mean: float
    interval95: Interval


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `at` is the position of the first value of the new level.

    `chance` is the share of shuffled series that part as far.
    """

    at: int
    before: Level
    after: Level
    chance: float


def change_points(
    values: Sequence[float], half_widths: Sequence[float] = (), *, least: float = 0.0
) -> tuple[Step, ...]:
    """The steps that a series took and kept, in order; none below `LEAST` values.

    A step stands where chance does not explain it, `PERSISTS` values are on either side, and the
    intervals of the levels before and after it are apart.

    Args:
        half_widths: half of each value's own 95 % interval, 0 where it has none.
        least: a step no larger than this, in units of the values, is none.
    """
    if len(values) < LEAST:
        return ()
    series = np.asarray(values, dtype=float)
    widths = np.asarray(half_widths or [0.0] * len(values), dtype=float)
    found = sorted(_splits(series, 0, np.random.default_rng(SEED)))
    kept: list[Step] = []
    edges = [at for at, _ in found]
    for number, (at, chance) in enumerate(found):
        start = kept[-1].at if kept else 0
        end = edges[number + 1] if number + 1 < len(edges) else len(series)
        before, after = _levels(series, widths, start, at, end)
        moved = abs(after.mean - before.mean)
        apart = after.interval95[0] > before.interval95[1] or (
            after.interval95[1] < before.interval95[0]
        )
        if apart and moved > least:
            kept.append(Step(at, before, after, chance))
    return tuple(kept)


def _splits(
    series: NDArray[np.float64], offset: int, rng: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Where the series takes a step that chance does not explain, and how likely chance is."""
    if len(series) < 2 * PERSISTS:
        return
    parted = _parted(series[np.newaxis])[0]
    best = int(parted.argmax())
    largest = float(parted[best])
    if largest <= 1e-9 * float(np.abs(series).max()):
        return
    shuffled = rng.permuted(np.tile(series, (SHUFFLES, 1)), axis=1)
    as_far = int((_parted(shuffled).max(axis=1) >= largest * (1 - 1e-12)).sum())
    chance = (1 + as_far) / (1 + SHUFFLES)
    if chance > SIGNIFICANCE:
        return
    at = best + PERSISTS
    yield offset + at, chance
    yield from _splits(series[:at], offset, rng)
    yield from _splits(series[at:], offset + at, rng)


def _parted(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each split parts the means of each row, in units of a mean's standard error.

    Up to a factor that shuffling leaves as it is. Column 0 is the split after `PERSISTS` values.
    """
    n = rows.shape[1]
    k = np.arange(PERSISTS, n - PERSISTS + 1)
    left = rows.cumsum(axis=1)[:, k - 1]
    right = rows.sum(axis=1, keepdims=True) - left
    apart: NDArray[np.float64] = np.abs(left / k - right / (n - k)) * np.sqrt(k * (n - k) / n)
    return apart


def _levels(
    series: NDArray[np.float64], widths: NDArray[np.float64], start: int, at: int, end: int
) -> tuple[Level, Level]:
    """Both levels around a step, with one spread of single values for the two.

    An interval is as wide as the values scatter, and no narrower than what each was known to.
    """
    parts = [(series[a:b], widths[a:b]) for a, b in ((start, at), (at, end))]
    free = end - start - 2
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values, _ in parts)
    spread = float(student.ppf(0.975, free)) * math.sqrt(squares / free)
    found = []
    for values, known in parts:
        mean = float(values.mean())
        half = max(spread, float(known.mean())) / math.sqrt(len(values))
        found.append(Level(mean, (mean - half, mean + half)))
    return found[0], found[1]
