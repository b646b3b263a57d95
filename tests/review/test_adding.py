"""A folder that several write to: nothing of the others is lost, whoever they are."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from poolkit.cli.application import app
from poolkit.errors import BadInput, BrakeStop
from poolkit.recommend import recommend, unreachable
from poolkit.records import Recommendation, Resumed
from poolkit.review import adding
from poolkit.review.adding import LOCK, add_results, only_writer, read_entries, read_known
from poolkit.review.export import RECOMMENDED, read_recommended, write_recommended
from poolkit.review.manifest import changed_files, read_manifest
from poolkit.targets import Target
from tests.recommend.examples import (
    database_target,
    http_target,
    sizing,
    trial,
    verification,
    verifying_trial,
)

WRITERS = 8
WRITER = """
import sys, time
from pathlib import Path
from poolkit.review.adding import add_results
from tests.recommend.examples import http_target
from tests.review.test_adding import found

name, out, start = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
recommendation, target = found(name), http_target(name=name)
Path(f"{start}-{name}").touch()
while not start.exists():
    time.sleep(0.001)
add_results(out, [recommendation], {name: target})
"""


def found(name: str = "orders-api", **changes: Any) -> Recommendation:
    trials = [trial(), verifying_trial()]
    made = recommend(http_target(name=name), sizing(), verification(), trials, "done", 31.2)
    return made.model_copy(update=changes)


def add(out: Path, recommendation: Recommendation, target: Target) -> None:
    add_results(out, [recommendation], {target.name: target})


def raw(out: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((out / "recommended.json").read_text(encoding="utf-8"))
    return {entry["target"]: entry for entry in document["targets"]}


def write_entries(out: Path, *entries: dict[str, Any]) -> None:
    write_recommended(out, ())
    file = out / "recommended.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["targets"] = list(entries)
    file.write_text(json.dumps(document, ensure_ascii=True), encoding="utf-8")


def test_simultaneous_writers_lose_nothing(tmp_path: Path) -> None:
    """Eight processes that write at the same moment: each target is in every file."""
    out, start = tmp_path / "out", tmp_path / "start"
    out.mkdir()
    names = [f"orders-{number}" for number in range(WRITERS)]
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, name, str(out), str(start)])
        for name in names
    ]
    try:
        end = time.monotonic() + 120
        while len(list(tmp_path.glob("start-*"))) < WRITERS:
            assert time.monotonic() < end, "the writers did not come up"
            time.sleep(0.05)
        start.touch()
        assert [process.wait(60) for process in processes] == [0] * WRITERS
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(entry.target for entry in read_recommended(out).targets) == sorted(names)
    manifest = read_manifest(out)
    assert sorted(manifest.targets) == sorted(names)
    assert changed_files(out, manifest) == ()
    for file in ("recommended.csv", "recommended.md", "pools.py"):
        text = (out / file).read_text(encoding="utf-8")
        assert all(name in text or name.replace("-", "_") in text for name in names), file
    assert not list(out.glob(".*.tmp"))


OF_ANOTHER_VERSION: list[dict[str, Any]] = [
    {"target": "pulsar", "driver": "aiopulsar", "new_key": [1, {"a": "\x1b[2J"}]},
    {"target": 7},
    {},
    {**found("unknown-driver").model_dump(mode="json"), "driver": "aiopulsar"},
    {**found("no-parameters-of-its-own").model_dump(mode="json"), "driver": "asyncpg"},
    {**found("size-0").model_dump(mode="json"), "recommended_size": 0},
    {**found().model_dump(mode="json"), "target": "../../etc/x"},
]


@pytest.mark.parametrize("entry", OF_ANOTHER_VERSION, ids=lambda e: str(e.get("target")))
def test_an_entry_that_is_not_understood_stays_as_it_is(
    tmp_path: Path, entry: dict[str, Any]
) -> None:
    """It is in recommended.json to the letter, and the other files say why it is not in them."""
    write_entries(tmp_path, entry, found("users-api").model_dump(mode="json"))
    add(tmp_path, found(), http_target())
    document = json.loads((tmp_path / "recommended.json").read_text(encoding="utf-8"))
    assert document["targets"][-1] == entry
    assert [each["target"] for each in document["targets"][:-1]] == ["users-api", "orders-api"]
    assert "No pool for" in (tmp_path / "pools.py").read_text(encoding="utf-8")
    assert "Not written here" in (tmp_path / "recommended.md").read_text(encoding="utf-8")
    assert len(read_entries(tmp_path).foreign) == 1


def test_a_result_takes_the_place_of_its_own_former_one_only_when_it_is_one(tmp_path: Path) -> None:
    """An entry of this target that a newer version wrote outlives an attempt without a result."""
    newer = {"target": "orders-api", "driver": "aiohttp", "status": "done", "new": 1}
    write_entries(tmp_path, newer)
    add(tmp_path, unreachable(http_target(), "refused", "start it"), http_target())
    document = json.loads((tmp_path / "recommended.json").read_text(encoding="utf-8"))
    assert newer in document["targets"]
    add(tmp_path, found(), http_target())
    assert list(raw(tmp_path)) == ["orders-api"]
    assert raw(tmp_path)["orders-api"]["recommended_size"] == found().recommended_size


UNREADABLE: list[bytes] = [
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"[]",
    b"null",
    b'"recommended"',
    b'{"schema": "poolkit.recommended/3", "created": "2026-01-01T00:00:00Z", "targets": []}',
    b'{"schema": "poolkit.recommended/2", "created": "2026-01-01T00:00:00Z", "targets": {}}',
    b'{"schema": "poolkit.recommended/2", "created": "2026-01-01T00:00:00Z", "targets": [1]}',
    b'{"schema": "poolkit.recommended/2", "created": "yesterday", "targets": []}',
    b'{"schema": "poolkit.recommended/2", "created": 5, "targets": []}',
    b'{"schema": "poolkit.recommended/2", "targets": []}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 100_000,
]


@pytest.mark.parametrize("content", UNREADABLE, ids=lambda content: repr(content[:90]))
def test_a_file_that_cannot_be_read_is_told_before_anything_is_sent(
    tmp_path: Path, content: bytes
) -> None:
    """Exit 2 with cause and remedy; the file is untouched, and there is no trial."""
    targets, out = tmp_path / "targets.toml", tmp_path / "out"
    targets.write_text(
        '[targets.orders-api]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:9/"\ntarget_rate = 5\n',
        encoding="utf-8",
    )
    out.mkdir()
    (out / "recommended.json").write_bytes(content)
    words = ["size", "orders-api", "--targets", str(targets), "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "recommended.json is not a poolkit.recommended/2 document" in result.stderr
    assert "move it away" in result.stderr
    assert "Traceback" not in result.stderr
    assert (out / "recommended.json").read_bytes() == content
    assert [path.name for path in out.iterdir()] == ["recommended.json"]
    with pytest.raises(BrakeStop, match="recommended"):
        add(out, found(), http_target())


def test_who_reads_a_folder_that_is_not_understood_is_told_what_readers_can_do(
    tmp_path: Path,
) -> None:
    """Not to move it away for another --out, which is for who writes."""
    (tmp_path / RECOMMENDED).write_text('{"schema": "poolkit.recommended/9"}', encoding="utf-8")
    with pytest.raises(BadInput) as told:
        read_known(tmp_path)
    assert told.value.remedy == "name the folder of a finished review"


def test_an_entry_that_rests_on_trials_of_before_is_understood(tmp_path: Path) -> None:
    """Its age is told at the moment at which the file was made."""
    moment = "2026-01-01T00:00:00+00:00"
    resumed = Resumed(trials=1, oldest=moment, newest=moment)
    write_recommended(tmp_path, (found(resumed=resumed),))
    assert read_entries(tmp_path).known["orders-api"].resumed == resumed
    assert read_recommended(tmp_path).targets[0].resumed == resumed


def test_a_writer_that_does_not_end_is_told(tmp_path: Path) -> None:
    """Whoever waits for it in vain says what is in the way, and nothing is written."""
    holder = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(BrakeStop, match="another poolkit") as stop, only_writer(tmp_path, 0.1):
            pytest.fail("two writers at a time")
        assert "goes on from the finished trials" in stop.value.remedy
    finally:
        os.close(holder)
    with only_writer(tmp_path, 0.1):
        pass


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_that_is_no_file_is_told(tmp_path: Path, kind: str) -> None:
    """A link is not followed to a file that somebody else may want to have made."""
    lock = tmp_path / LOCK
    lock.mkdir() if kind == "folder" else lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BrakeStop, match=r"\.poolkit\.lock cannot be made"), only_writer(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_patience_is_longer_than_the_longest_queue() -> None:
    """20 writers before one, each of which may take a second."""
    assert adding.PATIENCE >= WRITERS * 1.0


def test_other_targets_keep_their_addresses_in_the_code(tmp_path: Path) -> None:
    """Whoever is sized again: URLs, variables of DSNs and shared hosts of the others stay."""
    api = http_target(name="orders-api", url="http://127.0.0.1:8080/orders?key=hunter2")
    stock = http_target(name="stock", url="http://127.0.0.1:8080/stock")
    users = database_target(name="users-db", dsn_env="USERS_ELSEWHERE")
    made = recommend(users, sizing(), verification(), [trial(), verifying_trial()], "done", 31.2)
    add(tmp_path, found(), api)
    add(tmp_path, found("stock"), stock)
    add(tmp_path, made, users)
    before = {name: (tmp_path / name).read_text("utf-8") for name in ("pools.py", "recommended.md")}
    assert 'ORDERS_API_URL = "http://127.0.0.1:8080/orders"' in before["pools.py"]
    assert 'STOCK_URL = "http://127.0.0.1:8080/stock"' in before["pools.py"]
    assert 'os.environ["USERS_ELSEWHERE"]' in before["pools.py"]
    for name, target, result in (
        ("orders-api", api, found()),
        ("stock", stock, found("stock")),
        ("users-db", users, made),
    ):
        add(tmp_path, result, target)
        for file, text in before.items():
            assert _undated(tmp_path / file) == _undated(text), f"{name}: {file}"


def _undated(text: str | Path) -> str:
    text = text.read_text("utf-8") if isinstance(text, Path) else text
    return re.sub(r"\d{4}-\d\d-\d\d(T[\d:+.]+)?", "DAY", text)


HOSTILE_SETTINGS: list[Any] = [
    {"driver": 5, "endpoint": "http://127.0.0.1/"},
    {"driver": "aiohttp", "endpoint": ["http://127.0.0.1/"]},
    {"driver": "aiohttp", "endpoint": 'http://127.0.0.1/"\n\x00import os #'},
    {},
]


@pytest.mark.parametrize("settings", HOSTILE_SETTINGS, ids=repr)
def test_a_manifest_of_somebody_else_writes_no_code(tmp_path: Path, settings: Any) -> None:
    """Settings that are none are kept, and what they call an address is a text at most."""
    add(tmp_path, found("users-api"), http_target(name="users-api"))
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    manifest["parameters"]["targets"]["users-api"] = settings
    manifest["parameters"]["variables"] = {"users-api": "A()\nB", "x": 5}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    add(tmp_path, found(), http_target())
    tree = ast.parse((tmp_path / "pools.py").read_text("utf-8"))
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and "os" in ast.unparse(node).split()
    ]
    assert set(raw(tmp_path)) == {"orders-api", "users-api"}


def test_several_results_stand_in_their_own_order(tmp_path: Path) -> None:
    """Where the first of them stood before, so that a review keeps the order of its file."""
    for name in ("a", "c", "b", "z"):
        add(tmp_path, found(name), http_target(name=name))
    targets = {name: http_target(name=name) for name in ("b", "c", "new")}
    add_results(tmp_path, [found(name) for name in targets], targets)
    assert list(raw(tmp_path)) == ["a", "b", "c", "new", "z"]
