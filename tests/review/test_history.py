"""What is kept of reviews, how it is read again, and what it comes to over time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.errors import BadInput
from poolkit.records import Recommendation
from poolkit.report.source import RECORDED, shared
from poolkit.review import kept as store
from poolkit.review.demand import read_demands
from poolkit.review.export import read_recommended, read_sizings
from poolkit.review.gates import judge, not_the_latest, parse
from poolkit.review.history import latest_skipped, read_history, to_csv
from poolkit.review.manifest import read_manifest
from poolkit.review.trend import History, Kept, headroom, trend
from tests.recordings.history import NEW_AIOHTTP, REVIEWS, SLOWED, SLOWER
from tests.recordings.history import write as write_made

MADE = shared(RECORDED).parent / "history"


@pytest.fixture(scope="module")
def made() -> History:
    return read_history([MADE])


# -- records --------------------------------------------------------------------------------------


def kept_in(out: Path, folder: Path) -> store.Kept:
    written = read_recommended(out)
    found = store.keep(out, written.targets, written.created, folder)
    assert found is not None
    return found


def test_a_record_is_a_review_with_the_curves_of_its_trials(tmp_path: Path) -> None:
    """Named by when it was measured; all that a comparison reads is there, and no more."""
    record, is_new = kept_in(shared(RECORDED), tmp_path / "store")
    assert is_new
    assert record.name == "2026-11-28T113612Z"
    assert read_recommended(record) == read_recommended(shared(RECORDED))
    assert len(read_sizings(record, read_recommended(record))) == 4
    assert read_manifest(record).host == read_manifest(shared(RECORDED)).host
    assert not list(record.glob("*.trials.jsonl"))
    assert len(list(record.glob("*.curve.jsonl"))) == 4
    assert [path.name for path in (tmp_path / "store").iterdir()] == [record.name]


def test_a_record_alone_says_when_its_size_runs_out(tmp_path: Path) -> None:
    """As the review's own folder does, whose trials hold three times as much."""
    kept_in(shared(RECORDED), tmp_path)
    demand = {"lab-db": risen(250.0, 0.006)}
    folders = (tmp_path, shared(RECORDED))
    ours, theirs = (read_history([one], ["lab-db"], lambda _: demand) for one in folders)
    found = ours.outlooks["lab-db"]
    assert found == theirs.outlooks["lab-db"]
    assert (found.pool_size, found.pools, found.horizon) == (10, 1, 26)
    assert found.size_out.first is not None
    assert History.model_validate_json(ours.model_dump_json()) == ours


def test_why_a_review_cannot_say_is_said(tmp_path: Path) -> None:
    """A record of an older version has no trials, one that was cut none that are understood."""
    demand = {"lab-db": risen(250.0, 0.006)}
    older = MADE / "2026-08-10T063000Z"
    old = read_history([older], ["lab-db"], lambda _: demand).trends[0]
    assert old.no_outlook.startswith("its newest review holds no trials, as records of older")
    record = kept_in(shared(RECORDED), tmp_path).record
    (record / "lab-db.curve.jsonl").write_text("{}\n")
    cut = read_history([tmp_path], ["lab-db"], lambda _: demand).trends[0]
    assert cut.no_outlook.startswith("lab-db.curve.jsonl line 1 ")
    (record / "manifest.json").unlink()
    bare = read_history([tmp_path], ["lab-db"], lambda _: demand).trends[0]
    assert bare.no_outlook.startswith("its newest review has no manifest")
    assert (bare.outlook, cut.outlook, old.outlook) == (None, None, None)


def risen(first: float, slope: float) -> WeeklyPeaks:
    """60 weekly peaks on a line (calls/s)."""
    rates = tuple(first * (1 + slope * week) for week in range(60))
    return WeeklyPeaks(first_day="2025-10-06", rates=rates)


def test_the_same_review_twice_is_one_record(tmp_path: Path) -> None:
    """Also where it was looked at again later; another one of the same second is a second."""
    first = kept_in(shared(RECORDED), tmp_path)
    before = (first.record / "recommended.json").read_bytes()
    written = read_recommended(shared(RECORDED))
    again = store.keep(shared(RECORDED), written.targets, "2027-01-01T00:00:00Z", tmp_path)
    assert again == (first.record, False)
    other = store.keep(shared(RECORDED), written.targets[:1], written.created, tmp_path)
    assert other is not None
    assert other.record.name == "2026-11-28T113612Z-2"
    assert list(read_manifest(other.record).targets) == [written.targets[0].target]
    assert (first.record / "recommended.json").read_bytes() == before
    assert store.records(tmp_path) == [first.record, other.record]


