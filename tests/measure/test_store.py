"""What goes to disk survives a kill, is whole or absent, and is refused where it is not ours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.errors import BadInput, BrakeStop, ExitCode
from poolkit.measure.store import TrialLog, prepare_out, write_atomic
from poolkit.recommend import recommend
from poolkit.review.export import read_recommended, write_recommended
from tests.recommend.examples import (
    database_target,
    http_target,
    sizing,
    trial,
    verification,
    verifying_trial,
)


@pytest.fixture
def log(tmp_path: Path) -> TrialLog:
    return TrialLog(tmp_path / "orders-api.trials.jsonl")


def test_what_was_appended_is_read_back(log: TrialLog) -> None:
    """One line a trial, in order, every field kept."""
    trials = [trial(seed=1), verifying_trial(seed=2, error_kinds={"http_500": 3})]
    for each in trials:
        log.append(each)
    assert log.read() == trials
    assert log.path.read_bytes().count(b"\n") == 2


def test_no_file_is_no_trial(log: TrialLog) -> None:
    """A first run resumes from nothing, and reading makes no file."""
    assert log.read() == []
    assert log.resume("f1") == []
    assert not log.path.exists()


@given(st.data())
def test_a_line_torn_anywhere_is_dropped_and_overwritten(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """However far a killed process got with its last line, the trials before it are kept."""
    log = TrialLog(tmp_path_factory.mktemp("torn") / "a.trials.jsonl")
    log.append(trial(seed=1))
    log.append(trial(seed=2))
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    cut = data.draw(st.integers(0, len(whole) - 1))
    log.path.write_bytes(whole[:cut])
    kept = [1] if cut >= first else []
    assert [each.seed for each in log.read()] == kept
    log.append(trial(seed=3))
    assert [each.seed for each in log.read()] == [*kept, 3]


APPENDING = """
import sys
from pathlib import Path
from poolkit.records import Trial
from poolkit.measure.store import TrialLog
log, trial = TrialLog(Path(sys.argv[1])), Trial.model_validate_json(sys.stdin.readline())
for seed in range(1_000_000):
    log.append(trial.model_copy(update={"seed": seed}))
    print(seed, flush=True)
"""


def test_a_killed_process_loses_no_finished_trial(log: TrialLog) -> None:
    """Every trial that append returned for is there after SIGKILL, and the log goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", APPENDING, str(log.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(trial().model_dump_json() + "\n")
        child.stdin.flush()
        for _ in range(5):
            child.stdout.readline()
        child.kill()
        told = [int(line) for line in child.stdout.read().splitlines() if line]
    last = max([4, *told])
    seeds = [each.seed for each in log.read()]
    assert seeds == list(range(len(seeds)))
    assert len(seeds) > last
    log.append(trial(seed=-1))
    assert [each.seed for each in log.read()] == [*seeds, -1]


def test_a_long_torn_line_is_cut_off(log: TrialLog) -> None:
    """The last line end is found however far back it is."""
    log.append(trial(seed=1))
    with log.path.open("ab") as file:
        file.write(b"x" * 200_000)
    log.append(trial(seed=2))
    assert [each.seed for each in log.read()] == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"not json",
        b"",
        b"\xff\xfe",
        b'{"schema":"poolkit.trial/2"}',
    ],
)
def test_a_corrupt_line_is_refused_by_number(log: TrialLog, line: bytes) -> None:
    """A whole line that is no trial means that somebody else wrote here: nothing is guessed."""
    log.append(trial())
    with log.path.open("ab") as file:
        file.write(line + b"\n")
    log.append(trial())
    with pytest.raises(
        BadInput, match=r"orders-api\.trials\.jsonl line 2 is not a trial"
    ) as caught:
        log.read()
    assert caught.value.remedy == "choose another --out, or delete orders-api.trials.jsonl"


def test_trials_of_other_settings_are_refused(log: TrialLog) -> None:
    """Two endpoints cannot share a curve; the remedy names the file."""
    log.append(trial(fingerprint="f1"))
    assert len(log.resume("f1")) == 1
    with pytest.raises(BadInput, match="measured with other settings") as caught:
        log.resume("f2")
    assert caught.value.remedy == "choose another --out, or delete orders-api.trials.jsonl"


