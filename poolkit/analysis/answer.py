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
from typing import Literal

from poolkit.analysis.model import Fitted, Model
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction

# What is asked on top of the times, and may ask for a size that does not meet them.
OnTop = Literal["floor", "headroom"]
STEPS = 12  # of the bisection for the reachable rate: to 1/4096 of the highest throughput


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to.

    Attributes:
        queue: one pool in the case that decides: with the loss that asks for most, or the first
            one in which no size holds.
        predictions: what its callers meet at sizes 1 .. `queue.most`.
        cautious: the same for an upstream that is a little slower than measured.
        needed: the smallest size that meets the times asked in every case; None: none does.
        size: with the floor and the headroom; None: there is none, or the cap is below it.
        headroom: connections of `size` that nothing but the headroom asks for.
        spoilt_by: why there is no size although one is needed and the cap leaves room.
        tried: the size that was asked for then, or that another number of losses asks for where
            `needed` is None; no size from there on holds. None: none was.
    """

    queue: Model
    predictions: tuple[WaitPrediction, ...]
    cautious: tuple[WaitPrediction, ...]
    needed: int | None
    size: int | None
    headroom: int = 0
    spoilt_by: OnTop | None = None
    tried: int | None = None


def find(upstream: Fitted, objective: Objective) -> Found:
    """The smallest pool that meets the objective on this upstream."""
    sizes = _search(upstream, objective)
    return Found(
        sizes.queue,
        sizes.queue.predictions(),
        sizes.queue.cautious(),
        sizes.needed,
        sizes.total,
        0 if sizes.total is None or sizes.wanted is None else sizes.total - sizes.wanted,
        sizes.spoilt_by,
        sizes.tried,
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The steps of a search, as `Found` has them; `wanted` holds the floor and no headroom."""

    queue: Model
    needed: int | None = None
    wanted: int | None = None
    total: int | None = None
    spoilt_by: OnTop | None = None
    tried: int | None = None


def _search(upstream: Fitted, objective: Objective) -> _Sizes:
    cases = _Cases(upstream, objective)
    needed = cases.smallest(1)
    queue = cases.decisive
    if needed is None:
        return _Sizes(queue, tried=cases.asked if cases.asked > 1 else None)
    least = max(needed, objective.floor)
    if least > objective.largest:
        return _Sizes(queue, needed)
    wanted = cases.smallest(least)
    if wanted is None:
        return _Sizes(cases.decisive, needed, spoilt_by="floor", tried=least)
    # The cap cuts headroom, and the reason says so.
    least = min(wanted + math.ceil(objective.headroom * wanted - 1e-9), objective.largest)
    total = cases.smallest(least)
    if total is None:
        return _Sizes(cases.decisive, needed, wanted, spoilt_by="headroom", tried=least)
    return _Sizes(queue, needed, wanted, total)


def holds(upstream: Fitted, objective: Objective, pool_size: int) -> bool:
    """Whether one pool of this size (1 or more) meets the times asked, whatever is lost."""
    return _Cases(upstream, objective).hold(pool_size)


class _Cases:
    """One pool with so many replicas lost, for each number that may be lost, the most first.

    State: the predictions made so far, the case that decided the latest search, and the size that
    this case was asked for.
    """

    def __init__(self, upstream: Fitted, objective: Objective) -> None:
        self._queues = [
            upstream.model(replace(objective, lost_replicas=lost))
            for lost in range(objective.lost, -1, -1)
        ]
        self._cautious: dict[int, Sequence[WaitPrediction]] = {}
        self.decisive = self._queues[0]
        self.asked = 1

    def hold(self, pool_size: int) -> bool:
        """Whether a size holds in every case."""
        return all(queue.is_enough(pool_size) for queue in self._queues)

    def smallest(self, least: int) -> int | None:
        """The smallest size from `least` on that holds in every case; None: none does."""
        self.decisive, size = self._queues[0], least
        settled: Model | None = None
        while True:
            for index, queue in enumerate(self._queues):
                if queue is settled:
                    return size
                more = self._next_that_holds(index, size)
                if more is None:
                    self.decisive, self.asked = queue, size
                    return None
                if settled is None or more > size:
                    settled, size = queue, more
                    self.decisive = queue

    def _next_that_holds(self, index: int, least: int) -> int | None:
        """The smallest size from `least` on that holds in one case; None: none does."""
        queue = self._queues[index]
        # A look at one size is enough where it holds, and costs less than all of them.
        if least > 1 and queue.is_enough(least):
            return least
        if index not in self._cautious:
            self._cautious[index] = queue.cautious()
        for prediction in self._cautious[index][least - 1 :]:
            if queue.meets(prediction):
                return prediction.pool_size
        return None


def reachable_rate(upstream: Fitted, objective: Objective) -> float | None:
    """The target rate (calls/s) that some size within the cap carries as asked, with its growth.

    None where not even a small rate does, or where the floor is above the cap.
    """
    if objective.floor > objective.largest:
        return None
    high = min(_tops(upstream, objective))
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


def _tops(upstream: Fitted, objective: Objective) -> Iterator[float]:
    """The highest throughput (calls/s of the whole service) for each number of losses."""
    for lost in range(objective.lost + 1):
        queue = upstream.model(replace(objective, lost_replicas=lost))
        if queue.most < 1:
            yield 0.0
        else:
            sizes = range(1, queue.most + 1)
            yield queue.curve.pools * float(max(queue.curve.throughputs(sizes)))


def _carries(upstream: Fitted, objective: Objective, rate: float) -> bool:
    """Whether some size, floor and headroom included, carries this rate (growth included)."""
    asked = replace(objective, target_rate=rate / objective.growth)
    return _search(upstream, asked).total is not None
