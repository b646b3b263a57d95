"""Did all callers wait alike, or did some starve?"""

from __future__ import annotations

from collections.abc import Mapping

from poolkit.histogram import value_of
from poolkit.records import Check, Distribution

STARVED_INDEX = 0.5
FEWEST_WAITS = 20
HARMLESS = (
    0.02  # s: a wait that no caller's caller notices, and that a busy machine makes by itself
)
# A fair queue's longest wait of n is about ln(n) times the mean where waits are exponential: 8 at
# 3,000 calls. Beyond this ratio somebody was overtaken again and again.
LONGEST_RATIO = 50.0


def jains_index(buckets: Mapping[int, int]) -> float | None:
    """(sum x)^2 / (n * sum x^2) over the counted waits: 1 when all are alike, 1/n when one has all.

    Jain, Chiu and Hawe (1984). None where nobody waited.
    """
    count = sum(buckets.values())
    total = sum(value_of(index) * n for index, n in buckets.items())
    squares = sum(value_of(index) ** 2 * n for index, n in buckets.items())
    return total * total / (count * squares) if squares > 0 else None


def longest_ratio(waits: Distribution) -> float | None:
    """The longest wait over the mean of those that waited at all; None where too few did."""
    waited = {index: n for index, n in waits.buckets.items() if index > 0}
    count = sum(waited.values())
    if waits.longest is None or count < FEWEST_WAITS:
        return None
    mean = sum(value_of(index) * n for index, n in waited.items()) / count
    return waits.longest / mean


def fairness_check(waits: Distribution, *, hold: float, crowded: bool) -> Check | None:
    """The check `fair`; None where nobody waited long enough to be treated unfairly.

    Args:
        hold: mean hold time (s): waits below a few of it harm nobody.
        crowded: more callers than connections in a closed loop, so that everybody has to wait and
            a fair queue makes all waits nearly alike.
    """
    longest = waits.longest
    index, ratio = jains_index(waits.buckets), longest_ratio(waits)
    if longest is None or longest < max(HARMLESS, 5.0 * hold) or (index is None and ratio is None):
        return None
    starved = crowded and index is not None and index < STARVED_INDEX
    passed = not starved and (ratio is None or ratio <= LONGEST_RATIO)
    seen = f"longest wait {longest * 1e3:.0f} ms"
    if ratio is not None:
        seen += f", {ratio:.0f} times the mean of those that waited"
    if crowded and index is not None:
        seen += f", Jain's index {index:.2f}"
    return Check(
        name="fair",
        passed=passed,
        seen=seen,
        why="a starved waiter is a finding, not noise: the pool lets callers overtake who waits",
        next="put a gate (a semaphore of the pool's size) in front of the pool: it is first come, "
        "first served",
    )
