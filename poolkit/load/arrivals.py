"""Arrival schedules: pure iterables of due times (s from the trial's start), in order.

Only the generator sleeps; a schedule neither knows a clock nor whether anybody keeps up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np

_CHUNK = 4096


def constant(rate: float, seconds: float, at_a_time: int = 1) -> Iterator[float]:
    """Evenly spaced arrivals: `rate` calls/s (more than 0) for `seconds` s (0 or more).

    `at_a_time` (1 or more) of them are due together.
    """
    _check(rate, seconds)
    index = 0
    while (due := index / rate) < seconds:
        yield from repeat(due, at_a_time)
        index += at_a_time


def poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Independent arrivals at `rate` calls/s on average for `seconds` s: exponential gaps.

    Many independent users together arrive like this (Palm-Khintchine theorem); it is the schedule
    that a wait target should be tested with, since evenly spaced calls hardly queue.
    """
    _check(rate, seconds)
    rng = np.random.default_rng(seed)
    at = 0.0
    while True:
        for gap in rng.exponential(1.0 / rate, _CHUNK).tolist():
            at += gap
            if at >= seconds:
                return
            yield at


def poisson_exact(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Poisson arrivals given that exactly round(rate * seconds) come: the rate is met, not luck.

    Given their number, Poisson arrivals lie like independent uniform times, sorted. A short trial
    at 600 calls/s else sees anything from 580 to 620, and near saturation waits differ a lot
    between the two.
    """
    _check(rate, seconds)
    rng = np.random.default_rng(seed)
    yield from np.sort(rng.uniform(0.0, seconds, round(rate * seconds))).tolist()


def ramp(first: float, last: float, seconds: float, seed: int) -> Iterator[float]:
    """Poisson arrivals whose rate moves evenly from `first` to `last` calls/s (0 or more, one > 0).

    Unit exponential gaps are added up and each sum E is placed where the expected number of
    arrivals, first * t + (last - first) * t^2 / (2 * seconds), reaches it (time rescaling).
    """
    if min(first, last) < 0 or max(first, last) <= 0:
        raise ValueError(f"rates must be 0 or more and not both 0, got {first} and {last}")
    slope = (last - first) / seconds
    for expected in poisson(1.0, (first + last) / 2 * seconds, seed):
        # The root of slope / 2 * t^2 + first * t - expected, in the form that loses no digits.
        root = max(0.0, first * first + 2.0 * slope * expected) ** 0.5
        yield min(2.0 * expected / (first + root), seconds)


def steps(phases: Sequence[tuple[float, float]], seed: int) -> Iterator[float]:
    """Poisson arrivals in phases of (calls/s, seconds), each with its exact rate; it may be 0."""
    begin = 0.0
    for index, (rate, seconds) in enumerate(phases):
        if rate > 0:
            for due in poisson_exact(rate, seconds, seed + index):
                yield begin + due
        begin += seconds


def thinned(
    rate: Callable[[float], float], highest: float, seconds: float, seed: int
) -> Iterator[float]:
    """Poisson arrivals whose rate (calls/s) at t s is rate(t), from 0 up to `highest`.

    Of Poisson arrivals at `highest` the one at t is kept with probability rate(t) / highest
    (thinning; Lewis and Shedler 1979, "Simulation of nonhomogeneous Poisson processes by
    thinning").
    """
    rng = np.random.default_rng((seed, 1))
    for at in poisson(highest, seconds, seed):
        if rng.random() * highest < rate(at):
            yield at


def replay(timestamps: Iterable[float], speed: float = 1.0) -> Iterator[float]:
    """Recorded arrivals (s, in order, any origin) again from 0, `speed` times as fast (above 0)."""
    if not 0 < speed < float("inf"):
        raise ValueError(f"speed must be more than 0 and finite, got {speed}")
    first = last = None
    for at in timestamps:
        if last is not None and at < last:
            raise ValueError(f"timestamps must be in order, got {at} after {last}")
        first = at if first is None else first
        last = at
        yield (at - first) / speed


def _check(rate: float, seconds: float) -> None:
    if not 0 < rate < float("inf"):
        raise ValueError(f"rate must be more than 0 and finite, got {rate}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"seconds must be 0 or more and finite, got {seconds}")
