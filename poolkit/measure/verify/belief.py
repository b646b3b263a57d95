"""What prediction and measurement together say about P(wait > target) at every size.

The queue model knows how P falls with each further connection far better than it knows its level:
a curve measured a little too low lifts P at every size alike. So all that is uncertain is taken as
one shift, the same for every size:

    ln P(c) = ln P_model(c) + shift

Every trial, at whatever size, tells of the shift, which lets a few seconds at one size speak for
its neighbours. Before any trial the shift follows Student's t: against long simulations of 29
upstreams the model was off by 0.5 in ln P (one standard deviation), with tails a little heavier
than normal.

A trial of n independent looks (see `evidence`) with a share s of late calls weighs a shift by the
Poisson likelihood of n * s events where n * P are expected (Cox and Hinkley 1974, ch. 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolkit.measure.verify.evidence import Tally

Floats = NDArray[np.float64]

MODEL_SCALE = 0.45  # of the shift, in ln P
MODEL_FREEDOM = 5.0  # degrees of freedom of its t distribution: standard deviation 0.58
# The model's slope is not exact either: however many clusters of late calls a trial saw, it tells
# no more of the shift than this many would. So one dire trial does not speak for sizes far off.
MOST_EVENTS = 8.0
SHIFTS = np.linspace(-4.0, 4.0, 321)
LEAST = 1e-9  # of a probability: below it nothing is told apart


@dataclass(frozen=True, slots=True)
class Belief:
    """What is thought of each size; `shares` is P_model(c) by size, `weights` one a shift."""

    shares: Mapping[int, float]
    weights: Floats

    def holds(self, pool_size: int, allowance: float) -> float:
        """The probability (0 to 1) that at this size no more than `allowance` of calls are late.

        0 below the sizes that the model knows, above them that of the largest, and 1 where it knows
        none: then nothing speaks against a size but its own trials.
        """
        if not self.shares:
            return 1.0
        if pool_size not in self.shares:
            if pool_size < min(self.shares):
                return 0.0
            pool_size = max(self.shares)
        good = _lifted(self.shares[pool_size], SHIFTS) <= allowance
        return float(self.weights[good].sum())


def belief(shares: Mapping[int, float], tallies: Sequence[Tally]) -> Belief:
    """Prior and trials put together; `shares` are the model's P(wait > target) by size."""
    log = -(MODEL_FREEDOM + 1.0) / 2.0 * np.log1p((SHIFTS / MODEL_SCALE) ** 2 / MODEL_FREEDOM)
    for one in tallies:
        if one.pool_size in shares:
            looks = min(one.looks, MOST_EVENTS / max(one.share, LEAST))
            expected = looks * _lifted(shares[one.pool_size], SHIFTS)
            log = log + looks * one.share * np.log(expected) - expected
    weights = np.exp(log - log.max())
    return Belief(shares, np.asarray(weights / weights.sum()))


def _lifted(share: float, shifts: Floats) -> Floats:
    return np.asarray(np.minimum(1.0, max(share, LEAST) * np.exp(shifts)))
