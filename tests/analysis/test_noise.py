"""A trial's own idea of its noise is held together by that of trials of similar size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from poolkit.analysis.noise import LEAST_ERROR, dispersion_of, standard_errors
from poolkit.records import Trial
from tests.analysis.synthetic import drawn_trial


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
