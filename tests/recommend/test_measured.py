"""What a probe measured stands in the parameters and in pools.py, in place of a default."""

from __future__ import annotations

import pytest

from poolkit.recommend import recommend, unreachable, with_measured
from poolkit.records import Parameter, Recommendation
from poolkit.review import codegen
from poolkit.targets import Target
from tests.recommend.examples import (
    database_target,
    http_target,
    sizing,
    verification,
    verifying_trial,
)


def measured(name: str, value: float | bool, unit: str = "s") -> Parameter:
    because = "an idle connection is closed after 5 s; less than that"
    return Parameter(name=name, value=value, unit=unit, because=because, source="measured")


def recommended(target: Target) -> Recommendation:
    return recommend(target, sizing(), verification(), [verifying_trial()], "done", 30.0)


@pytest.mark.parametrize(
    ("target", "rows", "code"),
    [
        (http_target(), [measured("keepalive_timeout", 4.0)], "keepalive_timeout=4.0"),
        (
            http_target(driver="httpx"),
            [measured("keepalive_expiry", 4.0)],
            "keepalive_expiry=4.0",
        ),
        (
            database_target(),
            [measured("max_inactive_connection_lifetime", 4.0), measured("min_size", 0, "")],
            "max_inactive_connection_lifetime=4.0",
        ),
        (
            database_target(driver="sqlalchemy"),
            [measured("pool_recycle", 4.0), measured("pool_pre_ping", True, "")],
            "pool_recycle=4.0",
        ),
        (
            database_target(driver="psycopg"),
            [measured("max_idle", 4.0), measured("check", True, "")],
            "check=PsycopgPool.check_connection",
        ),
    ],
)
def test_a_measured_value_replaces_the_default(
    target: Target, rows: list[Parameter], code: str
) -> None:
    """With its own reason, in its place in the table and in the code; the size stays."""
    before = recommended(target)
    after = with_measured(before, target, rows)
    found = {row.name: row for row in after.parameters}
    assert [found[row.name] for row in rows] == rows
    names = [row.name for row in before.parameters]
    assert [row.name for row in after.parameters][: len(names)] == names
    assert after.recommended_size == before.recommended_size
    source = codegen.render([after], [target])
    assert code in source
    assert code not in codegen.render([before], [target])
    assert "closed after 5 s" in source


def test_what_the_file_sets_stays_and_tells_the_measured_value() -> None:
    """Every trial ran with it, so it is not changed behind the reader's back."""
    target = http_target(driver="httpx", keepalive_timeout=9.0)
    after = with_measured(recommended(target), target, [measured("keepalive_expiry", 4.0)])
    row = next(row for row in after.parameters if row.name == "keepalive_expiry")
    assert row.value == 9.0
    assert "poolkit probe finds 4.0 s: an idle connection is closed after 5 s" in row.because


def test_a_target_without_a_size_gets_no_parameters() -> None:
    """A probe alone makes no pool."""
    target = http_target()
    dead = unreachable(target, "refused", "start it")
    assert with_measured(dead, target, [measured("keepalive_timeout", 4.0)]) == dead


def test_a_switch_that_the_load_showed_to_be_needed_is_not_taken_back() -> None:
    """Disconnects under load ask for pre_ping; a probe that saw no end looked at idle ones only."""
    target = database_target(driver="sqlalchemy")
    before = recommended(target)
    rows = tuple(
        measured(row.name, True, "") if row.name == "pool_pre_ping" else row
        for row in before.parameters
    )
    before = before.model_copy(update={"parameters": rows})
    after = with_measured(before, target, [measured("pool_pre_ping", False, "")])
    (row,) = [row for row in after.parameters if row.name == "pool_pre_ping"]
    assert row.value is True
    assert "poolkit probe finds False" in row.because
