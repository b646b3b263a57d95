"""Where a series becomes steady, and how exactly a trial knows its throughput.

MSER-5 finds where a warm-up ends; batch means hold the truth as often as they say; a trial's own
idea of its noise is held together by that of trials of similar size.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from poolkit.analysis.noise import LEAST_ERROR, dispersion_of, mser5, rate_interval, standard_errors
from poolkit.records import Trial
from tests.analysis.synthetic import drawn_trial


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


def _with_interval(trial: Trial, share: float) -> Trial:
    """The same trial, its own 95 % interval this share of the throughput to either side."""
    x = trial.throughput
    return trial.model_copy(update={"throughput_interval95": (x * (1 - share), x * (1 + share))})


def test_a_lucky_trial_does_not_rule() -> None:
    """One that looks ten times as exact as the others is believed in part only."""
    usual = [drawn_trial(8, 800.0, dispersion=0.5) for _ in range(5)]
    lucky = _with_interval(usual[0], 0.001)
    *others, last = standard_errors([*usual, lucky])
    assert others[0] / 2 < last < others[0]


def test_alone_without_anything_it_is_a_poisson_stream() -> None:
    """No interval, no dispersion, no neighbour: Var(X) = X / window."""
    trial = drawn_trial(8, 800.0, dispersion=None, window=2.0)
    bare = trial.model_copy(update={"throughput_interval95": None})
    (error,) = standard_errors([bare])
    assert error == pytest.approx(math.sqrt(800.0 / 2.0))
    assert dispersion_of(bare)[1] == 0.0


def test_no_trial_is_exact() -> None:
    """Clockwork still has the least error of a shared machine."""
    trials = [_with_interval(drawn_trial(2, 5e5, dispersion=0.0), 0.0) for _ in range(4)]
    assert standard_errors(trials) == pytest.approx([LEAST_ERROR * 5e5] * 4)


def test_near_sizes_say_more_than_far_ones() -> None:
    """Burstiness at 64 connections says little about the noise at 1."""
    calm = [drawn_trial(size, 100.0 * size, dispersion=0.2) for size in (1, 2)]
    wild = [drawn_trial(size, 100.0 * size, dispersion=5.0) for size in (64, 64)]
    first, *_ = standard_errors([*calm, *wild])
    alone, _ = standard_errors(calm)
    assert first < 1.5 * alone


def test_errors_are_right_on_average() -> None:
    """The mean of the squared errors is the variance that the throughputs have."""
    rng = np.random.default_rng(1)
    trials = [drawn_trial(16, 800.0, noise=rng, dispersion=1.0) for _ in range(60)]
    spread = float(np.std([trial.throughput for trial in trials]))
    errors = np.array(standard_errors(trials))
    assert math.sqrt(float((errors**2).mean())) == pytest.approx(spread, rel=0.25)
