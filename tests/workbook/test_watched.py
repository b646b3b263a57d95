"""The lesson about exhausted pools: what was recorded is true of the program as it stands."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.lab import leaky
from poolkit.monitor import pool_locking_floor
from poolkit.report.source import VARIABLE
from poolkit.show.before_after import SERVICE
from poolkit.workbook import watched
from poolkit.workbook.watched import LOCKERS, PER_TASK, WatchedRuns, basenames


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> WatchedRuns:
    monkeypatch.setenv(VARIABLE, "recorded")
    return asyncio.run(watched.watch_faults())


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


def test_a_site_is_shown_without_its_folders(found: WatchedRuns) -> None:
    """Folders differ from machine to machine; file, line and function do not."""
    (first, *_) = found.leaking.snapshot.holders
    away = dataclasses.replace(first, where="somewhere/else/leaky.py:35 in export")
    seen = dataclasses.replace(found.leaking.snapshot, holders=(away,))
    assert basenames(seen).holders[0].where == "leaky.py:35 in export"


def test_a_recording_of_another_version_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of results with a comparison that cannot be read names the file and the cure."""
    (tmp_path / SERVICE).write_text("{}")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(BadInput, match=r"service\.json is not a poolkit.service/1 document"):
        asyncio.run(watched.compare_service())
