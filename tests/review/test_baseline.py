"""What a review that has just been made is held against."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from poolkit.records import FromProduction, TodaysWaits, Verification
from poolkit.report.source import RECORDED, shared
from poolkit.review.baseline import with_baseline
from poolkit.review.gates import judge, parse
from poolkit.review.history import read_folder
from poolkit.review.trend import Kept, Trend, cautions, trend

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


def observed(kept: Kept, *, verified: bool = False, peak: float = 400.0, pools: int = 2) -> Kept:
    """The review as if production had told its size."""
    told = FromProduction(
        source="Prometheus",
        since=kept.measured,
        until=kept.measured,
        window=15.0,
        windows=100,
        left_out=0,
        pools=pools,
        size_now=None,
        most_in_use=12,
        peak_rate=peak,
        today=TodaysWaits(is_trusted=True, because="p99 wait 2 ms counted, 2 ms predicted"),
    )
    tried = Verification(
        achieved_rate=400.0,
        wait_p99=0.002,
        reuse_ratio=1.0,
        disconnects=0,
        signals=(),
    )
    update = {
        "source": "production",
        "production": told,
        "plateau": None,
        "verification": tried if verified else None,
    }
    return replace(kept, recommendation=kept.recommendation.model_copy(update=update))


def of(number: int) -> Kept:
    """A target of the review of this number, from 1 on; the first ran on another machine."""
    return next(iter(read_folder(MADE[number - 1], [])))


def test_what_production_told_is_compared_with_its_like() -> None:
    """Whatever machine asked for it; unless both sizes were tried from one, which then counts."""
    assert not list(cautions(observed(of(1)), observed(of(2))))
    assert not list(cautions(observed(of(1), verified=True), observed(of(2))))
    (why,) = cautions(observed(of(1), verified=True), observed(of(2), verified=True))
    assert "another kind of machine" in why
    assert list(cautions(of(2), observed(of(3)))) == [
        "one size rests on load, the next on production"
    ]
    was, now = of(1), of(2)
    of_two = trend([observed(was, peak=400.0, pools=2), observed(now, peak=450.0, pools=3)])
    assert [(one.kind, one.said) for one in of_two.reviews[-1].why][-2:] == [
        ("rate", "busiest window 400 → 450 calls/s"),
        ("asked", "pools in production 2 → 3"),
    ]


def test_gates_on_what_production_told() -> None:
    """Its size against its like; held against a review, or asked what it does not tell: no pass."""
    gates = parse("size,plateau,p99,headroom=10%")
    like = judge(gates, trend([observed(of(2)), observed(of(3))]), must_persist=False)
    assert [one.outcome for one in like] == ["passed", *["cannot be judged"] * 3]
    assert [one.next for one in like[1:]] == [
        "measure it under load: poolkit review",
        "send load to that size: poolkit observe --verify",
        "measure it under load: poolkit review",
    ]
    (size, *_) = judge(gates, trend([of(2), observed(of(3))]), must_persist=False)
    assert size.outcome == "cannot be judged"
    assert "rests on load" in size.why
    assert "--history" in size.next
