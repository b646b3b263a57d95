"""The histogram keeps counts, sums and quantiles to half a per cent, and merges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.histogram import Histogram, quantile, share_above

times = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=200)


def histogram(values: list[float]) -> Histogram:
    made = Histogram()
    made.add(np.array(values))
    return made


@given(times, st.floats(0.01, 1.0))
def test_quantiles_are_within_the_precision(values: list[float], q: float) -> None:
    """A quantile is the exact order statistic within 0.5 % (or 1 microsecond)."""
    buckets = histogram(values).distribution().buckets
    rank = max(1, int(np.ceil(q * len(values) - 1e-9)))
    exact = sorted(values)[rank - 1]
    assert quantile(buckets, q) == pytest.approx(exact, rel=0.0051, abs=1.01e-6)


@given(times, times)
def test_merging_is_adding(first: list[float], second: list[float]) -> None:
    """Two histograms merged hold what one histogram of all times holds."""
    merged = histogram(first)
    merged.merge(histogram(second))
    together = histogram(first + second)
    assert (merged.counts == together.counts).all()
    assert merged.total == pytest.approx(together.total)
    assert merged.longest == together.longest


@given(times, st.floats(0.0, 120.0), st.floats(0.0, 120.0))
def test_share_above_falls_with_the_threshold(values: list[float], a: float, b: float) -> None:
    """A larger threshold is exceeded by no more of the times, and shares stay in [0, 1]."""
    buckets = histogram(values).distribution().buckets
    low, high = sorted((a, b))
    assert 0.0 <= share_above(buckets, high) <= share_above(buckets, low) <= 1.0


def test_share_above_agrees_with_counting() -> None:
    """On many times the share differs from plain counting by less than a bucket's share."""
    values = np.random.default_rng(1).exponential(0.01, 20_000)
    buckets = histogram(values.tolist()).distribution().buckets
    for threshold in (0.001, 0.01, 0.05):
        assert share_above(buckets, threshold) == pytest.approx(
            float((values > threshold).mean()), abs=0.004
        )


def test_an_empty_histogram_has_no_figures() -> None:
    """Nothing measured is None, never 0."""
    empty = Histogram().distribution()
    assert empty.count == 0
    assert empty.mean is None
    assert empty.p99 is None
    assert empty.longest is None


def test_zero_waits_count() -> None:
    """A wait of zero is a wait; it lies in the lowest bucket and pulls the mean down."""
    made = histogram([0.0, 0.0, 0.0, 0.4]).distribution()
    assert made.count == 4
    assert made.mean == pytest.approx(0.1)
    assert made.p50 == 0.0
