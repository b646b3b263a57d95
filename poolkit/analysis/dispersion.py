"""How random the departures of a busy upstream are: the index of dispersion Cd2.

Cd2 = variance / mean of the completions counted in windows of several hold times (Cox and Lewis
1966, "The Statistical Analysis of Series of Events", index of dispersion for counts). It is 1 for
a Poisson stream, 0 for clockwork, cv^2 for busy workers whose service times vary by cv.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poolkit.analysis.curve import is_clean
from poolkit.analysis.noise import dispersion_of
from poolkit.histogram import value_of
from poolkit.records import Distribution, Trial

# Trials with this share of the highest throughput tell of the upstream near saturation.
NEAR_SATURATION = 0.6
# What the hold times suggest is worth this many windows against what the departures show.
PRIOR_WINDOWS = 6.0
PRIOR_MOST = 2.0  # holds alone make no upstream burstier than this: bursts must be seen to leave
MOST = 25.0


def pooled_dispersion(trials: Sequence[Trial]) -> float | None:
    """Cd2 of the upstream near saturation; None where no usable trial can tell.

    Every trial near the plateau counts with its number of windows k, as an estimate from k windows
    has a relative error of about sqrt(2 / k). A sweep of some seconds has only a few dozen windows,
    so they are held together by what the departures would be if connections worked side by side:
    cv^2 of the hold times (the limit of superposed renewals).
    """
    seen = [trial for trial in trials if is_clean(trial)]
    if not seen:
        return None
    top = max(trial.throughput for trial in seen)
    near = [trial for trial in seen if trial.throughput >= NEAR_SATURATION * top]
    total, weight = 0.0, 0.0
    for trial in near:
        value, windows = dispersion_of(trial)
        total += windows * value
        weight += windows
    prior = _prior(seen)
    if prior is not None:
        total += PRIOR_WINDOWS * prior
        weight += PRIOR_WINDOWS
    return min(MOST, total / weight) if weight else None


def _prior(trials: Sequence[Trial]) -> float | None:
    """cv^2 of the hold times where calls do not yet queue for each other."""
    shortest = min(trial.hold_time.mean or 0.0 for trial in trials)
    alone = [trial for trial in trials if (trial.hold_time.mean or 0.0) <= 1.1 * shortest]
    calls = sum(trial.hold_time.count for trial in alone)
    if not any(cv2(trial.hold_time) for trial in alone):
        return None
    squares = sum(cv2(trial.hold_time) * trial.hold_time.count for trial in alone)
    return min(PRIOR_MOST, squares / calls)


def cv2(times: Distribution) -> float:
    """Squared coefficient of variation of a distribution of times; 0 where it cannot be told."""
    if not times.buckets or times.count < 2:
        return 0.0
    values = np.array([value_of(index) for index in times.buckets])
    counts = np.array(list(times.buckets.values()), dtype=float)
    mean = float(values @ counts / counts.sum())
    if mean <= 0:
        return 0.0
    return max(0.0, float((values**2) @ counts / counts.sum()) / mean**2 - 1.0)
