"""How exactly a trial knows its throughput: its own spread, held together by its neighbours'."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit.records import Trial

# Batch means have 9 to 19 degrees of freedom, where Student's factor is 2.26 to 2.09.
BATCH_MEANS_FACTOR = 2.15
# No trial of a second or two knows a shared machine's throughput better than this.
LEAST_ERROR = 0.003
SUB_WINDOW_HOLDS = 5.0  # length of a sub-window in mean hold times, as the summary counts them
BATCH_HOLDS = 3.0  # shortest batch behind a throughput's interval, in mean hold times
BATCHES = 20.0  # most batches behind it
LEAST_DISPERSION = 0.02  # clockwork that is seen for a second may still stumble
NEIGHBOURS = 10.0  # batches that the trials of similar size are worth against a trial's own


def dispersion_of(trial: Trial) -> tuple[float, float]:
    """A trial's Cd2 and the number of windows behind it; 0 windows where it tells nothing.

    A trial without a dispersion of its own gives the one that its throughput's interval implies:
    Var(X) = Cd2 * X / window.
    """
    hold = trial.hold_time.mean or trial.window
    if trial.dispersion is not None:
        return trial.dispersion, trial.window / (SUB_WINDOW_HOLDS * hold)
    error = _own_error(trial)
    if error is None:
        return 0.0, 0.0
    return error**2 * trial.window / trial.throughput, _batches(trial)


def standard_errors(trials: Sequence[Trial]) -> tuple[float, ...]:
    """Standard errors of the throughputs (calls/s) of these trials, all of them usable.

    A second or two give some ten batches, so a trial's own estimate of its variance is off by a
    third, and one that looks exact by luck would rule the fit. It is averaged with what the
    dispersion of trials of similar size implies, Var(X) = Cd2 * X / window, each neighbour weighted
    by its windows and by the ratio of the sizes (a shrinkage estimator in the manner of Smyth 2004,
    "Linear models and empirical Bayes methods": degrees of freedom add up).
    """
    sizes = [trial.pool_size * trial.pools for trial in trials]
    known = [dispersion_of(trial) for trial in trials]
    errors = []
    for trial, size in zip(trials, sizes, strict=True):
        total, weight = 0.0, 0.0
        for other, (value, windows) in zip(sizes, known, strict=True):
            share = windows * min(size / other, other / size)
            total, weight = total + share * value, weight + share
        # Nothing known: as random as a Poisson stream, the cautious side.
        around = max(total / weight, LEAST_DISPERSION) if weight else 1.0
        variance = around * trial.throughput / trial.window
        own = _own_error(trial)
        if own is not None:
            batches = max(1.0, _batches(trial))
            variance = (NEIGHBOURS * variance + batches * own**2) / (NEIGHBOURS + batches)
        errors.append(max(math.sqrt(variance), LEAST_ERROR * trial.throughput))
    return tuple(errors)


def _own_error(trial: Trial) -> float | None:
    interval = trial.throughput_interval95
    return None if interval is None else (interval[1] - interval[0]) / 2 / BATCH_MEANS_FACTOR


def _batches(trial: Trial) -> float:
    """Degrees of freedom of a trial's batch means."""
    hold = trial.hold_time.mean or trial.window
    return min(BATCHES, trial.window / (BATCH_HOLDS * hold)) - 1.0
