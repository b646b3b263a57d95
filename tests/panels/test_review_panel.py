"""The review panel: which folders it offers, what changed, and what it says without any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.panels import ReviewPanel
from poolkit.panels.panel import VIEW
from poolkit.panels.review import label, review_folders
from poolkit.report.source import RECORDED, shared
from poolkit.review.export import read_recommended, write_recommended


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two reviews, the later with a plateau far lower, and a folder that is none."""
    first, second = tmp_path / "q1", tmp_path / "2026" / "q2"
    shutil.copytree(shared(RECORDED), first)
    shutil.copytree(shared(RECORDED), second)
    changed = []
    for entry in read_recommended(first).targets:
        plateau = entry.plateau
        assert plateau is not None
        assert plateau.interval95 is not None
        low, high = plateau.interval95
        halved = plateau.model_copy(
            update={"throughput": plateau.throughput / 2, "interval95": (low / 2, high / 2)}
        )
        changed.append(entry.model_copy(update={"plateau": halved}))
    write_recommended(second, changed, created="2099-01-01T00:00:00Z")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "recommended.json").write_text("{}")
    return tmp_path


def test_reviews_are_offered_latest_first(root: Path) -> None:
    """What cannot be read is not offered."""
    assert review_folders(root) == (root / "2026" / "q2", root / "q1")


def test_what_a_review_keeps_of_before_is_offered_too(root: Path) -> None:
    """A review that was made again in its folder can be compared with its own record."""
    record = root / "q1" / "before" / "2025-01-01T000000Z"
    record.mkdir(parents=True)
    write_recommended(record, read_recommended(root / "q1").targets, created="2025-01-01T00:00:00Z")
    assert review_folders(root) == (root / "2026" / "q2", root / "q1", record)
    assert "q1/before/2025-01-01T000000Z" in label(record, root)


def test_the_two_latest_are_compared(root: Path) -> None:
    """With the verdict of each difference: larger than noise or not."""
    panel = ReviewPanel(root)
    comparison = panel.result()
    moved = [d for d in comparison.differences if d.quantity == "plateau"]
    assert len(moved) == 4
    assert all(difference.is_larger_than_noise for difference in moved)
    assert "larger than noise" in panel.html()
    assert panel.html().count("<caption>") == 1
    assert "4 of 20 figures" in panel.html().partition('<svg class="pk-chart"')[2]
    assert "4 changes larger than noise" in repr(panel)


def test_hold_times_are_judged_where_their_curves_are_kept() -> None:
    """The two reviews that come with the project: no difference of theirs is left unsaid."""
    panel = ReviewPanel(shared(RECORDED).parent)
    holds = [d for d in panel.result().differences if d.quantity.startswith("hold_time")]
    assert len(holds) == 8
    assert all(difference.is_larger_than_noise is not None for difference in holds)
    # They were measured before a p99 wait had an interval.
    doubts = [row for row in panel.html().split("<tr>") if "cannot be said" in row]
    assert len(doubts) == 4
    assert all("p99 wait" in row for row in doubts)


def test_the_lists_choose(root: Path) -> None:
    """Another pick compares anew; the same on both sides is told as a mistake."""
    panel = ReviewPanel(root)
    assert VIEW in panel._repr_mimebundle_()
    panel._view.after.value = root / "q1"
    assert 'role="alert"' in panel._view.page.value
    assert "both are the same review" in panel._view.page.value
    with pytest.raises(BadInput, match="both are the same review"):
        panel.result()
    panel._view.before.value = root / "2026" / "q2"
    assert panel.result().after < panel.result().before
    assert 'role="alert"' not in panel._view.page.value


def test_two_reviews_are_needed(tmp_path: Path) -> None:
    """Without them the panel says how to make one, and is still shown."""
    panel = ReviewPanel(tmp_path)
    assert "holds 0 reviews, two are needed" in panel.html()
    assert "poolkit review" in panel.html()
    assert VIEW in panel._repr_mimebundle_()


def test_reviews_that_come_later_are_found(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A panel outlives the reviews that there were: it looks again when asked."""
    growing = tmp_path_factory.mktemp("growing")
    panel = ReviewPanel(growing)
    panel._repr_mimebundle_()
    view = panel._view
    for name in ("q1", "2026"):
        shutil.copytree(root / name, growing / name)
    view.refresh.click()
    assert panel.result().differences
    assert [folder for _, folder in view.after.options] == [growing / "2026" / "q2", growing / "q1"]
    assert (view.before.value, view.after.value) == (growing / "q1", growing / "2026" / "q2")
    assert 'role="alert"' not in view.page.value


def test_folders_elsewhere_can_be_named(root: Path) -> None:
    """And are offered beside those below the root."""
    panel = ReviewPanel(root, before=shared(RECORDED), after=root / "q1")
    panel._repr_mimebundle_()
    assert len(panel._view.before.options) == 3
    assert os.fspath(shared(RECORDED).parent) not in panel.html()
    assert panel.result().differences
