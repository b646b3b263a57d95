"""Whether calls take longer the more connections are in use, by windows of different load."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from poolkit import units
from poolkit.analysis.averages import Averages
from poolkit.analysis.windows import GROUPS

GROWS, SURE = 0.05, 3.0  # share by which hold times rise over the loads seen, and standard errors
APART = 1.5  # times as many in use in the busiest windows as in the quietest, for a test
SEEN = 0.25  # share by which they might rise without being seen, at most, for a test


@dataclass(frozen=True, slots=True)
class Growth:
    """How hold times change with the load, over windows of like rates."""

    is_growing: bool
    is_tested: bool
    seen: str


def growth(averages: Averages) -> Growth:
    """Mean hold over mean in use, of windows in groups of like rates.

    In single windows both hang on the same chance: long calls keep more connections in use.
    """
    times, calls = averages.busy * averages.seconds, averages.calls
    order = np.argsort(calls / averages.pools, kind="stable")
    groups = [
        group
        for group in np.array_split(order, min(GROUPS, order.size // 2 or 1))
        if calls[group].sum() > 0 and times[group].sum() > 0
    ]
    busy = [float(averages.busy[group].mean()) for group in groups]
    holds = [float(times[group].sum() / calls[group].sum()) for group in groups]
    # The variance of a window's times grows with its calls: one figure for all groups.
    left = [(times[g] - h * calls[g]) / np.sqrt(np.maximum(calls[g], 1.0))
            for g, h in zip(groups, holds, strict=True)]  # fmt: skip
    freedom = max(1, sum(one.size - 1 for one in left))
    scale = math.sqrt(sum(float(one @ one) for one in left) / freedom)
    errors = [
        max(scale / math.sqrt(float(calls[group].sum())), 1e-3 * hold)
        for group, hold in zip(groups, holds, strict=True)
    ]
    if len(busy) < 3:
        return Growth(False, False, "there are too few windows to see whether hold times grow")
    n, h, weight = np.array(busy), np.array(holds), 1.0 / np.array(errors) ** 2
    middle, mean = float(weight @ n / weight.sum()), float(weight @ h / weight.sum())
    spread = float(weight @ (n - middle) ** 2)
    low, high = float(n.min()), float(n.max())
    if high < APART * low or spread <= 0:
        seen = (
            f"the load hardly varied ({units.number(low)} to {units.number(high)} in use), so "
            "whether hold times grow with it is put to no test"
        )
        return Growth(False, False, seen)
    slope, error = float(weight @ ((n - middle) * (h - mean))) / spread, 1.0 / math.sqrt(spread)
    first, last = (max(mean + slope * (at - middle), 1e-9) for at in (low, high))
    is_growing = slope > SURE * error and last > (1.0 + GROWS) * first
    seen = (
        f"a call takes {units.milliseconds(last)} with {units.number(high)} connections in use on "
        f"average and {units.milliseconds(first)} with {units.number(low)}"
    )
    return Growth(is_growing, SURE * error * (high - low) < SEEN * mean, seen)
