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
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from poolkit.analysis.model import Fitted, Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.targets.objective import Objective

# What is asked on top of the times, and may ask for a size that does not meet them.
OnTop = Literal["floor", "headroom"]
STEPS = 12  # of the bisection for the reachable rate: to 1/4096 of the highest throughput


@dataclass(frozen=True)
class Found:
    """What the search came to.

    Attributes:
        cases: one pool with so many replicas lost, for each number that may be lost, the most
            first.
        queue: the case that decides: with the loss that asks for most, or the first
            one in which no size holds.
        needed: the smallest size that meets the times asked in every case; None: none does.
        wanted: the smallest from the floor on; None: none does, or the cap is below it.
        size: with the floor and the headroom; None: there is none, or the cap is below it.
        spoilt_by: why there is no size although one is needed and the cap leaves room.
        tried: the size that was asked for then, or that another number of losses asks for where
            `needed` is None; no size from there on holds. None: none was.
    """

    cases: tuple[Model, ...]
    queue: Model
    needed: int | None = None
    wanted: int | None = None
    size: int | None = None
    spoilt_by: OnTop | None = None
    tried: int | None = None

    @property
    def headroom(self) -> int:
        """Connections of `size` that nothing but the headroom asks for."""
        return 0 if self.size is None or self.wanted is None else self.size - self.wanted

    @cached_property
    def predictions(self) -> tuple[WaitPrediction, ...]:
        """What callers of `queue` meet at sizes 1 .. `queue.most`."""
        return self.queue.predictions()

    def holds(self, pool_size: int) -> bool:
        """Whether one pool of this size (1 or more) meets the times asked, whatever is lost."""
        return all(case.is_enough(pool_size) for case in self.cases)


def find(upstream: Fitted, objective: Objective) -> Found:
    """The smallest pool that meets the objective on this upstream."""
    cases = tuple(_cases(upstream, objective))
    search = _Search(cases)
    needed = search.smallest(1)
    queue = search.decisive
    if needed is None:
        return Found(cases, queue, tried=search.asked if search.asked > 1 else None)
    least = max(needed, objective.floor)
    if least > objective.largest:
        return Found(cases, queue, needed)
    wanted = search.smallest(least)
    if wanted is None:
        return Found(cases, search.decisive, needed, spoilt_by="floor", tried=least)
    # The cap cuts headroom, and the reason says so.
    least = min(wanted + math.ceil(objective.headroom * wanted - 1e-9), objective.largest)
    size = search.smallest(least)
    if size is None:
        return Found(cases, search.decisive, needed, wanted, spoilt_by="headroom", tried=least)
    return Found(cases, queue, needed, wanted, size)


class _Search:
    """Searches over one pool with so many replicas lost, for each number that may be lost.

    State: the case that decided the latest search, and the size that it was asked for.
    """

    def __init__(self, cases: Sequence[Model]) -> None:
        self._cases = cases
        self.decisive = cases[0]
        self.asked = 1

    def smallest(self, least: int) -> int | None:
        """The smallest size from `least` on that holds in every case; None: none does."""
        self.decisive, size = self._cases[0], least
        settled: Model | None = None
        while True:
            for case in self._cases:
                if case is settled:
                    return size
                more = _next_that_holds(case, size)
                if more is None:
                    self.decisive, self.asked = case, size
                    return None
                if settled is None or more > size:
                    settled, size = case, more
                    self.decisive = case


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
    high = min(map(_top, _cases(upstream, objective)))
    # A response time that single calls exceed is met at no rate: no search needed.
    if high <= 0 or not _carries(upstream, objective, 1e-3 * high):
        return None
    low = 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _carries(upstream, objective, middle):
            low = middle
        else:
            high = middle
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
