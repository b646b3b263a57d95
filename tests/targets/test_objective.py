"""What is asked of the fleet, and of one pool."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.targets.objective import Objective, lost_with_zone
from poolkit.targets.together import locking_floor
from tests.recommend.examples import http_target


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
    objective = Objective(
        target_rate=400.0, wait_p99=0.01, growth=1.5, replicas=replicas, workers=workers
    )
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
        {"tasks": 0},
        {"connections_per_task": 0},
        {"headroom": -0.1},
        {"headroom": float("nan")},
        {"lost_replicas": 1},  # of one
        {"replicas": 3, "lost_replicas": 3},
        {"lost_replicas": -1},
        {"max_connections": 0},
        {"used_connections": -1},
        {"surge": -1},
    ],
)
def test_impossible_objectives_are_refused(wrong: dict[str, Any]) -> None:
    """The message names the field and the value."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Objective.model_validate({"target_rate": 100.0, "wait_p99": 0.01, **wrong})


@pytest.mark.parametrize(
    ("changes", "lost", "left"),
    [
        ({"replicas": 1}, 0, 1),
        ({"replicas": 4}, 1, 3),  # one by default, where there are several
        ({"replicas": 4, "lost_replicas": 0}, 0, 4),
        ({"replicas": 4, "lost_replicas": 3}, 3, 1),
        ({"replicas": 6, "workers": 2, "lost_replicas": 2}, 2, 8),
    ],
)
def test_replicas_that_may_be_lost(changes: dict[str, Any], lost: int, left: int) -> None:
    """The pools of those that are left carry the whole rate."""
    objective = Objective(target_rate=400.0, wait_p99=0.01, **changes)
    assert (objective.lost, objective.pools_left) == (lost, left)


@pytest.mark.parametrize(
    ("replicas", "zones", "lost"), [(6, 3, 2), (7, 3, 3), (3, 3, 1), (2, 5, 1)]
)
def test_a_lost_zone(replicas: int, zones: int, lost: int) -> None:
    """The fullest zone goes down."""
    assert lost_with_zone(replicas, zones) == lost
    target = http_target(replicas=replicas, zones=zones)
    assert target.lost == lost


@pytest.mark.parametrize(
    ("changes", "cap", "words"),
    [
        ({}, 64, "max_size = 64"),
        ({"max_connections": 100}, 64, "max_size = 64"),
        (
            {"max_connections": 100, "reserved_connections": 3, "used_connections": 57},
            40,
            "the server's budget of 40 connections (100 max_connections - 3 reserved - 57 used by "
            "others)",
        ),
        (
            {"max_connections": 50, "used_connections": 60},  # the others have them all
            0,
            "the server's budget of 0 connections (50 max_connections - 60 used by others)",
        ),
    ],
)
def test_the_servers_budget(changes: dict[str, Any], cap: int, words: str) -> None:
    """What the server has left for the fleet counts where it is less than max_size."""
    objective = Objective(target_rate=400.0, wait_p99=0.01, replicas=4, **changes)
    assert (objective.cap, objective.largest) == (cap, cap // 4)
    assert objective.cap_in_words == words


def test_a_target_is_an_objective() -> None:
    """What targets.toml asks is what is sized for, its defaults filled in."""
    target = http_target(
        response_p99=0.2, max_connections=90, reserved_connections=3, used_connections=40,
        replicas=2, workers=2, lost_replicas=0, tasks=2, connections_per_task=3,
    )  # fmt: skip
    assert isinstance(target, Objective)
    assert (target.wait_p99, target.max_size, target.floor, target.lost) == (None, 47, 5, 0)
    assert not target.asks_as_soon


@pytest.mark.parametrize(
    ("tasks", "held", "floor"), [(1, 1, 1), (40, 1, 1), (1, 3, 3), (3, 2, 4), (40, 3, 81)]
)
def test_the_floor_of_pool_locking(tasks: int, held: int, floor: int) -> None:
    """With one connection less, every task can hold all but its last, and none goes on."""
    assert locking_floor(tasks, held) == floor
    taken_when_all_are_stuck = tasks * (held - 1)
    assert floor == taken_when_all_are_stuck + 1


@pytest.mark.parametrize(
    ("changes", "largest", "cap"),
    [
        ({}, 3, 30),
        ({"surge": 8}, 3, 30),  # 18 pools of 3 are 54
        ({"surge": 9}, 3, 30),  # 19 are 57, all that is left
        ({"surge": 10}, 2, 20),
        ({"surge": 10, "workers": 2}, 1, 20),
        ({"surge": 19}, 1, 10),
        ({"surge": 10, "max_size": 10}, 1, 10),
        ({"surge": 60}, 0, 0),
    ],
)
def test_a_rolling_deploy_needs_room_too(changes: dict[str, Any], largest: int, cap: int) -> None:
    """(replicas + surge) x workers x size stays within 60 - 3; max_size counts the usual pools."""
    asked = {"max_size": 30, "max_connections": 60, "reserved_connections": 3, "replicas": 10}
    objective = Objective(target_rate=900.0, **(asked | changes))
    assert (objective.largest, objective.cap) == (largest, cap)
    assert objective.pools_rolling * objective.largest <= 57


def test_the_room_of_a_rolling_deploy_is_told() -> None:
    """Where the surge is what limits, and only there."""
    asked = {"max_size": 30, "max_connections": 60, "replicas": 10, "target_rate": 900.0}
    assert Objective(**asked, surge=1).cap_in_words == "max_size = 30"
    assert Objective(**asked, surge=11).cap_in_words == (
        "the server's budget of 60 connections (60 max_connections), shared by 21 pools while a "
        "deploy rolls,"
    )
