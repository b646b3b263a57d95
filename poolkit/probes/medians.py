"""Medians with an interval that assumes nothing about the times' distribution; pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from scipy.stats import binom

from poolkit.records import Interval

CONFIDENCE = 0.95


def median_interval(values: Sequence[float]) -> tuple[float, Interval | None]:
    """The median and its 95 % interval by order statistics; None below 6 values.

    The number of values below the true median is Binomial(n, 1/2), so the k-th smallest and k-th
    largest enclose it with P = 1 - 2 P(B < k) (Conover, Practical Nonparametric Statistics, 3.2).
    """
    ordered = sorted(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5))
    if rank < 1:
        return median(ordered), None
    return median(ordered), (ordered[rank - 1], ordered[-rank])
