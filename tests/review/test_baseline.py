"""What a review that has just been made is held against."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poolkit.report.source import RECORDED, shared
from poolkit.review.baseline import with_baseline
from poolkit.review.trend import Trend

MADE = sorted((shared(RECORDED).parent / "history").glob("20*"))  # the first on another machine


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder of the twelfth review."""
    return shutil.copytree(MADE[11], tmp_path / "out")


def store(tmp_path: Path, *numbers: int) -> Path:
    """A store with the reviews of these numbers, from 1 on."""
    folder = tmp_path / "store"
    folder.mkdir()
    for number in numbers:
        shutil.copytree(MADE[number - 1], folder / MADE[number - 1].name)
    return folder


def baseline_of(found: dict[str, Trend]) -> list[str]:
    """The days of the baseline, by target; empty texts: none."""
    return [one.reviews[0].measured[:10] if len(one.reviews) > 1 else "" for one in found.values()]


@pytest.mark.parametrize(
    ("kept", "day"),
    [
        ((1, 2, 3), MADE[2].name[:10]),
        ((12, 3), MADE[2].name[:10]),  # its own record is none of before
        ((14, 3), MADE[2].name[:10]),  # nor is a later one
        ((12,), ""),
        ((), ""),
        ((1,), MADE[0].name[:10]),  # none compares: the latest, and why it does not
    ],
)
def test_the_latest_before_it_that_compares(
    tmp_path: Path, out: Path, kept: tuple[int, ...], day: str
) -> None:
    """Of each target; each is a trend of two at most, which ends with the review itself."""
    found = with_baseline(out, ["lab-cpu", "lab-db"], None, store(tmp_path, *kept))
    assert list(found) == ["lab-cpu", "lab-db"]
    assert baseline_of(found) == [day, day]
    for one in found.values():
        assert one.reviews[-1].measured[:10] == MADE[11].name[:10]
        assert one.comparable == len(one.reviews) - (kept == (1,))


def test_another_machine_s_record_is_passed_over(tmp_path: Path, out: Path) -> None:
    """Where an older one compares."""
    folder = store(tmp_path, 2)
    elsewhere = shutil.copytree(MADE[0], folder / MADE[4].name)
    file = elsewhere / "recommended.json"
    text = file.read_text(encoding="utf-8")
    day, later = MADE[0].name[:10], MADE[4].name[:10]
    file.write_text(text.replace(f'"created": "{day}', f'"created": "{later}'), encoding="utf-8")
    assert baseline_of(with_baseline(out, ["lab-cpu"], None, folder)) == [MADE[1].name[:10]]


def test_since_goes_before_the_records(tmp_path: Path, out: Path) -> None:
    """And those of the folder itself count like the store's."""
    folder = store(tmp_path, 3)
    assert baseline_of(with_baseline(out, ["lab-db"], MADE[1], folder)) == [MADE[1].name[:10]]
    shutil.copytree(MADE[6], out / "before" / MADE[6].name)
    assert baseline_of(with_baseline(out, ["lab-db"], None, folder)) == [MADE[6].name[:10]]
    assert baseline_of(with_baseline(out, ["lab-db"], None, None)) == [MADE[6].name[:10]]
