"""The p99 wait of all calls of a day like the one seen, with a given size, as an interval.

The next day has the same rates and another draw of calls. Each of some draws takes

* the states again (see `resampled`);
* how fast waits fall beyond the size, between a chain as random as can be and the spread of the
  holds, for either may be nearer (see `queueing`);
* the calls of the day. Of N calls of which 1 % wait longer than w, these come in clumps: while the
  queue is above a level it drifts down by theta calls of work a second, so a clump holds
  f = 4 lambda^2 / theta^2 of them (E[C^2] / E[C] of a Brownian motion's time above a level; Aldous
  1989, "Probability Approximations via the Poisson Clumping Heuristic"), and the share is off by a
  factor with a relative variance of f / (0.01 N). The formula's own error is added.

The p99 of a draw is where the calls of all rates together exceed 1 %; the interval holds 95 % of
the draws. Where fewer than 1 % wait at all it begins at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.curve import Curve
from poolkit.analysis.model import PRUDENCE
from poolkit.analysis.queueing import P99, waits
from poolkit.analysis.resampled import drawn
from poolkit.analysis.saturation import squared_cv
from poolkit.analysis.windows import Windows, by_rate, near
from poolkit.records import NextDay

Floats = NDArray[np.float64]

DRAWS = 60
SEED = 17
INSIDE = (0.025, 0.5, 0.975)
FORMULA = 1.0 - PRUDENCE  # to which P(W > w) comes out right where the curve is known
LONGEST = 60.0  # s; a p99 beyond it counts as without bound
STEPS = 60  # of the bisection


def next_day(windows: Windows, sizes: Sequence[int]) -> tuple[NextDay, ...]:
    """What callers meet the next day with pools of each of these sizes (1 or more).

    Args:
        windows: whole ones, one at least.
    """
    if not sizes:
        return ()
    rng = np.random.default_rng(SEED)
    read = [min(size, windows.roomy) for size in sizes]
    spread = squared_cv(windows.holds.distribution()) or 1.0
    dispersions = 1.0 + rng.random(DRAWS) * (spread - 1.0)
    groups = by_rate(windows)
    calls = np.array([float(windows.asks[rows].sum()) for rows, _ in groups])
    rates = np.array([rate for _, rate in groups])
    waiting, decay = np.zeros((2, len(read), DRAWS, len(groups)))
    curves: list[Curve] = []
    for at, rate in enumerate(rates.tolist()):
        # One pool has one curve; of a fleet each rate has its own, the load of its sisters in it.
        if not curves or windows.fleet > 1:
            curves = drawn(near(windows, rate * windows.fleet), max(read), DRAWS, rng)
        for draw, (curve, dispersion) in enumerate(zip(curves, dispersions.tolist(), strict=True)):
            found = waits(curve, rate, read, dispersion, 1.0, curve.measured)
            waiting[:, draw, at] = [one.waiting for one in found]
            decay[:, draw, at] = [one.decay for one in found]
    luck = rng.standard_normal(DRAWS)
    return tuple(
        _of(size, _p99(waiting[row], decay[row], calls, rates, luck))
        for row, size in enumerate(sizes)
    )


def in_words(found: NextDay) -> str:
    """`tomorrow, with 22 connections: p99 wait of 3 to 9 ms`."""
    ends = found.wait_p99_interval95
    if ends is None:
        wait = "without bound, for the peak is more than they carry"
    elif ends[1] == 0.0:
        wait = "of 0 ms"
    elif ends[0] == 0.0:
        wait = f"of up to {units.milliseconds(ends[1])}"
    else:
        wait = f"of {units.milliseconds(ends[0])} to {units.milliseconds(ends[1])}"
    return f"tomorrow, with {units.plural(found.pool_size, 'connection')}: p99 wait {wait}"


def _p99(waiting: Floats, decay: Floats, calls: Floats, rates: Floats, luck: Floats) -> Floats:
    """The p99 wait (s) of each draw, a row of `waiting` and `decay`; infinite: none."""
    weights = calls / calls.sum()
    plain = _exceeded_by(np.full(len(luck), P99), waiting, decay, weights)
    late = waiting * np.exp(-decay * np.minimum(plain, LONGEST)[:, None])
    with np.errstate(divide="ignore"):
        clump = np.minimum(1.0 + 4.0 * (rates / decay) ** 2, calls)
    variance = (late * calls * clump).sum(axis=1) / (P99 * calls.sum()) ** 2
    off = np.exp(luck * np.minimum(np.sqrt(variance + FORMULA**2), 1.0))
    return _exceeded_by(P99 / off, waiting, decay, weights)


def _exceeded_by(shares: Floats, waiting: Floats, decay: Floats, weights: Floats) -> Floats:
    """The wait (s) that a share of the calls exceeds, one for each row."""

    def late(wait: Floats) -> Floats:
        return np.asarray((waiting * np.exp(-decay * wait[:, None])) @ weights)

    low, high = np.zeros(len(shares)), np.full(len(shares), LONGEST)
    never = late(high) > shares
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        is_above = late(middle) > shares
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    found = np.where(late(np.zeros(len(shares))) <= shares, 0.0, high)
    return np.where(never, math.inf, found)


def _of(size: int, drawn: Floats) -> NextDay:
    low, middle, high = np.quantile(drawn, INSIDE, method="nearest").tolist()
    return NextDay(
        pool_size=size,
        wait_p99=middle if math.isfinite(middle) else None,
        wait_p99_interval95=(low, high) if math.isfinite(high) else None,
    )
