"""The options of gates, and what a review that was not whole comes to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from poolkit.cli.gating import Gating, check_files
from poolkit.cli.reviewing import _gated
from poolkit.errors import BadInput, ExitCode
from poolkit.recommend import unreachable
from poolkit.report.source import RECORDED, shared
from poolkit.review.export import read_recommended
from poolkit.review.outcome import Outcome
from poolkit.review.run import Review
from tests.recommend import examples

MADE = sorted((shared(RECORDED).parent / "history").glob("20*"))


def test_no_gate_is_asked_for() -> None:
    """Then nothing is judged; what only gates write needs one."""
    assert Gating.read(None, None, None, None) is None
    with pytest.raises(BadInput, match="--junit without gates"):
        Gating.read(None, None, None, Path("gates.xml"))


@pytest.mark.parametrize("name", ["", "file/gates.md", "file/below/gates.md"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_sent(
    tmp_path: Path, name: str
) -> None:
    """A folder, or a file in the way; a folder that is not there yet is made."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        Gating.read("size", None, tmp_path / name, None)
    with pytest.raises(BadInput, match="same file"):
        Gating.read("size", None, tmp_path / "a", tmp_path / "a")


def test_a_file_is_not_put_in_the_place_of_something_else(tmp_path: Path) -> None:
    """Of a pipe, or of /dev/stdout, which is a link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "stdout").symlink_to(tmp_path / "file")
    for name in ("pipe", "stdout", "x" * 300, "file/below"):
        with pytest.raises(BadInput, match="cannot be written"):
            check_files({"--json": tmp_path / name})
    (tmp_path / "there").touch()
    check_files({"--json": tmp_path / "there", "--csv": tmp_path / "new" / "one", "--junit": None})


def test_a_target_that_did_not_answer_has_not_passed(tmp_path: Path) -> None:
    """The others are judged; the exit code says first that it did not answer."""
    out = shutil.copytree(MADE[-1], tmp_path / "out")
    done = read_recommended(out).targets
    gone = unreachable(examples.http_target(name="gone"), "connection refused", "start it")
    outcomes = [Outcome(one, ExitCode.DONE) for one in done]
    outcomes.append(Outcome(gone, ExitCode.STOPPED))
    junit = tmp_path / "new" / "gates.xml"
    gating = Gating.read("size,plateau=5%", None, None, junit)
    assert gating is not None
    finished = Review(out, tuple(outcomes), ExitCode.STOPPED)
    verdict, trends = _gated(gating, finished, None, MADE[0].parent)
    assert [(one.target, one.outcome) for one in verdict.judgements] == [
        ("lab-cpu", "passed"),
        ("lab-cpu", "passed"),
        ("lab-db", "passed"),
        ("lab-db", "passed"),
        ("gone", "cannot be judged"),
        ("gone", "cannot be judged"),
    ]
    assert verdict.exit_code(finished.exit_code) == ExitCode.STOPPED
    assert verdict.exit_code(ExitCode.DONE) == ExitCode.FINDINGS
    gating.write(verdict, trends, ExitCode.STOPPED)
    assert ET.parse(junit).getroot().get("failures") == "2"
