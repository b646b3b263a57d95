"""How calls pile up in an upstream that is saturated, read off the hold times.

On the plateau the work that has come and is not yet done is what queues, and its size does not
depend on the order of service. With b mean calls' worth of work left in each call that holds a
connection, the queue grows by a call for every b units of work, so a step of the chain in
`queueing` has its odds multiplied by v = ((1 + Cd2) / 2) / b. (Work fixes the number of calls in
heavy traffic: Reiman 1984, "Some diffusion approximations with state space collapse"; Zhang, Dai
and Zwart 2009 for servers that are shared by a limited number of calls.)

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
from dataclasses import dataclass

from poolkit.analysis.curve import is_clean
from poolkit.analysis.dispersion import cv2
from poolkit.histogram import quantile
from poolkit.records import Trial

ALONE = 1.1  # holds up to this many times the shortest mean are of calls that do not queue
# (S(1) / H(n))^2 from which down a size tells how calls queue.
CROWDED = 0.6
ON_PLATEAU = 0.85  # of the highest throughput
SHORT = 0.1  # the quantile of the shortest holds
LEAST_SPREAD = 0.1  # an h below this is that of calls served in order
LEAST_FACTOR = 0.5  # v of clockwork that is served in order


@dataclass(frozen=True, slots=True)
class _Queued:
    """How the holds of a saturated upstream look: h and the share of calls that pass by."""

    spread: float
    passing: float


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


def _queued(trials: Sequence[Trial]) -> _Queued | None:
    """Means over the trials well beyond saturation; None where there are none."""
    if not trials:
        return None
    shortest = min(trial.hold_time.mean or 0.0 for trial in trials)
    alone = [trial for trial in trials if (trial.hold_time.mean or 0.0) <= ALONE * shortest]
    calls = sum(trial.hold_time.count for trial in alone)
    hold = sum(trial.hold_time.count * (trial.hold_time.mean or 0.0) for trial in alone) / calls
    spread = sum(trial.hold_time.count * cv2(trial.hold_time) for trial in alone) / calls
    short = _short(alone)
    top = max(trial.throughput for trial in trials)
    left, growth, weight = 0.0, 0.0, 0.0
    for trial in trials:
        longer = (trial.hold_time.mean or 0.0) / hold
        in_order = longer**-2.0
        if trial.throughput < ON_PLATEAU * top or in_order > CROWDED or short <= 0:
            continue
        count = trial.hold_time.count
        # The part of h that calls served in order have, too, is taken off.
        left += count * max(0.0, cv2(trial.hold_time) - spread * in_order)
        grown = math.log(max(_short([trial]) / short, 1e-9)) / math.log(longer)
        growth += count * (1.0 - in_order) * min(max(grown, 0.0), 1.0)
        weight += count * (1.0 - in_order)
    return _Queued(left / weight, 1.0 - growth / weight) if weight else None


def _short(trials: Sequence[Trial]) -> float:
    """The hold time (s) that a tenth of the calls of these trials do not exceed."""
    counts: Counter[int] = Counter()
    for trial in trials:
        counts.update(trial.hold_time.buckets)
    return quantile(counts, SHORT)