def test_what_is_not_finished_is_not_kept(tmp_path: Path) -> None:
    """A review without any result leaves no record, and no folder."""
    entry = read_recommended(shared(RECORDED)).targets[0]
    stopped = entry.model_copy(update={"status": "stopped"})
    folder = tmp_path / "store"
    assert store.keep(shared(RECORDED), [stopped], "2026-01-01T00:00:00Z", folder) is None
    assert not folder.exists()


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A file in its place is told before anything is sent."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--history .* is a file"):
        store.check_store(tmp_path / "file")
    for store_of_none in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(BadInput, match=r"--history .*: "):
            store.check_store(store_of_none)
    store.check_store(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    with pytest.raises(BadInput, match="could not be kept"):
        kept_in(shared(RECORDED), tmp_path / "file")


def test_records_made_at_once_by_processes_of_one_pid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in two containers: neither takes the other's half-made one away."""
    fill = store._fill

    def fill_twice(making: Path, out: Path, names: set[str], text: str) -> None:
        monkeypatch.setattr(store, "_fill", fill)
        store.keep(out, read_recommended(out).targets[:1], "2026-11-28T12:00:00Z", tmp_path)
        fill(making, out, names, text)

    monkeypatch.setattr(store, "_fill", fill_twice)
    kept_in(shared(RECORDED), tmp_path)
    assert len(store.records(tmp_path)) == 2
    assert len(read_history([tmp_path]).trends) == 4


# -- reading --------------------------------------------------------------------------------------


def test_a_review_in_several_places_counts_once(tmp_path: Path) -> None:
    """Its folder, its record, a folder of both, and former ones that --again set aside."""
    out = tmp_path / "reviews" / "q1"
    shutil.copytree(shared(RECORDED), out)
    kept_in(out, tmp_path / "reviews")
    shutil.copytree(shared(RECORDED).parent / "lab-earlier", out / "before/2026-11-27T170119Z")
    found = read_history([tmp_path / "reviews", out])
    assert [len(each.reviews) for each in found.trends] == [2, 2, 2, 2]
    assert found.skipped == ()


def damaged(tmp_path: Path, name: str, **changes: Any) -> Path:
    """A copy of a record, its recommended.json changed."""
    folder = tmp_path / name
    shutil.copytree(MADE / "2026-08-17T063000Z", folder)
    file = folder / "recommended.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_older_versions_are_read(tmp_path: Path) -> None:
    """Version 1 lacked keys that there are now, and had others."""
    folder = damaged(tmp_path, "old", schema="poolkit.recommended/1")
    file = folder / "recommended.json"
    written = json.loads(file.read_text())
    for entry in written["targets"]:
        del entry["smallest_as_fast"], entry["limits"], entry["push"], entry["cold"]
        entry["forgotten"] = 1
    file.write_text(json.dumps(written))
    found = read_history([folder])
    assert [each.target for each in found.trends] == ["lab-cpu", "lab-db"]
    assert found.skipped == ()


def test_what_cannot_be_read_is_named_skipped_and_counted(tmp_path: Path) -> None:
    """Each with its remedy, and the rest is shown."""
    damaged(tmp_path, "good")
    damaged(tmp_path, "newer", schema="poolkit.recommended/9")
    damaged(tmp_path, "foreign", schema="something/1")
    damaged(tmp_path, "undated", created="long ago")
    damaged(tmp_path, "unsaid", schema="poolkit.recommended/\N{SUPERSCRIPT TWO}")
    damaged(tmp_path, "untimely", created="0001-01-01T00:00:00+23:59")
    (tmp_path / "2026-08-24T063000Z").mkdir()
    damaged(tmp_path, "entries", targets=[{"target": "x"}, 7])
    damaged(tmp_path, "none", targets=None)
    cut = damaged(tmp_path, "cut") / "recommended.json"
    cut.write_text(cut.read_text()[:99])
    (tmp_path / "folder" / "recommended.json").mkdir(parents=True)
    found = read_history([tmp_path, tmp_path / "nowhere"])
    causes = [one.cause for one in found.skipped]
    assert causes[:2] == ["cannot be read: No such file or directory", "is cut off, or no JSON"]
    assert causes[2].startswith("x is not understood: ")
    assert causes[3:] == [
        "an entry is not understood: it is no table",
        "cannot be read: it is no regular file",
        "was not written by poolkit review",
        "was written by a newer poolkit (poolkit.recommended/9)",
        "names no target",
        "does not say when it was made",
        "was not written by poolkit review",
        "does not say when it was made",
        "cannot be read: No such file or directory",
    ]
    assert all(one.remedy for one in found.skipped)
    assert found.reviews == 1


def test_files_beside_that_are_cut_are_named_too(tmp_path: Path) -> None:
    """The review counts without them: nothing is compared that they would tell."""
    folder = damaged(tmp_path, "good")
    (folder / "manifest.json").write_text("{")
    (folder / "lab-db.sizing.json").write_text("")
    found = read_history([folder])
    assert [one.cause[:31] for one in found.skipped] == [
        "is not a poolkit.manifest/1 doc",
        "is not of this version: Invalid",
    ]
    assert found.reviews == 1


def test_a_gate_does_not_pass_on_the_review_before_one_that_is_skipped(tmp_path: Path) -> None:
    """What is not of the latest review cannot be judged; one of before that is of no matter."""
    for name in ("2026-08-17T063000Z", "2026-08-24T063000Z", "2026-08-31T063000Z"):
        shutil.copytree(MADE / name, tmp_path / name)
    for name, outcome in (("17", "passed"), ("31", "cannot be judged")):
        file = tmp_path / f"2026-08-{name}T063000Z" / "recommended.json"
        whole = file.read_text()
        file.write_text(whole[:99])
        found = read_history([tmp_path])
        judged = [judge(parse("headroom=1%"), one, must_persist=True)[0] for one in found.trends]
        (first, _) = not_the_latest(judged, latest_skipped(found))
        assert first.outcome == outcome
        file.write_text(whole)
    assert first.why.endswith("2026-08-31T063000Z/recommended.json: is cut off, or no JSON")


def test_figures_beyond_all_measure_are_not_known(tmp_path: Path) -> None:
    """They are left out, and take nothing from the others."""
    folder = damaged(tmp_path, "odd")
    file = folder / "recommended.json"
    written = json.loads(file.read_text())
    cpu, db = written["targets"]
    cpu["target_rate"] = 0.0
    db["hold_time"]["at_recommended"] = 9e15
    file.write_text(json.dumps(written))
    point = {"pool_size": 1, "throughput": 1e6, "interval95": [1e-9, 1e7], "hold_time": 1.0}
    sizing = json.loads((folder / "lab-db.sizing.json").read_text())
    sizing["points"] = [sizing["points"][0] | point]
    (folder / "lab-db.sizing.json").write_text(json.dumps(sizing))
    found = read_history([folder, MADE / "2026-08-24T063000Z"])
    assert found.skipped == ()
    cpu, db = (each.reviews[0].figures for each in found.trends)
    assert "headroom" not in cpu
    assert db["hold_time.at_recommended"].interval95 is None


def test_the_tenth_of_one_second_is_the_latest(tmp_path: Path) -> None:
    """Records of one second are in the order in which they were kept."""
    for number in (1, 2, 10):
        name = store.named("2026-08-17T063000", number)
        damaged(tmp_path, name)
        file = tmp_path / name / "recommended.json"
        written = json.loads(file.read_text())
        written["targets"][0]["recommended_size"] = number
        file.write_text(json.dumps(written))
    reviews = read_history([tmp_path], ["lab-cpu"]).trends[0].reviews
    assert [one.figures["recommended_size"].value for one in reviews] == [1, 2, 10]


def test_where_nothing_is_left_it_is_bad_input(tmp_path: Path) -> None:
    """The reasons are told, and where reviews are kept; so for a target that no review has."""
    with pytest.raises(BadInput, match=r"no review is left.*\n.*holds no recommended.json") as seen:
        read_history([tmp_path])
    assert "data/reviews" in seen.value.remedy
    with pytest.raises(BadInput, match="no review tells of orders") as seen:
        read_history([MADE], ["orders"])
    assert "lab-cpu and lab-db" in seen.value.remedy


# -- over time ------------------------------------------------------------------------------------


def test_the_made_history_is_what_its_script_makes(tmp_path: Path) -> None:
    """So that what is planted in it is what stands there."""
    write_made(tmp_path)
    assert read_history([tmp_path]) == read_history([MADE])


def test_the_planted_step_is_found(made: History) -> None:
    """In every quantity that it moved, from the review on that it was planted in, and why."""
    cpu = next(each for each in made.trends if each.target == "lab-cpu")
    steps = {step.quantity: step for step in cpu.steps}
    assert list(steps) == [
        "recommended_size",
        "plateau",
        "headroom",
        "hold_time.at_recommended",
    ]
    assert {step.measured for step in cpu.steps} == {cpu.reviews[SLOWER - 1].measured}
    plateau = steps["plateau"]
    assert plateau.before.value / plateau.after.value == pytest.approx(SLOWED, rel=0.02)
    assert plateau.reviews == REVIEWS - SLOWER + 1
    assert [one.kind for one in plateau.why] == ["upstream"]


def test_the_made_demand_outgrows_the_sizes() -> None:
    """On the slower upstream of `lab-cpu`, too: its trials are in the latest record."""
    files = [f"{name}={MADE / 'demand' / name}.csv" for name in ("lab-cpu", "lab-db")]
    ahead = read_history([MADE], (), lambda names: read_demands(files, names)).outlooks
    out = {name: (one.pool_size, one.size_out.first) for name, one in ahead.items()}
    assert out == {"lab-cpu": (16, 11), "lab-db": (10, 4)}


def test_a_change_says_what_else_was_not_as_it_was(made: History) -> None:
    """Another machine is a caution, a library and the rate are reasons; nothing else is said."""
    cpu, db = made.trends
    assert [bool(one.caution) for one in cpu.reviews] == [False, True] + [False] * 12
    assert {one.kind for one in cpu.reviews[1].why} == {"machine"}
    assert cpu.comparable == REVIEWS - 1
    changed = {number: one.why for number, one in enumerate(cpu.reviews, 1) if one.why}
    assert set(changed) == {2, NEW_AIOHTTP, SLOWER}
    assert changed[NEW_AIOHTTP][0].said == "aiohttp 3.14.4 → 3.14.5"
    rates = [one.said for review in db.reviews for one in review.why if one.kind == "rate"]
    assert rates == ["330 → 345 calls/s", "345 → 370 calls/s"]


def test_below_eight_comparable_reviews_only_intervals_are_told() -> None:
    """The same step, seen too soon."""
    found = read_history(sorted(MADE.iterdir())[SLOWER - 6 : SLOWER + 1]).trends[0]
    assert found.steps == ()
    assert found.too_few.startswith("7 comparable reviews: steps are looked for from 8 on")


def entry(**changes: Any) -> Recommendation:
    whole = read_recommended(MADE / "2026-08-17T063000Z").targets[0]
    return whole.model_copy(update=changes)


def test_headroom_is_what_is_reachable_over_the_rate_asked() -> None:
    """The plateau with its interval; below 0 where the rate is out of reach; else not known."""
    room = headroom(entry(target_rate=500.0))
    assert room is not None
    assert room.interval95 is not None
    assert room.interval95[0] < room.value < room.interval95[1]
    missed = headroom(entry(target_rate=1000.0, reachable_rate=750.0))
    assert missed is not None
    assert missed.value == pytest.approx(-0.25)
    assert headroom(entry(plateau=None)) is None


@pytest.mark.parametrize(
    ("changes", "caution"),
    [
        ({"max_size": 32}, ""),
        ({"method": "POST"}, "other calls were sent: method changed"),
        ({"of_a_newer_version": True}, ""),
    ],
)
def test_other_calls_are_not_compared(changes: dict[str, Any], caution: str) -> None:
    """What is asked may change; a key that only one side knows is no change."""
    folder = MADE / "2026-08-17T063000Z"
    manifest = read_manifest(folder)
    settings = {"lab-cpu": manifest.targets["lab-cpu"] | changes}
    parameters = manifest.parameters | {"targets": settings}
    later = manifest.model_copy(update={"parameters": parameters})
    sides = [
        Kept("2026-01-01T00:00:00Z", entry(), None, manifest),
        Kept("2026-02-01T00:00:00Z", entry(), None, later),
    ]
    assert trend(sides).reviews[1].caution == caution
    unknown = [sides[0], Kept("2026-02-01T00:00:00Z", entry(), None, None)]
    assert "no manifest" in trend(unknown).reviews[1].caution


def test_the_csv_has_a_row_for_each_review(made: History) -> None:
    """Every figure is a number, as Otava's importer wants it; an unknown one is nan."""
    head, *rows = [line.split(",") for line in to_csv(made).splitlines()]
    assert len(rows) == 2 * REVIEWS
    assert head[:4] == ["time", "branch", "driver", "recommended_size"]
    assert all(float(cell) for row in rows for cell in row[3:-1])
    assert [row[1] for row in rows] == ["lab-cpu"] * REVIEWS + ["lab-db"] * REVIEWS
