"""The Universal Scalability Law through the measured points.

X(n) = gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))   (Gunther, "Guerrilla Capacity
Planning", 2007, ch. 4)

gamma: calls/s of one connection; alpha: contention, the share of a call that queues for something
shared; beta: coherency, what each pair of calls costs. It peaks at n = sqrt((1 - alpha) / beta).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScalabilityLaw:
    """The law's three figures; all 0 or more."""

    gamma: float
    alpha: float
    beta: float

    def throughput(self, size: float) -> float:
        """Calls/s at this size."""
        slowdown = 1 + self.alpha * (size - 1) + self.beta * size * (size - 1)
        return self.gamma * size / slowdown

    @property
    def peak(self) -> float | None:
        """The size of the highest throughput; None where it only rises, 1 where it only falls."""
        if self.beta <= 0:
            return None
        return math.sqrt(max(1.0 - self.alpha, 0.0) / self.beta) if self.alpha < 1 else 1.0


def fit(sizes: Floats, rates: Floats, errors: Floats) -> ScalabilityLaw:
    """Weighted least squares with all figures 0 or more; three sizes or more are needed.

    n / X(n) = (1 + alpha * (n - 1) + beta * n * (n - 1)) / gamma is linear in 1 / gamma,
    alpha / gamma and beta / gamma, so no search is needed. `errors` are relative standard errors.
    """
    if sizes.size < 3:
        raise ValueError(f"the law has three figures and needs three sizes, got {sizes.size}")
    cycles = sizes / rates
    weights = 1.0 / (cycles * errors)
    terms = np.column_stack((np.ones_like(sizes), sizes - 1.0, sizes * (sizes - 1.0)))
    (base, alpha, beta), _ = nnls(terms * weights[:, None], cycles * weights)
    base = max(float(base), 1e-12)
    return ScalabilityLaw(1.0 / base, float(alpha) / base, float(beta) / base)
