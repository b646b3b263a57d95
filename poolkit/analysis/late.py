"""Calls that waited too long: how many there were, and from when on no more than there may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from poolkit.histogram import share_above
from poolkit.records import Distribution, Outcome

ALLOWANCE = 0.01  # share of calls that may wait longer
# Standard deviations of a count: a size whose p99 is just within the limit has now a few late calls
# more, now less, and is steady all the same.
BY_CHANCE = 3.0


def late_and_all(
    waits: Distribution, outcomes: Mapping[Outcome, int], wait_target: float | None
) -> tuple[float, float]:
    """How many calls waited longer than `wait_target` (s) or never got through, and of how many.

    None for the target: any wait is good. A call that gave up waiting or was still waiting at the
    end has no wait; it counts as too long.
    """
    lost = outcomes.get("pool_timeout", 0) + outcomes.get("unfinished", 0)
    late = 0.0
    if waits.count and wait_target is not None:
        late = share_above(waits.buckets, wait_target) * waits.count
    return late + lost, float(waits.count + lost)


def are_too_many(late: float, calls: float, clustered: float = 1.0) -> bool:
    """Whether more of the calls are late than one in 100 brings by chance.

    Args:
        clustered: how many late calls come together, 1 or more: the variance of their number over
            that of a Poisson count.
    """
    expected = ALLOWANCE * calls
    return late > expected + BY_CHANCE * math.sqrt(expected * clustered)


def steady_from(slices: Sequence[tuple[float, float]], clustered: float = 1.0) -> int | None:
    """The first slice from which on neither the calls left nor its own are late too often.

    A slice holds few calls, so that one burst makes its p99: a later slice over the limit takes
    nothing back while the calls that are left keep to it together. None: there is no such slice.

    Args:
        slices: late calls and all calls of each, in order.
    """
    for first, own in enumerate(slices):
        late, calls = (sum(column) for column in zip(*slices[first:], strict=True))
        left = are_too_many(late, calls, clustered)
        if calls and not left and not are_too_many(*own, clustered):
            return first
    return None
