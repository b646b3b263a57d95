"""Probing from a cell: what a folder keeps, and a target that does not answer."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from poolkit.errors import BadInput, PoolkitError
from poolkit.report.source import VARIABLE, shared
from poolkit.workbook import lifecycle
from poolkit.workbook.kept import DATABASE, WEB
from poolkit.workbook.probing import RECORDED, finished, probed


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


def test_tables_and_charts_of_what_was_probed() -> None:
    """Every part speaks of both targets; where nothing was found a sentence says so."""
    probes = asyncio.run(probed(environment={VARIABLE: "recorded"}))
    assert {row[0] for row in lifecycle.limits(probes).rows} == {DATABASE, WEB}
    assert {"pool_recycle", "keepalive_timeout"} <= {
        row[1] for row in lifecycle.parameters(probes).rows
    }
    assert all(row[2] != "✗ failed" for row in lifecycle.checks(probes).rows)
    for part in (lifecycle.storm, lifecycle.stale, lifecycle.costs):
        assert WEB in repr(part(probes))
        assert DATABASE in repr(part(probes))
    assert "4 of 12 calls failed" in lifecycle.worst(probes)
    bare = [
        probe.model_copy(update={"proof": None, "costs": None, "stale": (), "names": None})
        for probe in probes
    ]
    assert "No value had to be proven" in repr(lifecycle.storm(bare))
    assert repr(lifecycle.costs(bare)) == "No cost was measured."
    assert repr(lifecycle.stale(bare)) == lifecycle.worst(bare) == "No connection was cut."
    assert lifecycle.names(bare).rows == ()


def test_a_probe_that_is_in_doubt_fails_its_check() -> None:
    """Cut short, unproven, or at random."""
    probe = asyncio.run(probed([WEB], environment={VARIABLE: "recorded"}))[0]
    assert probe.proof is not None
    unproven = probe.proof.model_copy(update={"holds": False})
    at_random = probe.idle[0].model_copy(update={"kind": "random", "timeout": None})
    doubtful = probe.model_copy(
        update={"status": "stopped", "proof": unproven, "idle": (at_random,)}
    )
    table = lifecycle.checks([doubtful])
    assert [row[1] for row in table.rows if row[2] == "✗ failed"] == [
        "went to its end",
        "idle: not at random",
        "the value was proven",
    ]
