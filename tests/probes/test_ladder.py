"""The plan of silences: fine enough, in time, within the connections allowed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.probes.ladder import OVER, SLACK, plan


@given(st.floats(1.0, 600.0), st.integers(1, 64))
def test_every_silence_ends_in_time_on_the_connections_there_are(
    cap: float, connections: int
) -> None:
    """Each asked silence of t ends by 1.3 t and 10 s, and no more run at once than allowed."""
    rungs = plan(cap, connections)
    assert all(rung.start + rung.idle <= OVER * rung.idle + SLACK for rung in rungs)
    edges = [(rung.start, 1) for rung in rungs] + [(r.start + r.idle, -1) for r in rungs]
    running = most = 0
    for _, change in sorted(edges):
        running += change
        most = max(most, running)
    assert most <= connections
    assert max(rung.idle for rung in rungs) == cap


@pytest.mark.parametrize("cap", [5.0, 20.0, 75.0, 300.0])
def test_the_middle_between_two_rungs_is_near_enough(cap: float) -> None:
    """With 39 connections the middle is within 0.5 s or 5 % of any timeout in between."""
    asked = sorted(rung.idle for rung in plan(cap, 39) if rung.is_asked)
    for low, high in pairwise([0.0, *asked]):
        assert (high - low) / 2 <= max(0.5, 0.05 * high)
