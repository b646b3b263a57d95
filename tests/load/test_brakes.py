"""The brakes: which counts stop a trial, and which do not."""

from __future__ import annotations

import pytest

from poolkit.errors import BrakeStop
from poolkit.load.brakes import Brakes

CALM = {"finished": 0, "failed": 0, "rejected": 0, "in_system": 0}


@pytest.mark.parametrize(
    ("counts", "brake"),
    [
        ({}, None),
        ({"finished": 10_000}, None),
        ({"finished": 19, "failed": 19}, None),
        ({"finished": 20, "failed": 1}, None),
        ({"finished": 20, "failed": 2}, "error_share"),
        ({"finished": 1000, "failed": 50}, None),
        ({"finished": 1000, "failed": 51}, "error_share"),
        ({"finished": 1000, "failed": 80, "rejected": 60}, "rejected"),
        ({"finished": 5_000_000}, "calls"),
        ({"in_system": 20_000}, None),
        ({"in_system": 20_001}, "backlog"),
    ],
)
def test_which_counts_stop_a_trial(counts: dict[str, int], brake: str | None) -> None:
    """At the limit a trial goes on, past it it stops, and the brake says its name and a remedy."""
    if brake is None:
        Brakes().check(**{**CALM, **counts})
        return
    with pytest.raises(BrakeStop) as caught:
        Brakes().check(**{**CALM, **counts})
    assert caught.value.brake == brake
    assert caught.value.remedy
