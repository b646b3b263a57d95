"""The p99 wait of the next day, on a service that is simulated exactly."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.next_day import in_words, next_day
from poolkit.records import NextDay
from tests.analysis.day import SIX, calls_of, day, steps

TIGHT = 12  # connections: 1 % of the calls wait longer than 10 ms at the peak, with one fewer


def test_the_next_day_is_inside() -> None:
    """With the size needed, with one that hardly lets a call wait, and with one too small."""
    today = day(SIX[3], 2 * TIGHT, seconds=200.0, shape=steps).whole()
    tight, wide, small = next_day(today, [TIGHT, 2 * TIGHT, TIGHT - 2])
    assert (tight.pool_size, wide.wait_p99_interval95) == (TIGHT, (0.0, 0.0))
    for one in (tight, small):
        assert one.wait_p99_interval95 is not None
        least, most = one.wait_p99_interval95
        p99s = [
            float(np.quantile(calls_of(SIX[3], one.pool_size, 200.0, seed, steps).waits, 0.99))
            for seed in (31, 32, 33)
        ]
        assert all(least <= p99 <= most for p99 in p99s)
        assert most < 4.0 * p99s[0]  # it tells something


def test_a_size_that_does_not_carry_the_peak() -> None:
    """Two connections for 450 calls/s of 9 ms: no bound."""
    (found,) = next_day(day(SIX[3], 24, seconds=60.0).whole(), [2])
    assert (found.wait_p99, found.wait_p99_interval95) == (None, None)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.003, 0.009), "of 3 ms to 9 ms"),
        ((0.0, 0.0007), "of up to 0.7 ms"),
        ((0.0, 0.0), "of 0 ms"),
        (None, "without bound, for the peak is more than they carry"),
    ],
)
def test_in_words(ends: tuple[float, float] | None, said: str) -> None:
    """A short sentence."""
    found = NextDay(pool_size=22, wait_p99=ends and ends[1], wait_p99_interval95=ends)
    assert in_words(found) == f"tomorrow, with 22 connections: p99 wait {said}"
