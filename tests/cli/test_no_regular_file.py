"""Pipes, devices and folders in the place of files: refused at once, where a read would not end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from poolkit import files
from poolkit.review.export import write_recommended
from poolkit.review.manifest import parameters_of, write_manifest
from tests.review.test_adding import found

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
    tmp_path: Path, where: str, command: str, make: Callable[[Path], None]
) -> None:
    """Exit 2 within seconds, and the message says what is wrong with which file."""
    prepare(tmp_path)
    make(tmp_path / where)
    code, stderr = run(tmp_path, command)
    assert code == 2
    assert "no regular file" in stderr
    assert Path(where).name in stderr


@pytest.mark.parametrize("make", KINDS)
def test_a_manifest_that_is_no_file_is_as_none(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """What is compared with needs none, so the review goes on to its target, which is not there."""
    prepare(tmp_path)
    make(tmp_path / "since" / "manifest.json")
    code, stderr = run(tmp_path, "review --since since")
    assert code == 3
    assert "no regular file" not in stderr
    assert "Traceback" not in stderr


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


def run(tmp_path: Path, command: str) -> tuple[int, str]:
    words = [sys.executable, "-m", "poolkit", *command.split()]
    words += ["--targets", "targets.toml", "--out", "out"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr
