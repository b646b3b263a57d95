"""The lesson about exhausted pools: what was recorded is true, and what its tables say."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from pathlib import Path

import pytest

from poolkit.audit import RULES
from poolkit.errors import BadInput
from poolkit.lab import leaky
from poolkit.monitor import pool_locking_floor
from poolkit.report.source import VARIABLE
from poolkit.workbook import diagnosis
from poolkit.workbook.watched import LOCKERS, PER_TASK, WatchedRuns, basenames


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> WatchedRuns:
    monkeypatch.setenv(VARIABLE, "recorded")
    return asyncio.run(diagnosis.watch_faults())


def test_the_recorded_lines_are_those_of_the_program(found: WatchedRuns) -> None:
    """Each call site names the line that asks for a connection now; else record it anew."""
    lines = inspect.getsource(leaky).splitlines()
    runs = (found.leaking, found.leak_cured, *found.locks, found.lock_cured)
    places = {place.where for run in runs for place in run.snapshot.places}
    places |= {holder.where for run in runs for holder in run.snapshot.holders}
    assert len(places) >= 5
    for where in places:
        file, _, rest = where.partition(":")
        assert file == "leaky.py"
        assert "acquire(" in lines[int(rest.split()[0]) - 1], where


def test_the_leak_is_the_export_s_and_the_cure_leaves_none(found: WatchedRuns) -> None:
    """Every lost connection was taken there; cured, nobody is turned away."""
    lost = found.leaking.snapshot.never_came_back
    assert len(lost) == found.leaking.pool_size
    assert all(holder.where.endswith(" in export") for holder in lost)
    assert found.leaking.turned_away > 0
    assert found.leak_cured.snapshot.never_came_back == ()
    assert found.leak_cured.turned_away == 0
    assert found.leaking.gauges["poolkit_pool_available"] == 0


def test_the_deadlock_ends_at_the_floor(found: WatchedRuns) -> None:
    """Below it no task ends; at it, and with the cure, all do."""
    floor = pool_locking_floor(LOCKERS, PER_TASK)
    assert [run.pool_size for run in found.locks] == [4, floor - 1, floor]
    assert [run.done for run in found.locks] == [0, 0, LOCKERS]
    assert {run.snapshot.deadlock.floor for run in found.locks if run.snapshot.deadlock} == {floor}
    assert found.lock_cured.done == LOCKERS
    assert [row[3] for row in diagnosis.locks(found).rows] == [
        "✗ deadlock",
        "✗ deadlock",
        "✓ none",
        "✓ none",
    ]


def test_a_site_is_shown_without_its_folders(found: WatchedRuns) -> None:
    """Folders differ from machine to machine; file, line and function do not."""
    (first, *_) = found.leaking.snapshot.holders
    away = dataclasses.replace(first, where="somewhere/else/leaky.py:35 in export")
    seen = dataclasses.replace(found.leaking.snapshot, holders=(away,))
    assert basenames(seen).holders[0].where == "leaky.py:35 in export"


def test_the_audit_of_one_s_own_code_is_counted_by_rule(tmp_path: Path) -> None:
    """Without code the rules alone; with code where each of them finds something."""
    assert diagnosis.rules().columns == ("rule", "what", "notebook")
    source = "import asyncpg\n\nasync def f():\n    pool = await asyncpg.create_pool('x')\n"
    source += "    async with pool.acquire() as c:\n        await c.execute('select 1')\n"
    (tmp_path / "own.py").write_text(source, encoding="utf-8")
    rows = {row[0]: row[3] for row in diagnosis.rules(str(tmp_path)).rows}
    assert rows["no-acquire-timeout"] == "own.py:5"
    assert rows["ssl-off"] == "–"
    assert "no-acquire-timeout" in repr(diagnosis.findings(source))
    assert repr(diagnosis.findings("x = 1\n")) == (
        f"poolkit audit: nothing found by its {len(RULES)} rules."
    )
    with pytest.raises(BadInput, match="does not exist"):
        diagnosis.rules(str(tmp_path / "nowhere"))


def test_a_check_that_fails_is_seen(found: WatchedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that nobody looked at for a while, and a service under another load."""
    monkeypatch.setenv(VARIABLE, "recorded")
    service = asyncio.run(diagnosis.compare_service())
    assert all(row[2] == "✓ passed" for row in diagnosis.checks(found, service).rows)
    blind = found.leaking.model_copy(update={"moments": found.leaking.moments[:2]})
    other = service.model_copy(
        update={"after": service.after.model_copy(update={"calls": service.after.calls + 1})}
    )
    table = diagnosis.checks(found.model_copy(update={"leaking": blind}), other)
    assert [row[1] for row in table.rows if row[2] == "✗ failed"] == [
        "looked on all the while",
        "the same load twice",
    ]
