"""The one search behind a sizing and behind every what-if: the smallest pool that will do.

A size must hold with every replica up and with any number of them lost that may be lost, so the
answer is the largest of those sizes. Mostly the last loss decides; near a plateau it need not,
since several small pools cannot lend each other connections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from poolkit.analysis.model import Fitted, Model
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to.

    Attributes:
        queue: one pool in the case that decides: with the loss that asks for most.
        predictions: what its callers meet at sizes 1 .. `queue.most`.
        cautious: the same for an upstream that is a little slower than measured.
        needed: the smallest size that meets the times asked; None: none does.
        size: with the floor and the headroom; None: there is none, or the cap is below it.
        headroom: connections of `size` that nothing but the headroom asks for.
    """

    queue: Model
    predictions: tuple[WaitPrediction, ...]
    cautious: tuple[WaitPrediction, ...]
    needed: int | None
    size: int | None
    headroom: int = 0


def find(upstream: Fitted, objective: Objective) -> Found:
    """The smallest pool that meets the objective on this upstream."""
    queue = upstream.model(objective)
    cautious = queue.cautious()
    met = queue.smallest(cautious)
    if met is not None:
        for fewer in _with_fewer_lost(upstream, objective):
            # A look at the size found so far is enough where it holds.
            if met.pool_size <= fewer.most and _holds(fewer, met.pool_size):
                continue
            also_cautious = fewer.cautious()
            also = fewer.smallest(also_cautious)
            if also is None or also.pool_size > met.pool_size:
                queue, cautious, met = fewer, also_cautious, also
            if met is None:
                break
    predictions = queue.predictions()
    if met is None:
        return Found(queue, predictions, cautious, needed=None, size=None)
    wanted = max(met.pool_size, objective.floor)
    if wanted > objective.largest:
        return Found(queue, predictions, cautious, needed=met.pool_size, size=None)
    extra = _headroom(queue, cautious, wanted)
    return Found(queue, predictions, cautious, met.pool_size, wanted + extra, extra)


def reachable_rate(upstream: Fitted, objective: Objective) -> float | None:
    """The target rate (calls/s) that some size within the cap carries as asked, with its growth.

    None where not even a small rate does, or where the floor is above the cap.
    """
    if objective.floor > objective.largest:
        return None
    rate = upstream.model(objective).reachable_rate()
    for fewer in _with_fewer_lost(upstream, objective):
        if rate is None:
            break
        if fewer.smallest(fewer.cautious(rate / fewer.curve.pools)) is None:
            other = fewer.reachable_rate()
            rate = None if other is None else min(rate, other)
    return None if rate is None else rate / objective.growth


def _with_fewer_lost(upstream: Fitted, objective: Objective) -> Iterator[Model]:
    for lost in range(objective.lost - 1, -1, -1):
        yield upstream.model(replace(objective, lost_replicas=lost))


def _holds(queue: Model, pool_size: int) -> bool:
    """Whether one size, of those that may be answered, meets what is asked."""
    met = queue.at(pool_size)
    return queue.meets_wait(met) and queue.meets_response(met)


def _headroom(queue: Model, cautious: tuple[WaitPrediction, ...], wanted: int) -> int:
    """Connections on top of `wanted`, as many as the cap and the response time leave room for."""
    objective = queue.objective
    extra = min(math.ceil(objective.headroom * wanted - 1e-9), objective.largest - wanted)
    while extra > 0 and wanted + extra <= len(cautious):
        if queue.meets_response(cautious[wanted + extra - 1]):
            break
        extra -= 1
    return extra
