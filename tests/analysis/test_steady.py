"""MSER-5 finds where a warm-up ends; batch means hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.noise import mser5, rate_interval


def test_a_slow_start_is_cut_and_little_more() -> None:
    """A start at half speed is left out; what follows is kept."""
    rng = np.random.default_rng(1)
    values = rng.normal(100, 5, 400)
    values[:60] *= np.linspace(0.3, 1.0, 60)
    assert 30 <= mser5(values) <= 120


def test_a_steady_series_keeps_most_of_itself() -> None:
    """Without a warm-up, the median cut over many series is small."""
    rng = np.random.default_rng(2)
    cuts = [mser5(rng.normal(100, 5, 200)) for _ in range(100)]
    assert np.median(cuts) <= 50


def test_a_series_that_never_settles_is_cut_at_half() -> None:
    """A trend over the whole series has no end of warm-up in the first half."""
    assert mser5(np.linspace(0, 100, 200)) == 100


def test_a_short_series_is_not_cut() -> None:
    """Fewer than four groups of five say nothing."""
    assert mser5(np.arange(19.0)) == 0


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
    narrow = rate_interval(noise, 1.0)
    wide = rate_interval(correlated, 1.0)
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
    assert rate_interval(np.ones(values), 1.0, least_batch) is None


def test_a_constant_series_has_an_interval_of_no_width() -> None:
    """Nothing varies, so nothing is uncertain."""
    assert rate_interval(np.full(50, 3.0), 1.0) == (3.0, 3.0)
