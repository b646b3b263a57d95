"""How exactly a trial knows its throughput: where it became steady, its spread, its neighbours'."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from poolkit.records import Interval, Trial

Floats = NDArray[np.float64]

MSER_GROUP = 5
BATCHES = 20  # most batches behind a throughput's interval
FEWEST_BATCHES = 10
BATCH_HOLDS = 2.0  # shortest batch in mean hold times
# The same where a trial asks whether it may end: MSER-5 may yet cut a third of it off, and what is
# left must still have its batches. A thread that is always busy is narrow from the first look on.
EARLY_BATCH_HOLDS = 3.0
# Batch means have 9 to 19 degrees of freedom, where Student's factor is 2.26 to 2.09.
BATCH_MEANS_FACTOR = 2.15
DISPERSION_HOLDS = 5.0  # length of a sub-window in mean hold times
FEWEST_SUB_WINDOWS = 4
# No trial of a second or two knows a shared machine's throughput better than this.
LEAST_ERROR = 0.003
LEAST_DISPERSION = 0.02  # clockwork that is seen for a second may still stumble
NEIGHBOURS = 10.0  # batches that the trials of similar size are worth against a trial's own


def mser5(values: Floats) -> int:
    """How many leading values to leave out so that the rest is steady.

    Values are averaged in groups of 5; the cut d minimises sum((z_i - mean)^2) / (k - d)^2 over the
    k - d groups kept: the squared standard error of their mean, which falls while biased values go
    and rises when good ones are (White 1997; Franklin and White 2008). Only the first half is
    searched; a cut at its end means that the series never settled.
    """
    groups = values.size // MSER_GROUP
    if groups < 4:
        return 0
    z = values[: groups * MSER_GROUP].reshape(groups, MSER_GROUP).mean(axis=1)
    left = np.arange(groups, 0, -1, dtype=np.float64)
    sums = np.cumsum(z[::-1])[::-1]
    squares = np.cumsum((z**2)[::-1])[::-1]
    spread = np.maximum(squares - sums**2 / left, 0.0)
    errors = (spread / left**2)[: groups // 2 + 1]
    return int(np.argmin(errors)) * MSER_GROUP


def rate_interval(
    completions: Floats, bin_seconds: float, least_batch: float = 0.0
) -> Interval | None:
    """The 95 % interval of a rate (calls/s) from counts per bin of `bin_seconds` s.

    Completions follow each other and are not independent; means over batches much longer than the
    correlation are nearly so (Law and Carson 1979). There are up to 20 equal batches. `least_batch`
    is the shortest one (s) that deserves the name, several hold times. None where fewer than 10
    fit.
    """
    per_batch = max(1, math.ceil(least_batch / bin_seconds), completions.size // BATCHES)
    batches = completions.size // per_batch
    if batches < FEWEST_BATCHES:
        return None
    # The front is left out rather than the end: what remains of the warm-up sits there.
    tail = completions[completions.size - batches * per_batch :]
    rates = tail.reshape(batches, per_batch).mean(axis=1) / bin_seconds
    half = (
        float(scipy.special.stdtrit(batches - 1, 0.975))
        * float(rates.std(ddof=1))
        / math.sqrt(batches)
    )
    middle = float(rates.mean())
    return (middle - half, middle + half)


def dispersion(completions: Floats, bin_seconds: float, mean_hold: float) -> float | None:
    """Index of dispersion Cd2 of the completions: variance / mean of counts in sub-windows.

    Sub-windows last several hold times, so that what is seen is the departures' long-run
    randomness (Cox and Lewis 1966, index of dispersion for counts). They overlap, which uses the
    data better, and the variance is scaled up for the mean estimated from the same data.
    """
    width = max(1, math.ceil(DISPERSION_HOLDS * mean_hold / bin_seconds))
    windows = completions.size / width
    if windows < FEWEST_SUB_WINDOWS or completions.sum() == 0:
        return None
    running = np.concatenate(([0.0], np.cumsum(completions)))
    counts = running[width:] - running[:-width]
    mean = float(counts.mean())
    return float(counts.var()) * windows / (windows - 1.0) / mean if mean > 0 else None


def dispersion_of(trial: Trial) -> tuple[float, float]:
    """A trial's Cd2 and the number of windows behind it; 0 windows where it tells nothing.

    A trial without a dispersion of its own gives the one that its throughput's interval implies:
    Var(X) = Cd2 * X / window.
    """
    hold = trial.hold_time.mean or trial.window
    if trial.dispersion is not None:
        return trial.dispersion, trial.window / (DISPERSION_HOLDS * hold)
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
    sizes = [trial.connections for trial in trials]
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
    """Degrees of freedom of a trial's batch means, as long as an early end asks for."""
    hold = trial.hold_time.mean or trial.window
    return min(BATCHES, trial.window / (EARLY_BATCH_HOLDS * hold)) - 1.0
