"""Further upstreams, simulated exactly, that the formulas were not made with."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

import numpy as np

from tests.analysis.simulate import Calls, Floats, draw_times, queue


@dataclass(frozen=True, slots=True)
class Sharing:
    """All calls in service share the server: processor sharing, perhaps with a cost of sharing.

    With n calls in service each advances at min(1, cores / n) / (1 + sigma (n - 1) + kappa n (n -
    1)) of the speed that it has alone; `work` (s) varies by `cv`.
    """

    work: float
    cores: int
    cv: float = 1.0
    sigma: float = 0.0
    kappa: float = 0.0

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Every call gets the same service per second, so they end in order of entry + work."""
        count = arrived.size
        works = draw_times(self.work, self.cv, count, rng).tolist()
        n = np.arange(1, pool_size + 1)
        slowdown = 1 + self.sigma * (n - 1) + self.kappa * n * (n - 1)
        speeds = [1.0, *(np.minimum(1.0, self.cores / n) / slowdown).tolist()]
        arrivals = arrived.tolist()
        acquired, released = [0.0] * count, [0.0] * count
        under_way: list[tuple[float, int]] = []  # (service given to each when this call ends, call)
        now, given, entering = -math.inf, 0.0, 0
        while entering < count or under_way:
            speed = speeds[len(under_way)]
            ends = now + (under_way[0][0] - given) / speed if under_way else math.inf
            if entering < count and len(under_way) < pool_size:
                start = max(arrivals[entering], now)
                if start <= ends:
                    if under_way:
                        given += (start - now) * speed
                    now = acquired[entering] = start
                    heappush(under_way, (given + works[entering], entering))
                    entering += 1
                    continue
            given, call = heappop(under_way)
            now = released[call] = ends
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class Stage:
    """One stop of a call: `workers` servers (None: one for everybody) and a first-come queue.

    `share` (0 to 1) of the calls stop here, for `time` s that vary by `cv`.
    """

    time: float
    workers: int | None = None
    cv: float = 0.0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """Stages one after another; a call keeps its connection through all of them."""

    stages: tuple[Stage, ...]

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Events in order of time: a call comes to a stage, or leaves the last one."""
        count = arrived.size
        times = []
        for stage in self.stages:
            drawn = draw_times(stage.time, stage.cv, count, rng)
            if stage.share < 1.0:
                drawn[rng.random(count) >= stage.share] = -1.0  # does not stop here
            times.append(drawn.tolist())
        free = [[-math.inf] * (stage.workers or 0) for stage in self.stages]
        last = len(self.stages)
        acquired, released = [0.0] * count, [0.0] * count
        events: list[tuple[float, int, int]] = []  # (time, stage, call)
        idle, entering = pool_size, 0
        arrivals = arrived.tolist()
        now = -math.inf
        while entering < count or events:
            if idle and entering < count:
                start = max(arrivals[entering], now)
                if not events or start <= events[0][0]:
                    idle -= 1
                    acquired[entering] = now = start
                    heappush(events, (start, 0, entering))
                    entering += 1
                    continue
            now, at, call = heappop(events)
            if at == last:
                released[call] = now
                idle += 1
                continue
            time, servers = times[at][call], free[at]
            done = now
            if time >= 0:
                if servers:
                    done = max(now, servers[0]) + time
                    heapreplace(servers, done)
                else:
                    done = now + time
            heappush(events, (done, at + 1, call))
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class Pausing:
    """`workers` servers that all stop for `pause` s now and then, as a garbage collector does.

    Between the end of a pause and the next lie `every` s on average, at random.
    """

    workers: int
    service_time: float
    cv: float
    pause: float
    every: float

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Workers on a clock that stands still in pauses; connections on the one on the wall."""
        count = arrived.size
        times = draw_times(self.service_time, self.cv, count, rng).tolist()
        horizon = float(arrived[-1]) + 4.0 * sum(times) / min(pool_size, self.workers) + 10.0
        many = math.ceil(horizon / self.every) + 10
        begins = np.cumsum(rng.exponential(self.every, many))  # on the workers' clock
        work_at = begins.tolist()
        wall_at = (begins + self.pause * np.arange(many)).tolist()  # each pause's begin on the wall
        free_connections = [-math.inf] * pool_size
        workers = [-math.inf] * self.workers
        acquired, released = [], []
        for at, service in zip(arrived.tolist(), times, strict=True):
            start = max(at, free_connections[0])
            before = bisect_right(wall_at, start)
            begun = start - self.pause * before
            if before:
                begun = max(begun, work_at[before - 1])
            done = max(begun, workers[0]) + service
            heapreplace(workers, done)
            ends = done + self.pause * bisect_right(work_at, done)
            heapreplace(free_connections, ends)
            acquired.append(start)
            released.append(ends)
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class Split:
    """`workers` servers with a queue each; every call is sent to one of them at random."""

    workers: int
    service_time: float
    cv: float = 0.0

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """Calls come to their server in the order in which they got a connection."""
        times = draw_times(self.service_time, self.cv, arrived.size, rng)
        chosen = rng.integers(self.workers, size=arrived.size).tolist()
        connections = [-math.inf] * pool_size
        free = [-math.inf] * self.workers
        acquired, released = [], []
        for at, time, server in zip(arrived.tolist(), times.tolist(), chosen, strict=True):
            start = max(at, connections[0])
            free[server] = done = max(start, free[server]) + time
            heapreplace(connections, done)
            acquired.append(start)
            released.append(done)
        return Calls(arrived, np.array(acquired), np.array(released))


@dataclass(frozen=True, slots=True)
class HeavyTailed:
    """`workers` servers behind one queue; times from a bounded Pareto distribution.

    P(time > t) falls as t ** -alpha between `shortest` s and 200 times as much.
    """

    workers: int
    shortest: float
    alpha: float

    def serve(self, arrived: Floats, pool_size: int, rng: np.random.Generator) -> Calls:
        """The inverse of the distribution function, then a row of workers."""
        share = rng.random(arrived.size) * (1.0 - 200.0**-self.alpha)
        times = self.shortest * (1.0 - share) ** (-1.0 / self.alpha)
        if pool_size <= self.workers:
            return queue(arrived, times, pool_size)
        workers, connections = [-math.inf] * self.workers, [-math.inf] * pool_size
        acquired, released = [], []
        for at, time in zip(arrived.tolist(), times.tolist(), strict=True):
            start = max(at, connections[0])
            done = max(start, workers[0]) + time
            heapreplace(workers, done)
            heapreplace(connections, done)
            acquired.append(start)
            released.append(done)
        return Calls(arrived, np.array(acquired), np.array(released))
