"""The brakes: which counts stop a trial, and which do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from poolkit.errors import BrakeStop
from poolkit.load.brakes import NO_CONNECTION, Brakes, Counts, held_limit


def held(*runs: tuple[int, float]) -> np.ndarray:
    """Hold times from (how many calls, s each)."""
    return np.concatenate([np.full(count, seconds) for count, seconds in runs])


@pytest.mark.parametrize(
    ("counts", "brake"),
    [
        ({}, None),
        ({"finished": 10_000}, None),
        ({"finished": 19, "failed": 19}, None),
        ({"finished": 20, "failed": 1}, None),
        ({"finished": 20, "failed": 2, "kinds": {"http_500": 2}}, "error_share"),
        ({"finished": 1000, "failed": 50}, None),
        ({"finished": 1000, "failed": 51}, "error_share"),
        ({"finished": 1000, "failed": 80, "rejected": 60}, "rejected"),
        ({"in_system": 20_000}, None),
        ({"in_system": 20_001}, "backlog"),
        ({"connections": 8}, None),
        ({"connections": 9}, "connections"),
        ({"no_connection": {"connection_refused": 4}}, None),
        ({"no_connection": {"connection_refused": 5}}, "refused"),
        ({"no_connection": {"connection_refused": 2, "host_not_found": 3}}, "refused"),
        ({"silent_for": 15.0, "in_system": 1}, None),
        ({"silent_for": 15.1, "in_system": 1}, "silence"),
        ({"held": held((4, 11.0))}, None),
        ({"held": held((5, 10.0))}, None),
        ({"held": held((5, 11.0))}, "p99"),
        ({"held": held((4, 0.1), (1, 11.0))}, None),
        ({"held": held((3, 0.1), (2, 11.0))}, "p99"),
        ({"held": held((990, 0.1), (10, 11.0))}, None),
        ({"held": held((989, 0.1), (11, 11.0))}, "p99"),
    ],
)
def test_which_counts_stop_a_trial(counts: dict[str, Any], brake: str | None) -> None:
    """At the limit a trial goes on, past it it stops, and the brake says its name and a remedy."""
    brakes = Brakes(max_connections=8)
    if brake is None:
        brakes.check(Counts(**counts))
        return
    with pytest.raises(BrakeStop) as caught:
        brakes.check(Counts(**counts))
    assert caught.value.brake == brake
    assert caught.value.remedy


@pytest.mark.parametrize("kind", sorted(NO_CONNECTION))
def test_a_call_without_a_connection_has_its_own_remedy(kind: str) -> None:
    """What to do depends on why there was no connection, and the brake says that."""
    with pytest.raises(BrakeStop) as caught:
        Brakes().check(Counts(no_connection={kind: 5}))
    assert NO_CONNECTION[kind] in caught.value.remedy
    assert kind.replace("_", " ") in caught.value.seen


@pytest.mark.parametrize(
    ("response_p99", "limit"), [(None, 10.0), (0.001, 1.0), (0.1, 1.0), (0.11, 1.1), (3.0, 30.0)]
)
def test_the_limit_follows_what_is_asked_of_the_target(
    response_p99: float | None, limit: float
) -> None:
    """Ten times response_p99, never less than 1 s; 10 s where none is asked."""
    assert held_limit(response_p99) == pytest.approx(limit)


def test_the_error_share_names_the_usual_kind() -> None:
    """What failed most is named, with its own remedy where it has one."""
    kinds = {"http_500": 2, "too_many_open_files": 8}
    with pytest.raises(BrakeStop) as caught:
        Brakes().check(Counts(finished=100, failed=10, kinds=kinds))
    assert caught.value.seen == "10 of 100 calls failed (too many open files)"
    assert "ulimit -n" in caught.value.remedy
