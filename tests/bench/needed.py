"""The needed size by brute force: which sizes to try, and what their repeats say. Pure decisions.

Needed = the smallest size that passes most repeats of an open loop at the target rate. A size that
passes between a fifth and four fifths of them is at the edge: it counts as enough or as too small.
So the needed size is a range, from the smallest size that may be enough (a fifth) to the smallest
that surely is (more than four fifths).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

FIFTH, FOUR_FIFTHS = 0.2, 0.8
CLEAR = 2.0  # times the allowance: a repeat this far beyond it fails whatever the luck
CLEAR_REPEATS = 3  # so many of them and no other make further repeats of a size idle


@dataclass(frozen=True, slots=True)
class Needed:
    """The needed size lies in low .. high; None: beyond the sizes tried."""

    low: int | None
    high: int | None

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return "?"
        if self.low == self.high:
            return str(self.low)
        low = "..." if self.low is None else str(self.low)
        return f"{low}-{'...' if self.high is None else self.high}"

    def is_below(self, size: int, tried: Mapping[int, float]) -> bool:
        """Whether a size is surely too small."""
        return tried[size] < FIFTH if size in tried else self.low is not None and size < self.low

    def ratio(self, size: int) -> float | None:
        """size / needed with the end of the range that is nearest; None where that is not known."""
        low, high = self.low, self.high
        if low is not None and size < low:
            return size / low
        if high is not None and size > high:
            return size / high
        return None if low is None and high is None else 1.0


def decisive(size: int) -> int:
    """The size that must not surely pass if `size` is to be within 10 % (or one) of the needed."""
    return max(0, min(size - 1, math.ceil(size / 1.1 - 1e-9)) - 1)


def is_within(size: int, tried: Mapping[int, float]) -> bool:
    """Whether `size` is at least what is needed, and at most 10 % or one connection more.

    `tried`: share of the repeats (0 to 1) that each size passed.
    """
    if tried[size] < FIFTH:
        return False
    limit = decisive(size)
    # Any size from there on that does not surely pass leaves a needed size that is near enough.
    return limit < 1 or any(s <= FOUR_FIFTHS for n, s in tried.items() if limit <= n < size)


def needed(tried: Mapping[int, float]) -> Needed:
    """The range of the needed size, as far as the sizes tried tell."""
    too_small = [n for n, share in tried.items() if share < FIFTH]
    unsure = [n for n, share in tried.items() if share <= FOUR_FIFTHS]
    surely = [n for n in tried if n > max(unsure, default=0)]
    low = max(too_small) + 1 if too_small else (1 if 1 in tried else None)
    return Needed(low, min(surely, default=None))


def next_size(size: int, tried: Mapping[int, float], largest: int) -> int | None:
    """The next size to try after `size` (recommended) and its neighbours; None: all is known.

    Upwards until a size surely passes, then downwards until two sizes clearly fail.
    """
    for n in (size, size - 1, decisive(size)):
        if n >= 1 and n not in tried:
            return n
    highest = max(tried)
    if tried[highest] <= FOUR_FIFTHS and tried[size] <= FOUR_FIFTHS and highest < largest:
        return highest + 1
    failing = sum(share < FIFTH for share in tried.values())
    lowest = min(tried)
    return lowest - 1 if failing < 2 and lowest > 1 else None


def is_clear(shares_late: list[float], allowance: float) -> bool:
    """Whether repeats of a size all missed the allowance by so much that more are idle."""
    far = [share > CLEAR * allowance for share in shares_late]
    return len(far) >= CLEAR_REPEATS and all(far)
