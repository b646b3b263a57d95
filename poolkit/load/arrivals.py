"""Arrival schedules: pure iterables of due times (s from the trial's start), in order.

Only the generator sleeps; a schedule neither knows a clock nor whether anybody keeps up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CHUNK = 4096


def constant(rate: float, seconds: float) -> Iterator[float]:
    """Evenly spaced arrivals: `rate` calls/s (more than 0) for `seconds` s (0 or more)."""
    _check(rate, seconds)
    index = 0
    while (due := index / rate) < seconds:
        yield due
        index += 1


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


def _check(rate: float, seconds: float) -> None:
    if not 0 < rate < float("inf"):
        raise ValueError(f"rate must be more than 0 and finite, got {rate}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"seconds must be 0 or more and finite, got {seconds}")
