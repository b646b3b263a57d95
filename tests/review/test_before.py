"""What a folder holds before a measurement: which trials count, and records of former ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolkit.errors import BadInput
from poolkit.measure.store import TrialLog
from poolkit.review.before import changed_keys, check_trials, records_of, set_aside
from poolkit.review.manifest import write_manifest
from poolkit.targets import Target
from tests.recommend.examples import database_target, http_target, trial, verifying_trial


def measured(out: Path, target: Target, *trials: dict[str, Any], told: bool = True) -> None:
    """Trials of this target in the folder, and a manifest that tells its settings."""
    log = TrialLog(out / f"{target.name}.trials.jsonl")
    for changes in trials:
        make = verifying_trial if changes.get("loop") == "open" else trial
        log.append(make(**({"fingerprint": target.fingerprint} | changes)))
    if told:
        write_manifest(out, {"targets": {target.name: target.public_settings()}})


CURVE: dict[str, Any] = {}
VERIFIED = {"loop": "open"}
STOPPED = {"stopped": "errors"}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, ""),
        (
            {"target_rate": 600.0},
            "2 of 3 trials still count: target_rate changed, the load did not; the others tried a "
            "size at another rate",
        ),
        (
            {"wait_p99": 0.002, "max_size": 128},
            "3 of 3 trials still count: wait_p99 and max_size changed, the load did not",
        ),
        ({"push": False}, "3 of 3 trials still count: push changed, the load did not"),
    ],
)
def test_a_changed_question_says_what_still_counts(
    tmp_path: Path, now: dict[str, Any], said: str
) -> None:
    """With the keys that changed; a trial that a brake ended counts neither way."""
    measured(tmp_path, http_target(), CURVE, CURVE, STOPPED, VERIFIED)
    assert check_trials(tmp_path, http_target(**now)) == said


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({"url": "http://127.0.0.1:8080/users"}, "url changed"),
        ({"url": "http://127.0.0.1:8080/users", "target_rate": 9.0}, "url changed"),
        ({"method": "POST", "body": "x"}, "method and body changed"),
        ({"keepalive_timeout": 4.0}, "keepalive_timeout changed"),
    ],
)
def test_other_load_is_refused_with_its_keys(tmp_path: Path, now: dict[str, Any], why: str) -> None:
    """Trials of it share no curve, and there are two ways out."""
    measured(tmp_path, http_target(), CURVE, VERIFIED)
    with pytest.raises(BadInput) as caught:
        check_trials(tmp_path, http_target(**now))
    assert caught.value.cause == f"orders-api: none of its 2 trials counts: {why}"
    assert "--again" in caught.value.remedy
    assert "--out" in caught.value.remedy


def test_a_secret_part_that_changed_is_not_shown(tmp_path: Path) -> None:
    """A query may hold a token, so only the key is named."""
    measured(tmp_path, http_target(url="http://127.0.0.1:8080/orders?page=1"), CURVE)
    with pytest.raises(BadInput, match="a part of the url that is written nowhere changed"):
        check_trials(tmp_path, http_target(url="http://127.0.0.1:8080/orders?page=2"))


def test_without_a_manifest_the_keys_are_not_known(tmp_path: Path) -> None:
    """As after a sweep alone: it is said that the settings are others, no more."""
    measured(tmp_path, http_target(), CURVE, told=False)
    other = http_target(url="http://127.0.0.1:8080/users")
    with pytest.raises(BadInput, match="they were measured with other settings"):
        check_trials(tmp_path, other)
    assert check_trials(tmp_path, http_target(wait_p99=0.002)) == ""
    assert check_trials(tmp_path, http_target(name="new")) == ""


def test_an_address_is_named_by_its_key() -> None:
    """`url`, `urls` or `dsn`, as the file has it; what is the same is not named."""
    before = http_target().public_settings()
    urls = http_target(url=None, urls=("http://127.0.0.1:1/", "http://127.0.0.1:2/"))
    assert changed_keys(before, urls) == ["urls"]
    assert changed_keys(before, http_target()) == []
    assert changed_keys(None, http_target()) == []
    database = database_target(parameters={"n": {"uniform": [1, 9]}}, statements=("select :n",))
    before = database.public_settings() | {"endpoint": "postgresql://elsewhere/orders"}
    assert changed_keys(before, database) == ["dsn"]


def test_what_is_measured_anew_becomes_a_record(tmp_path: Path) -> None:
    """Its own files move, those of all targets are copied, what others own stays."""
    target, other = http_target(), http_target(name="users-api")
    started = {"started": "2026-11-12T09:11:30+00:00"}
    measured(tmp_path, target, CURVE, started | {"seed": 2})
    measured(tmp_path, other, CURVE, told=False)
    for name in ("orders-api.sizing.json", "recommended.json", "report.html", "notes.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    record = set_aside(tmp_path, [target.name])
    assert record is not None
    assert record == tmp_path / "before" / "2026-11-21T000000Z"  # of the latest trial
    moved = {"orders-api.trials.jsonl", "orders-api.sizing.json"}
    copied = {"recommended.json", "report.html", "manifest.json"}
    assert {path.name for path in record.iterdir()} == moved | copied
    left = {path.name for path in tmp_path.iterdir()}
    assert left == copied | {"users-api.trials.jsonl", "notes.txt", "before"}
    assert records_of(tmp_path, ["orders-api", "users-api"]) == {"orders-api": record}


def test_a_record_is_never_written_again(tmp_path: Path) -> None:
    """The next one has a folder of its own, even where its trials began at the same moment."""
    target = http_target()
    kept = []
    for seed in range(3):
        measured(tmp_path, target, {"seed": seed})
        record = set_aside(tmp_path, [target.name])
        assert record is not None
        kept.append(record)
    assert [path.name[17:] for path in kept] == ["Z", "Z-2", "Z-3"]
    seeds = [TrialLog(path / "orders-api.trials.jsonl").read()[0].seed for path in kept]
    assert seeds == [0, 1, 2]
    assert records_of(tmp_path, [target.name]) == {target.name: kept[-1]}


def test_nothing_to_keep_makes_no_record(tmp_path: Path) -> None:
    """`--again` in a new folder is a first measurement."""
    assert set_aside(tmp_path, ["orders-api"]) is None
    assert list(tmp_path.iterdir()) == []


def test_trials_of_another_version_are_kept_unread(tmp_path: Path) -> None:
    """`--again` is the way out of a folder that this version cannot read."""
    path = tmp_path / "orders-api.trials.jsonl"
    path.write_text('{"schema":"poolkit.trial/1","started":"2026-01-02T03:04:05+00:00"}\n')
    record = set_aside(tmp_path, ["orders-api"])
    assert record is not None
    assert record.name == "2026-01-02T030405Z"
    assert (record / path.name).is_file()


def test_a_folder_that_cannot_be_written_keeps_its_trials(tmp_path: Path) -> None:
    """Cause and remedy, and nothing has moved."""
    measured(tmp_path, http_target(), CURVE)
    (tmp_path / "before").write_text("a file of the user's", encoding="utf-8")
    with pytest.raises(BadInput, match="the former trials cannot be moved") as caught:
        set_aside(tmp_path, ["orders-api"])
    assert "--out" in caught.value.remedy
    assert (tmp_path / "orders-api.trials.jsonl").is_file()


def test_records_are_in_order_whatever_the_clock_did(tmp_path: Path) -> None:
    """Set back, set forward, not to be read: the record that was made last is the latest."""
    target = http_target()
    moments = ("2026-11-28T10:00:00+00:00", "2024-01-01T00:00:00+00:00", "0001-01-01T00:00+14:00")
    records = []
    for moment in moments * 4:
        measured(tmp_path, target, {"started": moment})
        records.append(set_aside(tmp_path, (target.name,)))
        assert records_of(tmp_path, (target.name,)) == {target.name: records[-1]}
    assert len(set(records)) == len(records)
