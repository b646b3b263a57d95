"""Where the warm-up ends: the MSER-5 truncation rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP = 5


def mser5(values: NDArray[np.float64]) -> int:
    """How many leading values to leave out so that the rest is steady.

    Values are averaged in groups of 5; the cut d minimises sum((z_i - mean)^2) / (k - d)^2 over the
    k - d groups kept: the squared standard error of their mean, which falls while biased values go
    and rises when good ones are (White 1997; Franklin and White 2008). Only the first half is
    searched; a cut at its end means that the series never settled.
    """
    groups = values.size // GROUP
    if groups < 4:
        return 0
    z = values[: groups * GROUP].reshape(groups, GROUP).mean(axis=1)
    left = np.arange(groups, 0, -1, dtype=np.float64)
    sums = np.cumsum(z[::-1])[::-1]
    squares = np.cumsum((z**2)[::-1])[::-1]
    spread = np.maximum(squares - sums**2 / left, 0.0)
    errors = (spread / left**2)[: groups // 2 + 1]
    return int(np.argmin(errors)) * GROUP
