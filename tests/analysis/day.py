"""A service's day, simulated exactly, as its pools would have counted it in short windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from poolkit.analysis.windows import Times, Windows
from tests.analysis.simulate import (
    Calls,
    Contended,
    CpuBound,
    Floats,
    Upstream,
    Workers,
    draw_times,
)

Shape = Callable[[float, float, np.random.Generator], Floats]  # arrivals of a day, by peak and s
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, math.inf)


@dataclass(frozen=True, slots=True)
class Service:
    """An upstream and the highest rate (calls/s) of its day."""

    name: str
    upstream: Upstream
    peak: float


# The six upstreams of FACTS.md's kind, each at 80 % of its plateau at the peak of the day.
SIX = (
    Service("workers 24, cv 0.5", Workers(24, 0.025, 0.5), 770.0),
    Service("workers 24, cv 1.5", Workers(24, 0.025, 1.5), 770.0),
    Service("cpu-bound", CpuBound(0.015, 0.00127, 0.3), 630.0),
    Service("contended", Contended(0.009, 0.1, 0.001, 0.3), 450.0),
    Service("contended, no peak", Contended(0.008, 0.03, 0.0, 0.5), 900.0),
    Service("mixed 16, 10 % x6", Workers(16, 0.008, 0.3, 0.1, 6.0), 1070.0),
)


# Other workers, spreads and kinds; variants of the method were compared on them, too.
OTHERS = (
    Service("workers 12, cv 1", Workers(12, 0.02, 1.0), 480.0),
    Service("workers 40, cv 0.3", Workers(40, 0.03, 0.3), 1070.0),
    Service("workers 8, cv 2", Workers(8, 0.01, 2.0), 640.0),
    Service("cpu-bound, slow", CpuBound(0.03, 0.002, 0.5, 0.5), 400.0),
    Service("contended, mild", Contended(0.012, 0.05, 0.0005, 0.5), 550.0),
    Service("workers 16, cv 0", Workers(16, 0.012, 0.0), 1070.0),
)

# Nothing of the method was chosen on these.
HELD_OUT = (
    Service("workers 20, cv 0.8", Workers(20, 0.015, 0.8), 1060.0),
    Service("workers 6, cv 0.2", Workers(6, 0.008, 0.2), 600.0),
    Service("cpu-bound, random", CpuBound(0.010, 0.0008, 1.0, 1.0), 1000.0),
    Service("contended, random", Contended(0.020, 0.02, 0.0, 1.0), 1500.0),
    Service("contended, quick", Contended(0.005, 0.15, 0.0, 0.3), 1000.0),
    Service("mixed 30, 5 % x10", Workers(30, 0.010, 0.3, 0.05, 10.0), 1650.0),
)


def arrivals(peak: float, seconds: float, rng: np.random.Generator, night: float = 0.25) -> Floats:
    """A Poisson stream whose rate is a day's: from `night` of the peak up to it and back, sine."""
    candidates = np.sort(rng.uniform(0.0, seconds, rng.poisson(peak * seconds)))
    height = night + (1.0 - night) * (1.0 - np.cos(2.0 * np.pi * candidates / seconds)) / 2.0
    return np.asarray(candidates[rng.random(candidates.size) < height])


def steps(peak: float, seconds: float, rng: np.random.Generator, night: float = 0.25) -> Floats:
    """A Poisson stream whose rate stays for an eighth of the day, up to the peak and back."""
    candidates = steady(peak, seconds, rng)
    above = np.array([0.0, 0.3, 0.6, 0.8, 1.0, 0.7, 0.9, 0.4])
    height = night + (1.0 - night) * above[(candidates / seconds * above.size).astype(int)]
    return np.asarray(candidates[rng.random(candidates.size) < height])


def steady(peak: float, seconds: float, rng: np.random.Generator) -> Floats:
    """A Poisson stream of one rate."""
    return np.sort(rng.uniform(0.0, seconds, rng.poisson(peak * seconds)))


