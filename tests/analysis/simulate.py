"""An exact simulator of calls that queue for a pool in front of an upstream.

Nothing is approximated: given the arrivals and the draws of the service times, the stamps are those
that a first-come-first-served pool would produce. It is what the formulas are held against.

A closed loop of n callers without pauses is the same as a backlog that never ends behind a pool
of n connections, so one function serves both loops.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calls:
    """Stamps of simulated calls (s), in order of arrival."""

    arrived: Floats
    acquired: Floats
    released: Floats

    @property
    def waits(self) -> Floats:
        """Time spent waiting for a connection (s)."""
        return self.acquired - self.arrived

    @property
    def holds(self) -> Floats:
        """Time that a connection was held (s)."""
        return self.released - self.acquired


class Upstream(Protocol):
    """What stands behind the pool: it serves calls in the order in which they got a connection."""

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """The stamps of calls that arrive at these times (s, ascending)."""
        ...


def draw_times(mean: float, cv: float, count: int, rng: np.random.Generator) -> Floats:
    """Lognormal times (s) of this mean and coefficient of variation; constant for cv = 0.

    Moments of the lognormal distribution: sigma^2 = ln(1 + cv^2), mu = ln(mean) - sigma^2 / 2.
    """
    if cv == 0 or mean == 0:
        return np.full(count, mean)
    variance = math.log1p(cv * cv)
    return rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), count)


def poisson(rate: float, count: int, rng: np.random.Generator) -> Floats:
    """Arrival times (s) of a Poisson stream of `rate` calls/s."""
    return np.cumsum(rng.exponential(1.0 / rate, count))


def queue(arrived: Floats, holds: Floats, pool_size: int) -> Calls:
    """A pool of `pool_size` connections whose calls hold them for `holds` s, whatever the load.

    The recursion of Kiefer and Wolfowitz (1955): a call takes the connection that is free first,
    so a heap of the moments at which connections come free is the whole state.
    """
    free = [-math.inf] * pool_size
    acquired: list[float] = []
    note = acquired.append
    for at, hold in zip(arrived.tolist(), holds.tolist(), strict=True):
        first = free[0]
        start = first if first > at else at
        heapreplace(free, start + hold)
        note(start)
    start_times = np.array(acquired)
    return Calls(arrived, start_times, start_times + holds)


@dataclass(frozen=True, slots=True)
class Workers:
    """`workers` servers side by side behind one first-come-first-served queue of their own.

    A share `slow_share` (0 to 1) of the calls takes `slow_factor` times as long, which makes mixed
    traffic; `service_time` is the mean (s) of the others, `cv` their coefficient of variation.
    """

    workers: int
    service_time: float
    cv: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 1.0

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Two queues in a row: for a connection, then (with it in hand) for a worker."""
        times = draw_times(self.service_time, self.cv, arrived.size, rng)
        if self.slow_share:
            times[rng.random(arrived.size) < self.slow_share] *= self.slow_factor
        if pool_size <= self.workers:
            return queue(arrived, times, pool_size)
        connections = [-math.inf] * pool_size
        workers = [-math.inf] * self.workers
        acquired: list[float] = []
        released: list[float] = []
        for at, service in zip(arrived.tolist(), times.tolist(), strict=True):
            start = max(at, connections[0])
            done = max(start, workers[0]) + service
            heapreplace(workers, done)
            heapreplace(connections, done)
            acquired.append(start)
            released.append(done)
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class CpuBound:
    """Calls wait `delay` s (varying by `cv`) side by side, then burn `cpu` s on one thread."""

    delay: float
    cpu: float
    cv: float = 0.0
    cpu_cv: float = 0.0

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Events in order of time: a call enters, or the thread takes the next one ready."""
        count = arrived.size
        delays = draw_times(self.delay, self.cv, count, rng).tolist()
        burns = draw_times(self.cpu, self.cpu_cv, count, rng).tolist()
        # Completions leave the thread in order, so connections come free in order.
        connections = deque([-math.inf] * pool_size)
        ready: list[tuple[float, int]] = []
        acquired, released = [0.0] * count, [0.0] * count
        thread = -math.inf
        entering = 0
        arrivals = arrived.tolist()
        while entering < count or ready:
            if entering < count and connections:
                start = max(arrivals[entering], connections[0])
                if not ready or start <= ready[0][0]:
                    connections.popleft()
                    acquired[entering] = start
                    heappush(ready, (start + delays[entering], entering))
                    entering += 1
                    continue
            at, call = heappop(ready)
            thread = max(thread, at) + burns[call]
            released[call] = thread
            connections.append(thread)
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class Contended:
    """Every call is served at once, but slower the more calls are in service when it starts.

    Its time is base * (1 + sigma * (n - 1) + kappa * n * (n - 1)) with n calls in service, itself
    included (the Universal Scalability Law read as a time); `base` (s) varies by `cv`.
    """

    base: float
    sigma: float
    kappa: float
    cv: float = 0.0

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """One heap of the completions under way is both the pool and the number in service."""
        bases = draw_times(self.base, self.cv, arrived.size, rng).tolist()
        under_way: list[float] = []
        heapify(under_way)
        acquired: list[float] = []
        released: list[float] = []
        start = -math.inf
        for at, base in zip(arrived.tolist(), bases, strict=True):
            # Not before the call in front: ties may have emptied the heap of what it waited for.
            start = max(at, start)
            if len(under_way) == pool_size:
                start = max(start, heappop(under_way))
            while under_way and under_way[0] <= start:
                heappop(under_way)
            others = len(under_way)
            slowdown = 1 + self.sigma * others + self.kappa * others * (others + 1)
            done = start + base * slowdown
            heappush(under_way, done)
            acquired.append(start)
            released.append(done)
        return Calls(arrived, np.array(acquired), np.array(released))


def open_loop(upstream: Upstream, rate: float, pool_size: int, count: int, seed: int = 1) -> Calls:
    """`count` calls of a Poisson stream of `rate` calls/s through a pool of `pool_size`."""
    rng = np.random.default_rng(seed)
    return upstream.serve(poisson(rate, count, rng), pool_size, rng)


def closed_loop(upstream: Upstream, pool_size: int, count: int, seed: int = 1) -> Calls:
    """`count` calls of `pool_size` callers that each wait for their reply; a call is due at once.

    `arrived` is set to `acquired`: a caller starts its next call when the last one is released.
    """
    rng = np.random.default_rng(seed)
    calls = upstream.serve(np.zeros(count), pool_size, rng)
    return Calls(calls.acquired, calls.acquired, calls.released)
