"""Batch means give intervals that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.batch_means import mean_interval, rate_interval


def test_intervals_of_independent_counts_cover_the_truth() -> None:
    """About 95 % of the intervals of Poisson counts hold their rate."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        counts = rng.poisson(500 * 0.005, 240).astype(float)
        low, high = rate_interval(counts, 0.005) or (0.0, 0.0)
        covered += low <= 500 <= high
    assert 0.91 <= covered / 400 <= 0.99


def test_correlated_series_get_wider_intervals_than_independent_ones() -> None:
    """An AR(1) series of the same spread is less certain, and the interval says so."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=4000)
    correlated = np.zeros(4000)
    for i in range(1, 4000):
        correlated[i] = 0.95 * correlated[i - 1] + np.sqrt(1 - 0.95**2) * noise[i]
    narrow = mean_interval(noise, 1.0)
    wide = mean_interval(correlated, 1.0)
    assert narrow is not None
    assert wide is not None
    assert (wide[1] - wide[0]) > 3 * (narrow[1] - narrow[0])


@pytest.mark.parametrize(
    ("values", "least_batch"),
    [(9, 0.0), (0, 0.0), (100, 11.0)],
    ids=["nine values", "no value", "batches so long that nine fit"],
)
def test_too_few_batches_give_no_interval(values: int, least_batch: float) -> None:
    """Fewer than 10 batches are not an interval."""
    assert mean_interval(np.ones(values), 1.0, least_batch) is None


def test_a_constant_series_has_an_interval_of_no_width() -> None:
    """Nothing varies, so nothing is uncertain."""
    assert mean_interval(np.full(50, 3.0), 1.0) == (3.0, 3.0)
