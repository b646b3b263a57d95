"""How a trial is divided over the generators of a fleet: pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from poolkit.analysis.replicas import mean_rate, share_of
from poolkit.measure.generating import Load

SEEDS_APART = 1_000_003  # the seeds of trials follow one another; those of generators must not


def shares(load: Load, generators: int) -> list[Load]:
    """What each generator sends: as many as have something to do, `generators` (1 or more) at most.

    Several pools are given out whole, each with its share of the rate: a pool is one process's. The
    one pool of a closed loop that measures the curve is divided, connections and callers alike:
    what the server is asked is the same. The one pool of an open loop stays with one generator.
    Where pools go or come in the midst of it these are the last ones: whole generators' first.
    """
    plan = load.plan
    if load.arrivals is not None:
        raise ValueError("a schedule of the reader's own cannot be divided")
    if plan.pools > 1:
        pools = _even(plan.pools, generators)
        sizes = [plan.pool_size] * len(pools)
    else:
        sizes = _even(plan.pool_size, generators if plan.rate is None else 1)
        pools = [1] * len(sizes)
    parts = [
        pool * size / (plan.pools * plan.pool_size) for pool, size in zip(pools, sizes, strict=True)
    ]
    most = _even(load.max_calls, len(sizes))
    each = []
    for index, part in enumerate(parts):
        callers = None if plan.callers is None else _split(plan.callers, parts)[index]
        own = replace(
            plan,
            pools=pools[index],
            pool_size=sizes[index],
            callers=callers,
            rate=None if plan.rate is None else plan.rate * part,
        )
        seed = load.seed + SEEDS_APART * index
        calls = most[index] if index < len(most) else 0
        if plan.change is not None:
            change = share_of(plan.change, sum(pools[:index]), pools[index])
            # Its busiest time is what a cap on the rate is held against.
            part = max(change.rates) / max(plan.change.rates)
            rate = mean_rate(change, plan.warm_up, plan.seconds)
            own = replace(own, change=change, rate=rate)
        each.append(replace(load, plan=own, seed=seed, max_calls=calls, share=part * load.share))
    return each


def _even(total: int, most: int) -> list[int]:
    """`total` (1 or more) in `most` parts or fewer, none of them 0, no two more than 1 apart."""
    count = max(1, min(total, most))
    return [total // count + (index < total % count) for index in range(count)]


def _split(total: int, parts: list[float]) -> list[int]:
    """`total` by shares that add up to 1, whole numbers that add up to it."""
    edges = [round(total * sum(parts[:index])) for index in range(len(parts) + 1)]
    return [after - before for before, after in pairwise(edges)]