def counted(
    pools: Sequence[Calls], seconds: float, window: float, pool_size: int | None
) -> Windows:
    """The windows that pools of `pool_size` (None: without limit) counted of these calls."""
    count = int(seconds // window)
    most = 1 + max(_most(calls) for calls in pools)
    held, releases = np.zeros((2, count, most + 1))
    asks = np.zeros(count)
    waits, holds = np.zeros((2, count, len(BOUNDS)))
    waited, held_for = np.zeros((2, count))
    edges = np.arange(count + 1) * window
    for calls in pools:
        moments = np.concatenate((calls.acquired, calls.released, edges))
        steps = np.repeat([1, -1, 0], (calls.acquired.size, calls.released.size, edges.size))
        # Who is released makes room before the next one comes in.
        order = np.lexsort((steps, moments))
        moments, steps = moments[order], steps[order]
        before = np.cumsum(steps) - steps
        row = np.searchsorted(edges, moments, side="left") - 1
        passed = np.diff(moments, prepend=0.0)
        inside = (row >= 0) & (row < count)
        np.add.at(held, (row[inside], before[inside]), passed[inside])
        ends = inside & (steps == -1)
        np.add.at(releases, (row[ends], before[ends]), 1.0)
        for times, at, table, total in (
            (calls.waits, calls.acquired, waits, waited),
            (calls.holds, calls.released, holds, held_for),
        ):
            place = (at // window).astype(int)
            known = place < count
            upto = times[known][:, None] <= np.array(BOUNDS) + 1e-12
            np.add.at(table, place[known], upto.astype(float))
            np.add.at(total, place[known], times[known])
        place = (calls.arrived // window).astype(int)
        asks += np.bincount(place[place < count], minlength=count)
    levels = np.flatnonzero(held.any(axis=0))
    limit = math.inf if pool_size is None else float(pool_size)
    return Windows(
        seconds=window,
        ends=edges[1:] + 1.7e9,
        levels=tuple(levels.tolist()),
        held=held[:, levels],
        releases=releases[:, levels],
        asks=asks,
        pools=np.full(count, float(len(pools))),
        waits=Times(BOUNDS, waits, waited),
        holds=Times(BOUNDS, holds, held_for),
        least_size=limit,
        most_size=limit,
        peak=int(levels[-1]),
    )


def _most(calls: Calls) -> int:
    moments = np.concatenate((calls.released, calls.acquired))
    steps = np.repeat([-1, 1], (calls.released.size, calls.acquired.size))
    return int(np.cumsum(steps[np.lexsort((steps, moments))]).max())


def calls_of(
    service: Service, pool_size: int, seconds: float, seed: int, shape: Shape = arrivals
) -> Calls:
    """The calls of a day of one pool, compressed to `seconds`."""
    rng = np.random.default_rng(seed)
    return service.upstream.serve(shape(service.peak, seconds, rng), pool_size, rng)


def day(
    service: Service,
    pool_size: int,
    *,
    seconds: float = 600.0,
    seed: int = 1,
    shape: Shape = arrivals,
) -> Windows:
    """A day of one pool, compressed to `seconds`, in windows of 5 s."""
    calls = calls_of(service, pool_size, seconds, seed, shape)
    return counted([calls], seconds, 5.0, pool_size)


def fleet(
    upstream: Contended, arrived: Floats, pools: int, pool_size: int, rng: np.random.Generator
) -> list[Calls]:
    """Pools of `pool_size` on one upstream, each with its random share of the calls.

    A call takes as long as `Contended` says with the calls of all pools in service when it starts.
    """
    own = rng.integers(0, pools, arrived.size)
    bases = draw_times(upstream.base, upstream.cv, arrived.size, rng)
    ends: list[tuple[float, int]] = []
    waiting: list[list[int]] = [[] for _ in range(pools)]
    busy = [0] * pools
    acquired, released = np.zeros((2, arrived.size))

    def begin(call: int, now: float) -> None:
        others = len(ends)
        slowed = 1 + upstream.sigma * others + upstream.kappa * others * (others + 1)
        acquired[call], released[call] = now, now + bases[call] * slowed
        busy[own[call]] += 1
        heappush(ends, (released[call], call))

    def leave() -> None:
        now, call = heappop(ends)
        pool = own[call]
        busy[pool] -= 1
        if waiting[pool]:
            begin(waiting[pool].pop(0), now)

    for call, at in enumerate(arrived.tolist()):
        while ends and ends[0][0] <= at:
            leave()
        if busy[own[call]] < pool_size:
            begin(call, at)
        else:
            waiting[own[call]].append(call)
    while ends:
        leave()
    return [
        Calls(arrived[own == pool], acquired[own == pool], released[own == pool])
        for pool in range(pools)
    ]
