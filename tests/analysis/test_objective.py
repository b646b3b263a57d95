"""What is asked of the fleet, and of one pool."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.analysis.objective import Objective


@pytest.mark.parametrize(
    ("replicas", "workers", "left", "rate", "largest"),
    [
        (1, 1, 1, 600.0, 64),  # one pool cannot be lost
        (1, 4, 4, 150.0, 16),  # one replica of four workers neither
        (2, 1, 1, 600.0, 32),  # the other one carries all
        (4, 2, 6, 100.0, 8),
    ],
)
def test_a_lost_replica(replicas: int, workers: int, left: int, rate: float, largest: int) -> None:
    """With more than one replica, all but one of them carry the whole rate; the cap counts all."""
    objective = Objective(400.0, 0.01, growth=1.5, replicas=replicas, workers=workers)
    assert objective.pools_left == left
    assert objective.rate_per_pool == pytest.approx(rate)
    assert objective.largest == largest


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_rate": 0.0},
        {"wait_p99": 0.0},
        {"growth": -1.0},
        {"response_p99": 0.0},
        {"max_size": 0},
        {"replicas": 0},
        {"floor": 0},
        {"allowance": 0.0},
        {"allowance": 1.0},
    ],
)
def test_impossible_objectives_are_refused(wrong: dict[str, Any]) -> None:
    """The message names the field and the value."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Objective(**{"target_rate": 100.0, "wait_p99": 0.01, **wrong})
