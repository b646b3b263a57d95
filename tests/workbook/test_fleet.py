"""The connections of one database over the processes of a fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolkit.errors import BadInput
from poolkit.panels import Findings
from poolkit.workbook import fleet
from poolkit.workbook.fleet import Fleet

OURS = Fleet(replicas=3, workers=1, max_connections=100, reserved=3, in_use=20)


def test_room_is_what_nobody_else_has() -> None:
    """max_connections - reserved - in use."""
    assert OURS.room == 77


def test_the_sum_of_the_pools_keeps_to_the_room(database: Findings) -> None:
    """Whatever the fleet, replicas x workers x size fits, or there is no size and a reason."""
    for replicas, workers in ((1, 1), (2, 1), (3, 1), (3, 2), (6, 2)):
        found = fleet.plan(database, replace(OURS, replicas=replicas, workers=workers))
        if found.size is None:
            assert found.answer.because
            assert fleet.budget(found) is None
            continue
        assert found.connections == replicas * workers * found.size <= OURS.room
        assert found.most_replicas is not None
        assert found.most_replicas >= replicas


def test_a_fleet_without_a_connection_for_each_process_is_refused(database: Findings) -> None:
    """At the limit: as many connections as processes may be planned, one fewer may not."""
    fleet.plan(database, Fleet(4, 2, 8, 0, 0))
    with pytest.raises(BadInput, match="8 processes share 7 connections"):
        fleet.plan(database, Fleet(4, 2, 8, 0, 1))


def test_pools_need_more_than_one_pool_for_all(database: Findings) -> None:
    """Dividing the load costs connections: the first row of the table is the smallest sum."""
    rows = fleet.cases(fleet.plan(database, OURS)).records()
    sums = [int(row["of all pools"]) for row in rows if row["of all pools"] != "–"]
    assert len(sums) >= 2
    assert sums[0] == min(sums)


def test_more_rate_or_slower_calls_never_need_fewer(database: Findings) -> None:
    """Along each row and each column of the what-if grid sizes grow, until none will do."""
    table = fleet.sizes(fleet.plan(database, OURS))
    sizes = [
        [1_000 if cell == "none will do" else int(cell) for cell in row[1:]] for row in table.rows
    ]
    assert sizes[0][0] < 1_000
    assert all(row == sorted(row) for row in sizes)
    assert all(list(column) == sorted(column) for column in zip(*sizes, strict=True))


def test_the_budget_names_the_state_that_breaks_it(database: Findings) -> None:
    """Scaled out with the pools as they are, a fleet that just fits does not fit any more."""
    found = fleet.plan(database, OURS)
    drawn = fleet.budget(found)
    assert drawn is not None
    assert found.connections is not None
    left = {case.name: drawn.left(case) for case in drawn.cases}
    assert left["now"] == OURS.room - found.connections
    assert left["scaled out"] == OURS.room - fleet.AUTOSCALED * found.connections
    assert left["one replica lost"] > left["now"] > left["rolled out, one more"]


def test_a_pooler_needs_the_load_and_not_the_fleet(database: Findings) -> None:
    """Its server side carries the offered load whatever the fleet; its client side the fleet."""
    small, large = (
        fleet.pooler(fleet.plan(database, replace(OURS, replicas=count))) for count in (2, 3)
    )
    assert small is not None
    assert large is not None
    assert small.default_pool_size == large.default_pool_size >= small.offered_load
    assert small.reserve_pool_size >= 1
    assert small.max_client_conn > fleet.AUTOSCALED * 2
    settings = {row[0]: row[1] for row in fleet.pooler_settings(fleet.plan(database, OURS)).rows}
    assert settings["pool_mode"] == "transaction"
    assert settings["default_pool_size"] == str(large.default_pool_size)
    assert settings["max_client_conn"] == str(large.max_client_conn)
