"""Netflix's Gradient2 over a curve whose resting point is known."""

from __future__ import annotations

import pytest

from poolkit.analysis.rules_of_thumb import QUEUE, TOLERANCE, settled_limit


@pytest.mark.parametrize("workers", [4, 24, 100])
def test_it_rests_where_a_burst_is_half_slower_than_usual(workers: int) -> None:
    """Beyond the workers R = L * S / workers, so L = T * workers + Q."""
    hold = 0.02
    found = settled_limit(lambda n: max(n / workers, 1.0) * hold, hold, 1000.0)
    assert found == pytest.approx(TOLERANCE * workers + QUEUE, rel=0.01)


def test_an_upstream_that_never_slows_down_has_no_limit() -> None:
    """Then what is known ends first."""
    assert settled_limit(lambda n: 0.02, 0.02, 64.0) == 64.0


def test_everyday_traffic_that_is_slow_already_raises_it() -> None:
    """The rule compares with what is usual, whatever that is."""
    calm, busy = (
        settled_limit(lambda n: max(n / 24, 1.0) * 0.02, usual, 1000.0) for usual in (0.02, 0.03)
    )
    assert busy > 1.3 * calm
