"""A fleet is the target's own where targets.toml tells of it; what is invented is named."""

from __future__ import annotations

import pytest

from poolkit.targets.objective import Objective
from poolkit.workbook.fleet import Fleet, fleet_of

ALONE = Objective(target_rate=330)
OWN = Objective(target_rate=330, replicas=4, workers=2, max_connections=200, reserved_connections=5)


@pytest.mark.parametrize(
    ("asked", "given", "fleet", "said"),
    [
        (
            ALONE,
            {},
            (3, 1, 100, 3, 20),
            "An example, as targets.toml does not say: 3 replicas and max_connections 100, "
            "3 reserved, 20 in use.",
        ),
        (OWN, {}, (4, 2, 200, 5, 0), ""),
        (OWN, {"replicas": 6}, (6, 2, 200, 5, 0), ""),
        (OWN, {"max_connections": 90, "in_use": 7}, (4, 2, 90, 0, 7), ""),
        (
            ALONE,
            {"max_connections": 90},
            (3, 1, 90, 0, 0),
            "An example, as targets.toml does not say: 3 replicas.",
        ),
        (ALONE, {"replicas": 2, "max_connections": 90, "reserved": 3}, (2, 1, 90, 3, 0), ""),
    ],
)
def test_the_targets_own_fleet_comes_first(
    asked: Objective, given: dict[str, int], fleet: tuple[int, ...], said: str
) -> None:
    """Then the reader's, then an example; reserved and in use go with max_connections."""
    found = fleet_of(asked, **given)
    assert found == Fleet(*fleet, found.invented)
    assert found.words == said
    assert found.processes == fleet[0] * fleet[1]
    assert found.question["max_connections"] == found.room == fleet[2] - fleet[3] - fleet[4]
