"""A saturated upstream: how random its departures are, Cd2, and how calls pile up in it, v.

**Cd2**, the index of dispersion, is the variance / mean of the completions counted in windows of
several hold times (Cox and Lewis 1966, "The Statistical Analysis of Series of Events"). It is 1 for
a Poisson stream, 0 for clockwork, cv^2 for busy workers whose service times vary by cv.

**v**, the plateau factor. On the plateau the work that has come and is not yet done is what queues,
and its size does not depend on the order of service. With b mean calls' worth of work left in each
call that holds a connection, the queue grows by a call for every b units of work, so a step of the
chain in `queueing` has its odds multiplied by v = ((1 + Cd2) / 2) / b. (Work fixes the number of
calls in heavy traffic: Reiman 1984, "Some diffusion approximations with state space collapse";
Zhang, Dai and Zwart 2009 for servers that are shared by a limited number of calls.)

In order       b = 1: a call that waits in the upstream has all of its work before it.
Shared         b = (1 + cv^2) / 2, what is left of a call that is met half done; v = 1.
Passed by      b = 1 / p: only a share p of the calls comes to what is saturated (a lock, a disk),
               they are the ones that are held, and each brings 1 / p times the mean work.

Closed loops tell them apart. With h = squared coefficient of variation of the hold times at a size
well beyond saturation: calls served in order all wait alike, so h falls as (S(1) / H(n))^2; calls
that share keep the h that they have alone; where some pass by, holds are long or short and h
approaches 1 / p - 1. And where some pass by, the shortest holds stay as they were.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poolkit.analysis.curve import is_clean
from poolkit.analysis.noise import LEAST_DISPERSION, dispersion_of
from poolkit.histogram import quantile, value_of
from poolkit.records import Distribution, Trial

# Trials with this share of the highest throughput tell of the upstream near saturation.
NEAR_SATURATION = 0.6
# What the hold times suggest is worth this many windows against what the departures show.
PRIOR_WINDOWS = 6.0
PRIOR_MOST = 2.0  # holds alone make no upstream burstier than this: bursts must be seen to leave
MOST = 25.0
EVEN = 0.01  # cv^2 of holds up to which they are of one length

ALONE = 1.1  # holds up to this many times the shortest mean are of calls that do not queue
# (S(1) / H(n))^2 from which down a size tells how calls queue.
CROWDED = 0.6
ON_PLATEAU = 0.85  # of the highest throughput
SHORT = 0.1  # the quantile of the shortest holds
LEAST_SPREAD = 0.1  # an h below this is that of calls served in order
LEAST_FACTOR = 0.5  # v of clockwork that is served in order


def pooled_dispersion(trials: Sequence[Trial]) -> float | None:
    """Cd2 of the upstream near saturation; None where no usable trial can tell.

    Every trial near the plateau counts with its number of windows k, as an estimate from k windows
    has a relative error of about sqrt(2 / k). A sweep of some seconds has only a few dozen windows,
    so they are held together by what the departures would be if connections worked side by side:
    cv^2 of the hold times (the limit of superposed renewals).
    """
    clean = [trial for trial in trials if is_clean(trial)]
    if not clean:
        return None
    top = max(trial.throughput for trial in clean)
    total, weight = 0.0, 0.0
    for trial in clean:
        if trial.throughput >= NEAR_SATURATION * top:
            value, windows = dispersion_of(trial)
            total += windows * value
            weight += windows
    alone = _alone(clean)
    if any(squared_cv(trial.hold_time) for trial in alone):
        total += PRIOR_WINDOWS * min(PRIOR_MOST, _spread(alone))
        weight += PRIOR_WINDOWS
    return min(MOST, total / weight) if weight else None


def dispersion_of_holds(trials: Sequence[Trial]) -> float:
    """cv^2 of the hold times of open loops, where no saturated departures were seen.

    What the departures would be if connections worked side by side, at most `PRIOR_MOST`. Holds of
    one length show that they do, for a queue in the upstream would make them differ. All others
    count as random ones at least. Workers of one service time, at 60 to 92 % of their plateau, had
    the right size from 43 of 64 simulated climbs so, and from 38 with random ones for all; an
    `EVEN` of 0.03 left 16 sizes below the need, this one 7.
    """
    for trial in trials:
        if trial.purpose == "production" and trial.dispersion is not None:
            return trial.dispersion  # X(n) as production saw it has its bursts in it
    held = [trial for trial in trials if trial.hold_time.count]
    spread = min(PRIOR_MOST, _spread(held)) if held else 1.0
    return max(LEAST_DISPERSION if spread < EVEN else 1.0, spread)


def plateau_factor(trials: Sequence[Trial], dispersion: float) -> float:
    """v on the plateau, 0.5 or more, of the upstream that these trials measured.

    (1 + Cd2) / 2 where calls are served in order, or where nothing else was seen: calls of equal
    work that share a server look in a closed loop exactly as if they were served in order.
    """
    in_order = (1.0 + dispersion) / 2.0
    queued = _queued([trial for trial in trials if is_clean(trial) and trial.hold_time.buckets])
    if queued is None or queued.spread < LEAST_SPREAD:
        return in_order
    # Where work varies so much that v = 1 would be the smaller, the larger is the safe side.
    likeness = min(1.0, queued.spread / max(dispersion, LEAST_SPREAD))
    shared = in_order + likeness * max(0.0, 1.0 - in_order)
    passed = max(LEAST_FACTOR, in_order / (1.0 + queued.spread))
    return queued.passing * passed + (1.0 - queued.passing) * shared


class _Queued(NamedTuple):
    """How the holds of a saturated upstream look."""

    spread: float  # h
    passing: float  # share of the calls that pass by


def _queued(trials: Sequence[Trial]) -> _Queued | None:
    """Means over the trials well beyond saturation; None where there are none."""
    if not trials:
        return None
    alone = _alone(trials)
    calls = sum(trial.hold_time.count for trial in alone)
    hold = sum(trial.hold_time.count * trial.mean_hold for trial in alone) / calls
    spread, short = _spread(alone), _short(alone)
    top = max(trial.throughput for trial in trials)
    left, growth, weight = 0.0, 0.0, 0.0
    for trial in trials:
        longer = trial.mean_hold / hold
        in_order = longer**-2.0
        if trial.throughput < ON_PLATEAU * top or in_order > CROWDED or short <= 0:
            continue
        count = trial.hold_time.count
        # The part of h that calls served in order have, too, is taken off.
        left += count * max(0.0, squared_cv(trial.hold_time) - spread * in_order)
        grown = math.log(max(_short([trial]) / short, 1e-9)) / math.log(longer)
        growth += count * (1.0 - in_order) * min(max(grown, 0.0), 1.0)
        weight += count * (1.0 - in_order)
    return _Queued(left / weight, 1.0 - growth / weight) if weight else None


def _alone(trials: Sequence[Trial]) -> list[Trial]:
    """Those in which calls do not yet queue for each other."""
    shortest = min(trial.mean_hold for trial in trials)
    return [trial for trial in trials if trial.mean_hold <= ALONE * shortest]


def _spread(trials: Sequence[Trial]) -> float:
    """cv^2 of the hold times, the mean over the calls of these trials."""
    calls = sum(trial.hold_time.count for trial in trials)
    return sum(trial.hold_time.count * squared_cv(trial.hold_time) for trial in trials) / calls


def squared_cv(times: Distribution) -> float:
    """Squared coefficient of variation of a distribution of times; 0 where it is not known."""
    if not times.buckets or times.count < 2:
        return 0.0
    values = np.array([value_of(index) for index in times.buckets])
    counts = np.array(list(times.buckets.values()), dtype=float)
    mean = float(values @ counts / counts.sum())
    if mean <= 0:
        return 0.0
    return max(0.0, float((values**2) @ counts / counts.sum()) / mean**2 - 1.0)


def _short(trials: Sequence[Trial]) -> float:
    """The hold time (s) that a tenth of the calls of these trials do not exceed."""
    counts: Counter[int] = Counter()
    for trial in trials:
        counts.update(trial.hold_time.buckets)
    return quantile(counts, SHORT)
