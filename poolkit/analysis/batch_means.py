"""Confidence intervals for means of correlated series, by batch means."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from poolkit.records import Interval

BATCHES = 20
FEWEST_BATCHES = 10


def rate_interval(
    completions: NDArray[np.float64], bin_seconds: float, least_batch: float = 0.0
) -> Interval | None:
    """The 95 % interval of a rate (calls/s) from counts per bin of `bin_seconds` s.

    Completions follow each other and are not independent; means over batches much longer than the
    correlation are nearly so (Law and Carson 1979). `least_batch` is the shortest batch (s) that
    deserves the name, several hold times. None where fewer than 10 batches fit.
    """
    means = _batch_means(completions, bin_seconds, least_batch)
    if means is None:
        return None
    rates = means / bin_seconds
    return _student(rates)


def mean_interval(
    values: NDArray[np.float64], spacing: float, least_batch: float = 0.0
) -> Interval | None:
    """The 95 % interval of the mean of a correlated series with one value every `spacing` s."""
    means = _batch_means(values, spacing, least_batch)
    return None if means is None else _student(means)


def _batch_means(
    values: NDArray[np.float64], spacing: float, least_batch: float
) -> NDArray[np.float64] | None:
    """Means of up to 20 equal batches, each at least `least_batch` s long; None below 10."""
    per_batch = max(1, math.ceil(least_batch / spacing), values.size // BATCHES)
    batches = values.size // per_batch
    if batches < FEWEST_BATCHES:
        return None
    # The front is left out rather than the end: what remains of the warm-up sits there.
    tail = values[values.size - batches * per_batch :]
    return np.asarray(tail.reshape(batches, per_batch).mean(axis=1))


def _student(means: NDArray[np.float64]) -> Interval:
    n = means.size
    half = float(stdtrit(n - 1, 0.975)) * float(means.std(ddof=1)) / math.sqrt(n)
    middle = float(means.mean())
    return (middle - half, middle + half)
