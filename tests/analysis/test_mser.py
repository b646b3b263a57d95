"""MSER-5 finds where a warm-up ends."""

from __future__ import annotations

import numpy as np

from poolkit.analysis.mser import mser5


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
