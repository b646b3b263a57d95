"""How long calls take: sources of durations with a known mean and a known variation."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

Draw = Callable[[], float]


def duration(mean: float, cv: float, seed: int) -> Draw:
    """A source of durations (s) of this mean and coefficient of variation (deviation / mean).

    cv = 0 is constant, else lognormal with s2 = ln(1 + cv^2) and mu = ln(mean) - s2 / 2 (the
    moments of the lognormal distribution solved for its parameters).
    """
    if cv == 0 or mean == 0:
        return lambda: mean
    variance = math.log1p(cv * cv)
    mu, sigma = math.log(mean) - variance / 2, math.sqrt(variance)
    draw = Random(seed).lognormvariate
    return lambda: draw(mu, sigma)


def either(slow: Draw, slow_share: float, fast: Draw, seed: int) -> Draw:
    """Durations of two kinds: a share `slow_share` (0 to 1) of them from `slow`, independently."""
    # A stream of its own: seeded like the durations, it would pick the long ones.
    draw = Random(f"either-{seed}").random
    return lambda: slow() if draw() < slow_share else fast()
