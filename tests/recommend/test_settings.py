"""What the target sets of its library stands in the table and in the code as it was measured."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.recommend import parameters
from poolkit.records import Parameter, Recommendation
from poolkit.review import codegen
from poolkit.targets import Target
from tests.recommend.examples import database_target, http_target, sizing, verifying_trial

URLS = ("http://127.0.0.1:8080/orders", "http://127.0.0.1:8081/orders")


def rows(target: Target, size: int = 14) -> dict[str, Parameter]:
    found = parameters(target, sizing(target=target.name), verifying_trial(), size=size)
    assert len({row.name for row in found}) == len(found)
    return {row.name: row for row in found}


def of_hosts(**more: Any) -> Target:
    return http_target(url=None, urls=URLS, **more)


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        (http_target(keepalive_timeout=4.0), "keepalive_timeout", 4.0),
        (http_target(driver="httpx", keepalive_timeout=4.0), "keepalive_expiry", 4.0),
        (http_target(ttl_dns_cache=60), "ttl_dns_cache", 60),
        (database_target(statement_cache_size=0), "statement_cache_size", 0),
        (database_target(reset=False), "reset", False),
        (database_target(setup="orders_db:before"), "setup", "orders_db:before"),
        (database_target(driver="sqlalchemy", pool_pre_ping=True), "pool_pre_ping", True),
        (database_target(driver="sqlalchemy", pool_recycle=60.0), "pool_recycle", 60.0),
        (database_target(driver="psycopg", max_waiting=7), "max_waiting", 7),
        (database_target(driver="psycopg", timeout=2.0), "timeout", 2.0),
    ],
)
def test_a_setting_is_recommended_as_it_was_measured(
    target: Target, name: str, value: object
) -> None:
    """Its own value and reason, in the place of what poolkit would choose."""
    row = rows(target)[name]
    assert row.value == value
    assert "targets.toml" in row.because


def test_no_setting_is_shown_where_none_is_given() -> None:
    """Rows of settings are only there where they matter."""
    assert not {"reset", "init", "setup", "statement_cache_size"} & set(rows(database_target()))


@pytest.mark.parametrize(
    ("size", "overflow", "shown"), [(14, 4, (10, 4)), (14, 0, (14, 0)), (3, 8, (1, 2))]
)
def test_an_overflow_is_part_of_the_size(size: int, overflow: int, shown: tuple[int, int]) -> None:
    """pool_size + max_overflow is what was measured, and the dials that it costs are told."""
    found = rows(database_target(driver="sqlalchemy", max_overflow=overflow), size)
    assert (found["pool_size"].value, found["max_overflow"].value) == shown
    assert "0.25 dials/s" in found["max_overflow"].because


@pytest.mark.parametrize(
    ("sweep", "limits", "measured"),
    [
        (None, (14, 14), "limit"),
        ("limit", (14, 0), "limit"),
        ("limit_per_host", (14, 7), "limit_per_host"),
    ],
)
def test_the_limits_of_several_hosts(sweep: Any, limits: tuple[int, int], measured: str) -> None:
    """As they were while it was measured; the swept one carries the reason of the size."""
    found = rows(of_hosts(sweep=sweep))
    assert (found["limit"].value, found["limit_per_host"].value) == limits
    assert found[measured].source == "measured"
    assert "2 hosts" in found["limit"].because


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (database_target(statement_cache_size=0), "statement_cache_size=0,"),
        (database_target(reset=False), "# Measured with reset = False"),
        (database_target(driver="sqlalchemy", max_overflow=4), "max_overflow=4,"),
        (database_target(driver="sqlalchemy", max_overflow=4), "pool_size=10,"),
    ],
)
def test_the_code_says_it_too(target: Target, line: str) -> None:
    """Whoever pastes the code gets what was measured, or is told what else to pass."""
    recommendation = Recommendation(
        target=target.name,
        driver=target.driver,
        status="done",
        target_rate=target.target_rate,
        recommended_size=14,
        parameters=tuple(rows(target).values()),
    )
    assert line in codegen.render([recommendation], [target])
