"""Where a quantity that was measured again and again took a step, by permutation; pure.

The split that parts the means the most is looked for, and the same in the values shuffled: with
`alpha` = 2 that is E-divisive (Matteson and James 2014, "A nonparametric approach for multiple
change point analysis of multivariate data"). Where chance explains the split, a span between two
steps is looked for, since a step there and one back hide each other (Olshen et al. 2004, "Circular
binary segmentation"). The parts around a step that stands are searched again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from poolkit.records import Interval

LEAST = 8  # values: with fewer nothing is said of steps
PERSISTS = 3  # values on each side of a step: the first after it, and two that bear it out
SIGNIFICANCE = 0.04  # the largest share of shuffled series that part as far
THERE_AND_BACK = 0.005  # the same for a step that another one took back
BORNE_OUT = 0.9  # of how far the furthest span of any length lies
SHUFFLES, BATCH = 990, 45
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
    n = len(series)
    if n < 2 * PERSISTS:
        return
    starts, ends = _spans(n, PERSISTS)
    to_the_end = starts[ends == n], ends[ends == n]
    found = _furthest(series, to_the_end, SIGNIFICANCE, rng)
    found = found or _furthest(series, (starts, ends), THERE_AND_BACK, rng)
    if found is None or not _is_borne_out(series, found[0]):
        return
    steps = [at for at in found[0] if at < n]
    for at in steps:
        yield offset + at, found[1]
    for start, end in itertools.pairwise([0, *steps, n]):
        yield from _splits(series[start:end], offset + start, rng)


def _furthest(
    series: NDArray[np.float64],
    spans: tuple[NDArray[np.int_], NDArray[np.int_]],
    significance: float,
    rng: np.random.Generator,
) -> tuple[tuple[int, int], float] | None:
    """The span that lies furthest from the rest, and the chance of it; None where chance may be."""
    parted = _parted(series[np.newaxis], spans)[0]
    best = int(parted.argmax())
    largest = float(parted[best])
    if largest <= 1e-9 * float(np.abs(series).max()):
        return None
    as_far = shuffled = 0
    while shuffled < SHUFFLES:
        rows = rng.permuted(np.tile(series, (BATCH, 1)), axis=1)
        as_far += int((_parted(rows, spans).max(axis=1) >= largest * (1 - 1e-12)).sum())
        shuffled += BATCH
        if 1 + as_far > significance * (1 + SHUFFLES):  # whatever the others do
            return None
    return (int(spans[0][best]), int(spans[1][best])), (1 + as_far) / (1 + shuffled)


def _is_borne_out(series: NDArray[np.float64], span: tuple[int, int]) -> bool:
    """Whether no shorter part, which may be chance, lies far further from the rest."""
    rows, n = series[np.newaxis], len(series)
    starts, ends = _spans(n, 1)
    alike = ends == n if span[1] == n else ends > 0
    any_length = float(_parted(rows, (starts[alike], ends[alike])).max())
    found = float(_parted(rows, (np.array([span[0]]), np.array([span[1]])))[0, 0])
    return found >= BORNE_OUT * any_length


def _spans(n: int, least: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First position of each span of values, and that behind it.

    With `least` values in it and on each side, or none; one from the start on is the rest of
    another.
    """
    edges = [edge for edge in range(n + 1) if edge in (0, n) or least <= edge <= n - least]
    starts, ends = np.meshgrid(edges, edges, indexing="ij")
    is_one = (ends - starts >= least) & (starts > 0)
    return starts[is_one], ends[is_one]


def _parted(
    rows: NDArray[np.float64], spans: tuple[NDArray[np.int_], NDArray[np.int_]]
) -> NDArray[np.float64]:
    """How far the mean of each span lies from that of the rest, for each row.

    In units of its standard error, up to a factor that shuffling leaves as it is.
    """
    starts, ends = spans
    n, k = rows.shape[1], ends - starts
    sums = np.zeros((len(rows), n + 1))
    np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1, out=sums[:, 1:])
    weights = np.sqrt(n / (k * (n - k)))
    apart: NDArray[np.float64] = np.abs(sums[:, ends] - sums[:, starts]) * weights
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
    spread = float(scipy.stats.t.ppf(0.975, free)) * math.sqrt(squares / free)
    found = []
    for values, known in parts:
        mean = float(values.mean())
        half = max(spread, float(known.mean())) / math.sqrt(len(values))
        found.append(Level(mean, (mean - half, mean + half)))
    return found[0], found[1]
