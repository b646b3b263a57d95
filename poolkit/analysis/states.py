"""Throughput by the number of connections in use at once, from every trial that was seen there.

With n in use for T(n) s, and C(n) calls released meanwhile, X(n) = C(n) / T(n), whatever the load
and the pool were (Denning and Buzen 1978). So one trial at a moderate load, open or closed, holds
the low part of the curve, and trials of different sizes add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from poolkit.load.in_use import InUse
from poolkit.load.measurement import Segment
from poolkit.records import StatePoint, Trial

States = dict[int, tuple[float, int, int]]  # {in use: (seconds, releases, rejected releases)}
Floats = NDArray[np.float64]

BATCHES = 10  # most batches of a trial's record
RESAMPLES = 200
SEED = 11
# The percentiles of a bootstrap from fewer batches are too narrow: two of them cover a half.
FEWEST_BATCHES = 5


def batches(segments: Sequence[Segment]) -> tuple[States, ...]:
    """The states of these segments in at most 10 batches, in order of time."""
    count = min(BATCHES, len(segments))
    made = []
    for indices in np.array_split(np.arange(len(segments)), count):
        whole = InUse()
        for index in indices.tolist():
            whole.merge(segments[index].in_use)
        made.append(whole.states())
    return tuple(made) if any(made) else ()


def together(trials: Iterable[Trial]) -> States:
    """All states of these trials added up, in order of connections in use.

    Seconds and calls add up exactly, over trials as over generators that ran side by side.
    """
    whole: States = {}
    for trial in trials:
        for batch in trial.in_use:
            for n, (seconds, releases, rejected) in batch.items():
                before = whole.get(n, (0.0, 0, 0))
                whole[n] = (before[0] + seconds, before[1] + releases, before[2] + rejected)
    return dict(sorted(whole.items()))


def state_points(trials: Sequence[Trial]) -> tuple[StatePoint, ...]:
    """X(n), calls/s that were not rejected, of every n that was seen, in order of n.

    Intervals are percentiles of a bootstrap over the batches of all trials: what leaves one state
    in a row is not independent. Where fewer than 5 batches know a state, they are a Poisson
    count's (Garwood 1936).
    """
    known = together(trials)
    sizes = [n for n, (seconds, _, _) in known.items() if n > 0 and seconds > 0.0]
    if not sizes:
        return ()
    lows, highs = _intervals([batch for trial in trials for batch in trial.in_use], sizes)
    points = []
    for n, low, high in zip(sizes, lows.tolist(), highs.tolist(), strict=True):
        seconds, releases, rejected = known[n]
        points.append(
            StatePoint(
                in_use=n,
                throughput=(releases - rejected) / seconds,
                interval95=(low, high),
                seconds=seconds,
                releases=releases,
            )
        )
    return tuple(points)


def _intervals(batches: Sequence[States], sizes: Sequence[int]) -> tuple[Floats, Floats]:
    """Lower and upper ends (calls/s) of the 95 % interval at each size, which batches know."""
    column = {n: at for at, n in enumerate(sizes)}
    seconds, served = np.zeros((2, len(batches), len(sizes)))
    for row, batch in enumerate(batches):
        for n, (passed, releases, rejected) in batch.items():
            if n in column:
                seconds[row, column[n]] = passed
                served[row, column[n]] = releases - rejected
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(
        len(batches), np.full(len(batches), 1 / len(batches)), RESAMPLES
    ).astype(np.float64)
    time, count = drawn @ seconds, drawn @ served
    # A resample without the state says nothing of it; two in three or more have it.
    rates = np.divide(count, time, out=np.full_like(time, np.nan), where=time > 0)
    low, high = np.nanquantile(rates, (0.025, 0.975), axis=0)
    few = (seconds > 0).sum(axis=0) < FEWEST_BATCHES
    total, span = served[:, few].sum(axis=0), seconds[:, few].sum(axis=0)
    low[few] = (
        np.where(total > 0, scipy.special.gammaincinv(np.maximum(total, 1.0), 0.025), 0.0) / span
    )
    high[few] = scipy.special.gammaincinv(total + 1.0, 0.975) / span
    return low, high
