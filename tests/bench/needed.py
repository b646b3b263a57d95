"""The needed size by brute force: which sizes to try, and what their repeats say. Pure decisions.

Needed = the smallest size that passes most of five repeats of an open loop at the target rate. Only
a size that was repeated many times and passed between a fifth and four fifths of them is at the
edge: it counts as enough and as too small. Five repeats cannot show that, so a size that passes one
to four of five is repeated on where the judgement hangs on it, and majority decides elsewhere.

Most repeats are not needed. Three alike are the majority of any five; three that passed and three
that failed leave a size within the band whatever the other six of twelve do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

FIFTH, FOUR_FIFTHS = 0.2, 0.8
NEAR_ENOUGH = 1.05  # times the needed size; or one connection more
FEW, MANY = 5, 12  # repeats that majority decides, and that tell of the band
EACH_WAY = 3  # passed and failed: between a fifth and four fifths of any twelve
CLEAR = 2.0  # times the allowance: a repeat this far beyond it fails whatever the luck
CLEAR_REPEATS = 3  # so many of them and no other make further repeats of a size idle

Standing = Literal["fails", "either", "passes"]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the repeats of one size showed; `is_clear`: further ones are idle."""

    passed: int
    failed: int
    is_clear: bool = False

    @classmethod
    def of_late(cls, shares_late: list[float], allowance: float) -> Repeats:
        """From the share of late calls (0 to 1) in each repeat."""
        passed = sum(share <= allowance for share in shares_late)
        return cls(passed, len(shares_late) - passed, is_clear(shares_late, allowance))

    @property
    def count(self) -> int:
        """Repeats in all."""
        return self.passed + self.failed

    @property
    def standing(self) -> Standing:
        """Too small, enough, or at the edge: that only after many repeats, else by majority."""
        if self.passed >= EACH_WAY and self.failed >= EACH_WAY:
            return "either"
        if self.count >= MANY:
            share = self.passed / self.count
            if FIFTH <= share <= FOUR_FIFTHS:
                return "either"
        return "passes" if self.passed > self.failed else "fails"

    def has_majority(self, few: int) -> bool:
        """Whether `few` repeats could not change the majority any more."""
        return self.is_clear or 2 * max(self.passed, self.failed) > few

    @property
    def is_final(self) -> bool:
        """Whether further repeats could not change the standing, or are not worth making."""
        is_unanimous = self.count >= FEW and 0 in (self.passed, self.failed)
        return self.is_clear or is_unanimous or self.count >= MANY or self.standing == "either"


Tried = Mapping[int, Repeats]


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

    def ratio(self, size: int) -> float | None:
        """size / needed with the end of the range that is nearest; None where that is not known."""
        low, high = self.low, self.high
        if low is not None and size < low:
            return size / low
        if high is not None and size > high:
            return size / high
        return None if low is None or high is None else 1.0


def decisive(size: int) -> int:
    """The size that must not pass if `size` is to be near enough to the needed one."""
    return max(0, min(size - 1, math.ceil(size / NEAR_ENOUGH - 1e-9)) - 1)


def is_below(size: int, tried: Tried) -> bool:
    """Whether a size is too small."""
    if size in tried:
        return tried[size].standing == "fails"
    low = needed(tried).low
    return low is not None and size < low


def is_within(size: int, tried: Tried) -> bool:
    """Whether `size` is at least what is needed, and at most NEAR_ENOUGH or one more.

    Not while no size was seen to pass: then nobody knows what is needed.
    """
    if size not in tried or tried[size].standing == "fails":
        return False
    if not any(repeats.standing == "passes" for n, repeats in tried.items() if n >= size):
        return False
    # Any size from there on that does not pass leaves a needed size that is near enough.
    return decisive(size) < 1 or any(tried[n].standing != "passes" for n in _near(size, tried))


def is_too_large(size: int, tried: Tried) -> bool:
    """Whether a size that is enough was seen so far below it that it is not near enough."""
    high = needed(tried).high
    return high is not None and high <= decisive(size)


def needed(tried: Tried) -> Needed:
    """The range of the needed size, as far as the sizes tried tell."""
    too_small = [n for n, repeats in tried.items() if repeats.standing == "fails"]
    unsure = [n for n, repeats in tried.items() if repeats.standing != "passes"]
    surely = [n for n in tried if n > max(unsure, default=0)]
    low = max(too_small) + 1 if too_small else (1 if 1 in tried else None)
    return Needed(low, min(surely, default=None))


def next_repeat(
    size: int, tried: Tried, *, largest: int, few: int = FEW, many: bool = True
) -> int | None:
    """The size to repeat next, around `size` (recommended); None: all is known.

    First whether it is enough and one less is not. Then upwards until a size passes, so that there
    is one; then on with what the judgement hangs on; then down to a size that fails.

    Args:
        tried: what the sizes tried so far showed.
        largest: that may be tried.
        few: repeats that majority decides; many: whether sizes at the edge are repeated on.
    """
    first = _least_tried((n for n in (size, size - 1) if n >= 1), tried, few)
    if first is not None:
        return first
    if not any(
        tried[n].standing == "passes" and tried[n].has_majority(few) for n in tried if n >= size
    ):
        highest = max(tried)
        if not tried[highest].has_majority(few):
            return highest
        if highest < largest:
            return highest + 1
    if many and tried[size].standing == "fails" and not tried[size].is_final:
        return size
    if all(repeats.standing == "passes" for repeats in tried.values()):
        limit = max(1, decisive(size))
        if limit not in tried or not tried[limit].has_majority(few):
            return limit
        unsure = [n for n in _near(size, tried) if not tried[n].is_final]
        if many and decisive(size) >= 1 and unsure:
            return min(unsure, key=lambda n: (tried[n].passed / tried[n].count, n))
        lowest = min(tried)
        return lowest - 1 if lowest > 1 else None
    # A size below that was begun and has no majority yet: the end of the walk down.
    return _least_tried((n for n in tried if n < size), tried, few)


def _near(size: int, tried: Tried) -> list[int]:
    """The sizes tried that, if one of them does not pass, make `size` near enough."""
    return [n for n in tried if decisive(size) <= n < size]


def _least_tried(sizes: Iterable[int], tried: Tried, few: int) -> int | None:
    """Of the sizes without a majority the one with fewest repeats; the larger of two."""
    none = Repeats(0, 0)
    unknown = [n for n in sizes if not tried.get(n, none).has_majority(few)]
    return min(unknown, key=lambda n: (tried.get(n, none).count, -n), default=None)


def is_clear(shares_late: list[float], allowance: float) -> bool:
    """Whether repeats of a size all missed the allowance by so much that more are idle."""
    far = [share > CLEAR * allowance for share in shares_late]
    return len(far) >= CLEAR_REPEATS and all(far)
