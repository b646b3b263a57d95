"""Which trials of before count for what is asked now."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.measure.resume import counting, is_of_question, resumed
from poolkit.records import Trial
from tests.analysis.test_cold import start
from tests.measure.test_replicas import seen
from tests.recommend.examples import http_target, trial, verifying_trial

LOST = {"purpose": "lost_replica", "pools": 4, "change": seen()}
SURGE = {"purpose": "surge", "pools": 5, "change": seen(kind="surge", pools_after=5)}


@pytest.mark.parametrize(
    ("asked", "changes", "counts"),
    [
        ({}, {}, True),
        ({"target_rate": 600.0}, {}, False),
        ({"growth": 1.2}, {}, False),
        ({"target_rate": 600.0}, {"arrival_rate": 600.0}, True),
        ({"target_rate": 400.0, "growth": 1.25}, {}, True),  # the same rate, written otherwise
        ({}, {"purpose": "overload", "arrival_rate": 600.0}, True),
        ({"target_rate": 600.0}, {"purpose": "overload", "arrival_rate": 600.0}, False),
        ({}, {"purpose": "recovery", "arrival_rate": 250.0}, True),
        ({}, {"purpose": "recovery", "arrival_rate": 300.0}, False),
        ({"replicas": 4}, {}, False),  # three pools must carry it, and one did
        ({"replicas": 4}, {"pools": 3}, True),
        ({"target_rate": 600.0}, {"purpose": "approach"}, True),
        ({"max_size": 100, "wait_p99": 0.002}, {}, True),
        ({}, {"purpose": "cold", "cold": start()}, True),
        ({"replicas": 4}, {"purpose": "cold", "cold": start(), "pools": 4}, True),  # all begin
        ({"wait_p99": 0.002}, {"purpose": "cold", "cold": start()}, False),
        ({"target_rate": 600.0}, {"purpose": "cold", "cold": start()}, False),
        ({"replicas": 4}, LOST, True),
        ({"replicas": 4, "lost_replicas": 2}, LOST, False),
        ({"replicas": 4, "wait_p99": 0.002}, LOST, False),
        ({"replicas": 4, "target_rate": 600.0}, LOST, False),
        ({"replicas": 4, "surge": 1, "max_connections": 200}, SURGE, True),
        ({"replicas": 4, "surge": 2, "max_connections": 200}, SURGE, False),
    ],
)
def test_a_size_in_service_counts_at_its_rate_only(
    asked: dict[str, Any], changes: dict[str, Any], counts: bool
) -> None:
    """A verification at 500 calls/s says nothing of 600, nor of other pools."""
    assert is_of_question(verifying_trial(**changes), http_target(**asked)) is counts


def test_the_curve_counts_at_any_rate_and_a_stopped_trial_never() -> None:
    """In order, and nothing else is left out."""
    curve, stopped = trial(seed=2), trial(seed=3, stopped="errors")
    there = [verifying_trial(), curve, stopped, trial(seed=4)]
    assert counting(there, http_target(target_rate=9.0)) == [curve, there[3]]
    assert counting(there, http_target()) == [there[0], curve, there[3]]


@pytest.mark.parametrize(
    ("stopped", "counts"),
    [("rejected", True), ("error_share", True), ("refused", False), ("generators", False)],
)
def test_a_storm_that_the_server_turned_away_counts(stopped: str, counts: bool) -> None:
    """It is what the start was to show, even as the first of all; a server that is gone is not."""
    storm = verifying_trial(purpose="cold", cold=start(refused=9), stopped=stopped)
    assert counting([storm], http_target()) == [storm] * counts


def test_the_oldest_and_the_newest_are_known() -> None:
    """By when they began, in whatever order they stand."""

    def at(hour: int) -> Trial:
        return trial(started=f"2026-11-21T{hour:02}:00:00+00:00")

    found = resumed([at(9), at(8), at(10)])
    assert found is not None
    assert (found.trials, found.oldest[11:13], found.newest[11:13]) == (3, "08", "10")
    assert resumed([]) is None
