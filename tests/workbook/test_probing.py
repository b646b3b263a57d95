"""Probing from a cell: what a folder keeps, and a target that does not answer."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from poolkit.errors import BadInput, PoolkitError
from poolkit.events import Done, Step
from poolkit.report.source import VARIABLE, shared
from poolkit.workbook.probing import DATABASE, RECORDED, WEB, _steps, finished, probed


def test_recorded_probes_come_back_by_name() -> None:
    """All of them, or those that were asked for, in that order."""
    recorded = {VARIABLE: "recorded"}
    assert [p.target for p in asyncio.run(probed(environment=recorded))] == [DATABASE, WEB]
    assert [p.target for p in asyncio.run(probed([WEB], environment=recorded))] == [WEB]
    with pytest.raises(BadInput, match="keeps no probe of orders"):
        asyncio.run(probed(["orders"], environment=recorded))


def test_a_review_s_folder_is_read_and_an_empty_one_is_told(tmp_path: Path) -> None:
    """A folder with probes is replayed; one without says how to make one."""
    source = {VARIABLE: str(tmp_path)}
    assert finished(source) == tmp_path
    assert finished({}) is None
    assert finished({VARIABLE: "lab"}) is None
    with pytest.raises(BadInput, match="keeps no probe of any target"):
        asyncio.run(probed(environment=source))
    shutil.copy(shared(RECORDED) / f"{WEB}.probe.json", tmp_path)
    assert [p.target for p in asyncio.run(probed(environment=source))] == [WEB]


def test_a_target_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """The command's own words, and no result that looks like one."""
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.gone]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:9/"\n'
        "target_rate = 10\nwait_p99 = 0.01\n"
    )
    with pytest.raises(PoolkitError, match="gone could not be probed"):
        asyncio.run(probed(environment=os.environ | {VARIABLE: str(file)}))


def test_the_line_below_the_cell_ends_with_the_probes() -> None:
    """One that has ended is not shown at what it did last."""
    step = Step(target=WEB, what="timing calls", limit=43.0)
    at = Step(target=DATABASE, what="timing dials", limit=9.0)
    running = _steps([[step], [at]])
    assert "timing calls" in running
    ended = _steps([[step, Done(target=WEB, exit_code=0)], [at]])
    assert f"{WEB}: ended; {DATABASE}: timing dials" in ended
