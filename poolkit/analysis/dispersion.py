"""How random the departures of a busy upstream are: the index of dispersion Cd2.

Cd2 = variance / mean of the completions counted in windows of several hold times (Cox and Lewis
1966, "The Statistical Analysis of Series of Events", index of dispersion for counts). It is 1 for
a Poisson stream, 0 for clockwork, cv^2 for busy workers whose service times vary by cv.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poolkit.analysis.curve import BATCH_MEANS_FACTOR, is_clean
from poolkit.histogram import value_of
from poolkit.records import Distribution, Trial

SUB_WINDOW_HOLDS = 5.0  # length of a sub-window in mean hold times, as the summary counts them
BATCH_HOLDS = 3.0  # shortest batch behind a throughput's interval, in mean hold times
BATCHES = 20.0  # most batches behind it
# Trials with this share of the highest throughput tell of the upstream near saturation.
NEAR_SATURATION = 0.6
# What the hold times suggest is worth this many windows against what the departures show.
PRIOR_WINDOWS = 6.0
PRIOR_MOST = 2.0  # holds alone make no upstream burstier than this: bursts must be seen to leave
MOST = 25.0


def pooled_dispersion(trials: Sequence[Trial]) -> float | None:
    """Cd2 of the upstream near saturation; None where no usable trial can tell.

    Every trial near the plateau counts with its number of windows k, as an estimate from k windows
    has a relative error of about sqrt(2 / k). A trial without a dispersion of its own gives the one
    that its throughput's interval implies: Var(X) = Cd2 * X / window. A sweep of some seconds
    has only a few dozen windows, so they are held together by what the departures would be if
    connections worked side by side: cv^2 of the hold times (the limit of superposed renewals).
    """
    seen = [trial for trial in trials if is_clean(trial)]
    if not seen:
        return None
    top = max(trial.throughput for trial in seen)
    near = [trial for trial in seen if trial.throughput >= NEAR_SATURATION * top]
    total, weight = 0.0, 0.0
    for trial in near:
        value, windows = _estimate(trial)
        total += windows * value
        weight += windows
    prior = _prior(seen)
    if prior is not None:
        total += PRIOR_WINDOWS * prior
        weight += PRIOR_WINDOWS
    return min(MOST, total / weight) if weight else None


def _estimate(trial: Trial) -> tuple[float, float]:
    """A trial's Cd2 and the number of windows behind it; weight 0 where it tells nothing."""
    hold = trial.hold_time.mean or trial.window
    if trial.dispersion is not None:
        return trial.dispersion, trial.window / (SUB_WINDOW_HOLDS * hold)
    interval = trial.throughput_interval95
    if interval is None:
        return 0.0, 0.0
    error = (interval[1] - interval[0]) / 2 / BATCH_MEANS_FACTOR
    batches = min(BATCHES, trial.window / (BATCH_HOLDS * hold))
    return error**2 * trial.window / trial.throughput, batches - 1.0


def _prior(trials: Sequence[Trial]) -> float | None:
    """cv^2 of the hold times where calls do not yet queue for each other."""
    shortest = min(trial.hold_time.mean or 0.0 for trial in trials)
    alone = [trial for trial in trials if (trial.hold_time.mean or 0.0) <= 1.1 * shortest]
    squares = [
        (square, trial.hold_time.count) for trial in alone if (square := _cv2(trial.hold_time))
    ]
    if not squares:
        return None
    calls = sum(count for _, count in squares)
    return min(PRIOR_MOST, sum(square * count for square, count in squares) / calls)


def _cv2(times: Distribution) -> float | None:
    """Squared coefficient of variation of a distribution of times."""
    if not times.buckets or times.count < 2:
        return None
    values = np.array([value_of(index) for index in times.buckets])
    counts = np.array(list(times.buckets.values()), dtype=float)
    mean = float(values @ counts / counts.sum())
    if mean <= 0:
        return None
    return float((values**2) @ counts / counts.sum()) / mean**2 - 1.0