def test_a_disk_that_takes_no_more_stops_the_run(tmp_path: Path) -> None:
    """It ends as a brake does (exit 3), with what was measured before still there."""
    with pytest.raises(BrakeStop, match="could not be written") as caught:
        TrialLog(tmp_path / "gone" / "a.trials.jsonl").append(trial())
    assert caught.value.exit_code is ExitCode.STOPPED
    with pytest.raises(BrakeStop, match="No space left"):
        TrialLog(Path("/dev/full")).append(trial())


def test_out_is_created_with_its_parents(tmp_path: Path) -> None:
    """A folder that does not exist is made; nothing is left in it."""
    out = tmp_path / "a" / "b"
    assert prepare_out(out) == out
    assert list(out.iterdir()) == []
    assert prepare_out(out) == out


def test_out_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    """A file, a folder below one, no place for files, links in a circle, a name too long."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "lost").symlink_to("nowhere/at/all")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadInput, match="is a file") as caught:
        prepare_out(file)
    assert caught.value.remedy == "name a folder that may be created"
    full = mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with full, pytest.raises(BadInput, match="No space left") as caught:
        prepare_out(tmp_path)
    assert caught.value.remedy == "free some space, or choose another folder"
    assert not list(tmp_path.glob(".poolkit*"))
    places = ["file/below", "/proc/out", "circle", "circle/below", "lost", "x" * 300, "y/" * 3000]
    for place in (tmp_path / place for place in places):
        with pytest.raises(BadInput, match="cannot be written") as caught:
            prepare_out(place)
        assert caught.value.remedy == "choose a folder that you may write to"


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader never sees half a file, and a failed write leaves the old one and no litter."""
    path = tmp_path / "report.html"
    write_atomic(path, "old")
    write_atomic(path, "neu – ü\n")
    assert path.read_bytes() == "neu – ü\n".encode()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", mock.Mock(side_effect=OSError(errno.ENOSPC, "full")))
        with pytest.raises(BrakeStop, match="full"):
            write_atomic(path, "new")
    assert path.read_bytes() == "neu – ü\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_recommended_files_are_written_and_read(tmp_path: Path) -> None:
    """Four files; recommended.json reads back from the folder or by its own name."""
    target, database = http_target(), database_target()
    recommendations = [
        recommend(target, sizing(), verification(), [verifying_trial()], "done", 30.0),
        recommend(database, sizing(size=9), None, [], "done", 10.0),
    ]
    paths = write_recommended(tmp_path, recommendations, [target, database], created="2026-11-21")
    assert sorted(path.name for path in paths) == [
        "pools.py",
        "recommended.csv",
        "recommended.json",
        "recommended.md",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    read = read_recommended(tmp_path)
    assert read == read_recommended(tmp_path / "recommended.json")
    assert [entry.recommended_size for entry in read.targets] == [14, 9]


@pytest.mark.parametrize("text", [None, "", "{}", '{"schema": "poolkit.recommended/2"}'])
def test_what_is_no_recommendation_is_refused(tmp_path: Path, text: str | None) -> None:
    """Missing, empty or of another version: said, with what to do."""
    if text is not None:
        (tmp_path / "recommended.json").write_text(text)
    with pytest.raises(BadInput, match=r"recommended\.json") as caught:
        read_recommended(tmp_path)
    assert caught.value.remedy


def test_what_a_link_leads_to_is_not_written(tmp_path: Path, log: TrialLog) -> None:
    """Though a file without a line end looks like a trial that was torn."""
    theirs = tmp_path / "theirs"
    theirs.write_text("no line end")
    log.path.symlink_to(theirs)
    (tmp_path / f".a.json.{os.getpid()}.tmp").symlink_to(theirs)
    (tmp_path / f".poolkit-{os.getpid()}.tmp").symlink_to(theirs)
    with pytest.raises(BadInput, match=r"trials.jsonl is a link"):
        log.resume("")
    with pytest.raises(BrakeStop):
        log.append(trial(seed=1))
    with pytest.raises(BrakeStop):
        write_atomic(tmp_path / "a.json", "{}")
    prepare_out(tmp_path / "new")
    with pytest.raises(BadInput, match="cannot be written"):
        prepare_out(tmp_path)
    assert theirs.read_text() == "no line end"
