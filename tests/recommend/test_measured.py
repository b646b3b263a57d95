"""What a probe measured stands in the parameters and in pools.py, in place of a default."""

from __future__ import annotations

import pytest

from poolkit.drivers.parameters import probed
from poolkit.drivers.parameters.findings import Findings, IdleLimit
from poolkit.recommend import recommend
from poolkit.records import Parameter
from poolkit.review import codegen
from poolkit.targets import Target
from tests.recommend.examples import database_target, http_target
from tests.review.test_codegen import recommended

CLOSED = Findings(
    IdleLimit(
        kind="closed",
        timeout=5.0,
        bounds=(4.99, 5.01),
        cap=75.0,
        seen="an idle connection is closed after 5 s",
    )
)
LONGER = Findings(IdleLimit(kind="longer", cap=75.0, longer_than=75.0, seen="longer than 75 s"))


def rows(target: Target, probe: Findings, *, disconnects: int = 0) -> dict[str, Parameter]:
    found = recommended(target, probe=probe, disconnects=disconnects)
    return {row.name: row for row in found.parameters}


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (http_target(), "keepalive_timeout=4.0"),
        (http_target(driver="httpx"), "keepalive_expiry=4.0"),
        (database_target(), "max_inactive_connection_lifetime=4.0"),
        (database_target(driver="sqlalchemy"), "pool_recycle=4.0"),
        (database_target(driver="psycopg"), "check=PsycopgPool.check_connection"),
    ],
)
def test_a_measured_value_replaces_the_default(target: Target, code: str) -> None:
    """With its own reason, in its place in the table and in the code; the size stays."""
    before, after = recommended(target), recommended(target, probe=CLOSED)
    found = {row.name: row for row in after.parameters}
    measured = probed(target.driver, CLOSED)
    assert measured
    assert [found[row.name] for row in measured] == list(measured)
    names = [row.name for row in before.parameters]
    assert [row.name for row in after.parameters][: len(names)] == names
    assert after.recommended_size == before.recommended_size
    source = codegen.render([after], [target])
    assert code in source
    assert code not in codegen.render([before], [target])
    assert "closed after 5 s" in " ".join(source.replace("#", " ").split())


def test_what_the_file_sets_stays_and_tells_the_measured_value() -> None:
    """Every trial ran with it, so it is not changed behind the reader's back."""
    row = rows(http_target(driver="httpx", keepalive_timeout=9.0), CLOSED)["keepalive_expiry"]
    assert row.value == 9.0
    assert "poolkit probe finds 4.0 s: an idle connection is closed after 5 s" in row.because


def test_a_target_without_a_size_gets_no_parameters() -> None:
    """A probe alone makes no pool."""
    stopped = recommend(http_target(), None, None, [], "stopped", 0.0, probe=CLOSED)
    assert stopped.parameters == ()


@pytest.mark.parametrize("probe", [Findings(), LONGER])
def test_a_probe_that_saw_no_end_moves_nothing_else(probe: Findings) -> None:
    """Only the rows that it speaks of differ from those without a probe."""
    target = database_target(driver="sqlalchemy")
    without = rows(target, Findings())
    found = rows(target, probe)
    spoken_of = {row.name for row in probed("sqlalchemy", probe)}
    assert {name for name in found if found[name] != without[name]} <= spoken_of


def test_a_switch_that_the_load_showed_to_be_needed_is_not_taken_back() -> None:
    """Disconnects under load ask for pre_ping; a probe that saw no end looked at idle ones only."""
    row = rows(database_target(driver="sqlalchemy"), LONGER, disconnects=3)["pool_pre_ping"]
    assert row.value is True
    assert "poolkit probe finds False" in row.because
