"""The one search behind a sizing and behind every what-if: the smallest pool that will do.

A size must hold with every replica up and with any number of them lost that may be lost: several
small pools cannot lend each other connections, and where throughput falls with many connections,
all pools together may be too many. Sizes that hold in one case need not in another, and a larger
one need not hold where a smaller one does. So nothing is taken for granted: the size needed, the
one that the floor asks for and the one with its headroom each hold in every case, or are not
answered.

More calls/s never need fewer connections. The sizes that hold at a higher rate are among those that
hold at a lower one, and each step takes the smallest that holds from a bound on that rises with the
step before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from poolkit.analysis.model import Fitted, Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.targets.objective import Objective

# What is asked on top of the times, and may ask for a size that does not meet them.
OnTop = Literal["floor", "headroom"]
NEAR_LIMIT = 0.8  # of the target rate that the curve allows: load may show that the limit will do
STEPS = 12  # of the bisection for the reachable rate: to 1/4096 of the highest throughput
# A connection or two more or less, or this share of the size, are within the doubt of any answer.
IN_DOUBT = 0.1
FOREVER = 1e9  # s, a wait that every size keeps to that carries the rate at all


@dataclass(frozen=True)
class Found:
    """What the search came to."""

    upstream: Fitted
    # One pool with so many replicas lost, for each number that may be lost, the most first.
    cases: tuple[Model, ...]
    # The case that decides: with the loss that asks for most, or the first in which no size holds.
    queue: Model
    needed: int | None = None  # the smallest that meets the times asked in every case
    wanted: int | None = None  # from the floor on; None: none does, or the cap is below it
    size: int | None = None  # with the floor and the headroom; None: none, or the cap is below it
    # Why there is no size although one is needed and the cap leaves room.
    spoilt_by: OnTop | None = None
    # The size asked for then, or that another number of losses asks for where `needed` is None; no
    # size from there on holds. None: none was.
    tried: int | None = None

    @property
    def headroom(self) -> int:
        """Connections of `size` that nothing but the headroom asks for."""
        return 0 if self.size is None or self.wanted is None else self.size - self.wanted

    @cached_property
    def predictions(self) -> tuple[WaitPrediction, ...]:
        """What callers of `queue` meet at sizes 1 .. `queue.most`."""
        return self.queue.predictions()

    @cached_property
    def as_fast(self) -> int | None:
        """The smallest size with which callers are served as soon as with the best, whatever is
        lost; None where it is not smaller than `wanted` by more than the doubt of any answer.
        """
        if self.size is None or self.wanted is None:
            return None
        least = self.queue.objective.floor
        most = self.wanted - max(2, round(IN_DOUBT * self.wanted)) - 1
        sizes = frozenset.intersection(*(case.as_soon for case in self.cases))
        return min((size for size in sizes if least <= size <= most), default=None)

    def holds(self, pool_size: int) -> bool:
        """Whether one pool of this size (1 or more) meets the times asked, whatever is lost."""
        return all(case.is_enough(pool_size) for case in self.cases)


def find(upstream: Fitted, objective: Objective) -> Found:
    """The smallest pool that meets the objective on this upstream."""
    cases = tuple(_cases(upstream, objective))
    needed, queue, asked = _smallest(cases, 1)
    if needed is None and objective.asks_as_soon:
        # The sizes that serve callers the soonest with all replicas up and with some lost may have
        # none in common: then the largest loss decides.
        needed, queue, asked = _smallest(cases[:1], 1)
        if needed is not None and all(case.carries(needed) for case in cases):
            cases = cases[:1]
        else:
            needed = None
    found = Found(upstream, cases, queue, needed)
    if needed is None:
        return replace(found, tried=asked if asked > 1 else None)
    least = max(needed, objective.floor)
    if least > objective.largest:
        return found
    wanted, queue, _ = _smallest(cases, least)
    if wanted is None:
        return replace(found, queue=queue, spoilt_by="floor", tried=least)
    # The cap cuts headroom, and the reason says so.
    least = min(wanted + math.ceil(objective.headroom * wanted - 1e-9), objective.largest)
    size, queue, _ = _smallest(cases, least)
    found = replace(found, wanted=wanted)
    if size is None:
        return replace(found, queue=queue, spoilt_by="headroom", tried=least)
    return replace(found, size=size)


def at_limit(found: Found) -> Found:
    """The size of a server's limit, where the curve alone cannot tell whether that will do.

    Only a target that needs more than the limit is out of reach. Near it the caution in the curve
    says no before the load does, and no larger size is left to be on the safe side with.
    """
    upstream, objective = found.upstream, found.cases[0].objective
    if found.size is not None or found.tried is not None or upstream.taken is None:
        return found
    size = min(upstream.taken // objective.pools, objective.largest)
    if size < max(1, objective.floor) or objective.headroom:
        return found
    rate = reachable_rate(upstream, objective)
    if rate is None or rate < NEAR_LIMIT * objective.target_rate:
        return found
    return replace(found, needed=size, wanted=size, size=size)


def _smallest(cases: Sequence[Model], least: int) -> tuple[int | None, Model, int]:
    """The smallest size from `least` on that holds in every case (None: none does), the case that
    decides, and the size that this one was asked for.
    """
    decisive, size = None, least
    while True:
        for case in cases:
            if case is decisive:
                return size, decisive, size
            more = _next_that_holds(case, size)
            if more is None:
                return None, case, size
            if decisive is None or more > size:
                decisive, size = case, more


def _next_that_holds(case: Model, least: int) -> int | None:
    """The smallest size from `least` on that holds in one case; None: none does."""
    # A look at one size is enough where it holds, and costs less than all of them.
    if least > 1 and case.is_enough(least):
        return least
    met = case.smallest(case.cautious[least - 1 :])
    return None if met is None else met.pool_size


def reachable_rate(upstream: Fitted, objective: Objective) -> float | None:
    """The target rate (calls/s) that some size within the cap carries as asked, with its growth.

    None where not even a small rate does, or where the floor is above the cap.
    """
    if objective.floor > objective.largest:
        return None
    if objective.asks_as_soon:
        # Among the sizes that carry a rate one always serves callers the soonest.
        objective = objective.but(wait_p99=FOREVER)
    high = min(map(_top, _cases(upstream, objective)))
    # A response time that single calls exceed is met at no rate: no search needed.
    if high <= 0 or not _carries(upstream, objective, 1e-3 * high):
        return None
    low = 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _carries(upstream, objective, middle) else (low, middle)
    return low / objective.growth if low > 0 else None


def _cases(upstream: Fitted, objective: Objective) -> Iterator[Model]:
    """One pool for each number of replicas that may be lost, the most first."""
    for lost in range(objective.lost, -1, -1):
        yield upstream.model(objective.losing(lost))


def _top(case: Model) -> float:
    """The highest throughput (calls/s of the whole service) that the pools of a case reach."""
    if case.most < 1:
        return 0.0
    return case.curve.pools * float(max(case.curve.throughputs(range(1, case.most + 1))))


def _carries(upstream: Fitted, objective: Objective, rate: float) -> bool:
    """Whether some size, floor and headroom included, carries this rate (growth included)."""
    return find(upstream, objective.but(target_rate=rate / objective.growth)).size is not None
