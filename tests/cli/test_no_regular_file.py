"""Pipes, devices and folders in the place of files: refused at once, where a read would not end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poolkit import files
from poolkit.cli.application import app
from poolkit.errors import ExitCode
from poolkit.review.export import write_recommended
from poolkit.review.manifest import parameters_of, write_manifest
from poolkit.review.run import review
from tests.review.test_adding import found
from tests.review.test_review import Log

GOOD = '[targets.orders-api]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:9/"\ntarget_rate = 5\n'


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


KINDS: tuple[Callable[[Path], None], ...] = (pipe, device, folder)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("targets.toml", "size orders-api"),
        ("targets.toml", "review"),
        ("out/recommended.json", "size orders-api"),
        ("out/orders-api.trials.jsonl", "size orders-api"),
        ("out/orders-api.probe.json", "review"),
        ("since/recommended.json", "review --since since"),
    ],
)
def test_what_is_no_regular_file_is_bad_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    command: str,
    make: Callable[[Path], None],
) -> None:
    """Exit 2 within seconds, and the message says what is wrong with which file."""
    prepare(tmp_path)
    make(tmp_path / where)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, [*command.split(), "--targets", "targets.toml", "--out", "out"]
    )
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "no regular file" in result.stderr
    assert Path(where).name in result.stderr


@pytest.mark.parametrize("make", KINDS)
def test_a_manifest_that_is_no_file_is_as_none(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """What is compared with needs none, so the review goes on to its target, which is not there."""
    prepare(tmp_path)
    make(tmp_path / "since" / "manifest.json")
    out = tmp_path / "out"
    found = review(tmp_path / "targets.toml", out, Log(), since=tmp_path / "since")
    assert found.exit_code == ExitCode.STOPPED
    assert found.comparison is not None
    assert "no manifest" in found.comparison.caution


def test_the_content_of_a_file_is_read_whole(tmp_path: Path) -> None:
    """And that of a link to one."""
    path = tmp_path / "file"
    path.write_bytes(b"\x00" * 100_000)
    (tmp_path / "link").symlink_to(path)
    assert files.content(tmp_path / "link") == path.read_bytes()


def prepare(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(GOOD, encoding="utf-8")
    for name in ("out", "since"):
        (tmp_path / name).mkdir()
    write_recommended(tmp_path / "since", (found(),))
    write_manifest(tmp_path / "since", parameters_of("size", None, None, {}))
