"""What a stranger's server, file or folder may hold: bad input with a remedy, and no traceback."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from poolkit.cli.application import app
from poolkit.errors import BadInput
from poolkit.measure.store import TrialLog
from poolkit.monitor import exposition, names, reader
from poolkit.probes import read as read_probes
from poolkit.records import MOST_CONNECTIONS, Sizing, Trial
from poolkit.report.folder import read_review
from poolkit.review.export import read_recommended, write_recommended
from poolkit.review.manifest import parameters_of, read_manifest, write_manifest
from poolkit.targets import load_targets, production
from tests.monitor.test_reader import Answers
from tests.recommend.examples import http_target, sizing, trial
from tests.review.test_adding import found

DEEP = b"[" * 100_000
DEEP_TABLE = b'{"a":' * 100_000
# Valid JSON of any shape, numbers of any size.
SHAPES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["success", "vector", "scalar", "value", "+Inf", "poolkit.manifest/1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "resultType", "result", "value", "error", "schema", "targets"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)

# -- Prometheus -----------------------------------------------------------------------------------

_OK = b'{"status": "success", "data": %s}'
PROMETHEUS: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"7",
    b"\xff",
    DEEP,
    DEEP_TABLE,
    b"9" * 10_000,
    b'{"status": 1}',
    b'{"status": "error", "error": {"a": 1}}',
    b'{"status": "error", "error": "\\u001b[2J\\u202e"}',
    _OK % b"null",
    _OK % b"[]",
    _OK % b'"vector"',
    _OK % DEEP,
    _OK % b'{"resultType": ["vector"], "result": []}',
    _OK % b'{"resultType": "vector", "result": {}}',
    _OK % b'{"resultType": "vector", "result": [7]}',
    _OK % b'{"resultType": "vector", "result": [null]}',
    _OK % b'{"resultType": "vector", "result": [{}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": {}}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": [1]}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": "12"}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": [1, {"a": 2}]}]}',
    _OK % (b'{"resultType": "vector", "result": [{"value": [1, %s]}]}' % (b"9" * 400)),
    _OK % b'{"resultType": "vector", "result": [{"value": [1, "1e308"]}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": [1, "1e400"]}]}',
    _OK % b'{"resultType": "vector", "result": [{"value": [1, "-5"]}]}',
    _OK % b'{"resultType": "scalar", "result": {}}',
    _OK % b'{"resultType": "scalar"}',
]


@pytest.fixture(autouse=True)
def nothing_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(production.RESOLVED, raising=False)


@pytest.mark.parametrize("body", PROMETHEUS, ids=lambda body: repr(body[:70]))
def test_a_prometheus_may_answer_anything(tmp_path: Path, body: bytes) -> None:
    """The command ends with exit 2, cause and remedy, and sends nothing to the target."""
    path = tmp_path / "targets.toml"
    with Answers(body) as url:
        path.write_text(
            '[targets.orders]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:9/"\n'
            f'target_rate = {{ prometheus = "{url}", query = "up" }}\n',
            encoding="utf-8",
        )
        words = ["size", "orders", "--targets", str(path), "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.isprintable() or not (set(result.stderr) & set("\x1b\u202e"))
    assert len(result.stderr.splitlines()) >= 2
    assert not (tmp_path / "out").exists()


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_an_answer_of_any_shape_is_a_rate_or_bad_input(shape: Any) -> None:
    """What comes back is a finite number."""
    content = json.dumps({"status": "success", "data": shape}).encode()
    query = production.RateQuery("http://127.0.0.1:9", "up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(production, "fetch", lambda *_, **__: content)
        with contextlib.suppress(BadInput):
            assert abs(production.ask(query).value) < float("inf")


@pytest.mark.parametrize(
    "handed",
    ["", "[]", "7", "[" * 100_000, '{"orders": 7}', '{"orders": {"of": 1}}', '{"orders": {}}',
     '{"orders": {"of": ["http://127.0.0.1:9", "up"], "reader": 1, "value": {}, "source": ""}}',
     '{"orders": {"of": {"prometheus": "http://127.0.0.1:9", "query": "up"}, "reader": 1, '
     '"value": 1e308, "source": ""}}'],
)  # fmt: skip
def test_a_figure_that_was_handed_down_wrongly_is_asked_anew(
    monkeypatch: pytest.MonkeyPatch, handed: str
) -> None:
    """The environment is somebody's input as well."""
    monkeypatch.setenv(production.RESOLVED, handed)
    with pytest.raises(BadInput, match="cannot read Prometheus"):
        production.resolve("orders", production.RateQuery("http://127.0.0.1:9", "up"))


def test_whatever_goes_wrong_while_an_answer_is_read_is_bad_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback comes from the thread that reads it, and nobody waits for the time limit."""

    def breaks(*_: object) -> bytes:
        raise RecursionError("of a library")

    monkeypatch.setattr(production, "_fetched", breaks)
    with pytest.raises(BadInput, match="its answer is none"):
        production.fetch("http://127.0.0.1:9", "it", timeout=60.0)


# -- an exposition --------------------------------------------------------------------------------

_POOL = '{pool="orders",driver="asyncpg"}'
EXPOSITIONS: list[str] = [
    "<html>",
    "\x00\x01",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total 1\n",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total{_POOL} -1\n",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total{_POOL} NaN\n",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total{_POOL} 1e308\n",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total{_POOL} +Inf\n",
    f"# TYPE {names.ASKS.name}_total counter\n{names.ASKS.name}_total{_POOL} 5\n",
    f"# TYPE {names.WAIT.name} histogram\n{names.WAIT.name}_count{_POOL} 5\n",
    f"# TYPE {names.WAIT.name} histogram\n{names.WAIT.name}_sum{_POOL} 5\n",
    f'# TYPE {names.WAIT.name} histogram\n{names.WAIT.name}_bucket{{pool="a",driver="b"}} 5\n',
    f"# TYPE {names.WAIT.name} histogram\n"
    f'{names.WAIT.name}_bucket{{pool="a",driver="b",le="x"}} 5\n',
    f"# TYPE {names.WAIT.name} histogram\n"
    f'{names.WAIT.name}_bucket{{pool="a",driver="b",le="NaN"}} 5\n',
    f"# TYPE {names.WAIT.name} counter\n{names.WAIT.name}{_POOL} 5\n",
    f"{names.ASKS.name}_total{{pool=",
    f"{names.ASKS.name}_total{{" + "a=" * 1000,
]


@pytest.mark.parametrize("text", EXPOSITIONS, ids=lambda text: repr(text[:90]))
def test_an_exposition_may_hold_anything(text: str) -> None:
    """A scrape without a histogram, negative counts, numbers without end: bad input."""
    with pytest.raises(BadInput) as caught:
        between(text)
    assert caught.value.remedy


def between(text: str) -> reader.Traffic:
    """What two scrapes of the same text tell."""
    first = reader.Scrape(1.0, "http://127.0.0.1:9/metrics", exposition.parse(text, "it"))
    return reader.between(first, reader.Scrape(2.0, first.source, first.pools), "orders")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [names.WAIT.name, "_bucket", "_total", "{", "}", "pool=", '"', "le=", ",", "\n", " ",
             "1", "NaN", "# TYPE ", "histogram", "# HELP", "\\", "\x85", "=", "1e999"]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_an_exposition_of_any_text_is_read_or_refused(parts: list[str]) -> None:
    """Whatever the parser makes of it."""
    with contextlib.suppress(BadInput):
        between("".join(parts))


# -- records --------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]


def setting(*path: str | int, to: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to

    change.__name__ = f"{'.'.join(map(str, path))}={str(to)[:20]}"
    return change


OF_TRIAL: list[Change] = [
    *(setting("pool_size", to=size) for size in (0, -1, 10**30, 1e308, None, [], "1e3")),
    *(setting("pools", to=pools) for pools in (0, -1, 10**30)),
    *(setting("throughput", to=rate) for rate in (-1, 1e308, 10**30)),
    *(setting("arrival_rate", to=rate) for rate in (-1, 1e308)),
    setting("window", to=-1),
    setting("seed", to=10**30),
    setting("started", to="yesterday"),
    setting("outcomes", to={"ok": -1}),
    setting("outcomes", to={"ok": 10**30}),
    setting("outcomes", to=[]),
    setting("error_kinds", to={"x": -1}),
    setting("throughput_interval95", to=[2, 1]),
    setting("throughput_interval95", to=[-1e308, 1e308]),
    setting("response_time", "buckets", to={"-1": 1}),
    setting("response_time", "buckets", to={"100000": 1}),
    setting("response_time", "mean", to=-1),
    setting("hold_time", to=None),
    setting("hold_time", "mean", to=5e-324),
    setting("in_use", to=[{"1": [1e308, 1, 1]}]),
    setting("in_use", to=[{"-1": [1, 1, 1]}]),
    setting("checks", to=[{}]),
]


@pytest.mark.parametrize("change", OF_TRIAL, ids=lambda change: change.__name__)
def test_a_trial_may_hold_anything(tmp_path: Path, change: Change) -> None:
    """Sizes of 0, below it and beyond all measure: told by line and key, before any load."""
    document = json.loads(trial().model_dump_json())
    change(document)
    log = TrialLog(tmp_path / "orders-api.trials.jsonl")
    log.path.write_text(json.dumps(document) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 1 is not a trial") as caught:
        log.read()
    assert caught.value.remedy


OF_SIZING: list[Change] = [
    *(setting("points", 0, "pool_size", to=size) for size in (0, -1, 10**30)),
    *(setting("size", to=size) for size in (0, -1, 10**30)),
    setting("plateau", to={"throughput": 1e308, "interval95": None}),
    setting("plateau", to=[]),
    setting("rate_per_pool", to=1e308),
    setting("points", to={}),
]


@pytest.mark.parametrize("change", OF_SIZING, ids=lambda change: change.__name__)
def test_a_sizing_may_hold_anything(tmp_path: Path, change: Change) -> None:
    """A folder with one is no review."""
    document = json.loads(sizing().model_dump_json())
    change(document)
    make_folder(tmp_path)
    (tmp_path / "orders-api.sizing.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match=r"orders-api\.sizing\.json is not"):
        read_review(tmp_path)


# -- a folder -------------------------------------------------------------------------------------

OF_MANIFEST: list[Change] = [
    setting("parameters", to=[]),
    setting("parameters", to=None),
    setting("parameters", "targets", to=[]),
    setting("parameters", "targets", to="orders-api"),
    setting("parameters", "targets", to={"orders-api": 7}),
    setting("parameters", "targets", to={"orders-api": {"max_size": 10**30}}),
    setting("parameters", "targets", to={"orders-api": {"target_rate": 1e308}}),
    setting("parameters", "targets", to={"orders-api": {"target_rate": []}}),
    setting("host", to=7),
    setting("host", "memory", to=10**30),
    setting("files", to={"../../etc/passwd": "x"}),
    setting("files", to={"a\x00": "x"}),
    setting("files", to={"x" * 5000: "x"}),
    setting("versions", to=[1]),
]


def make_folder(folder: Path) -> None:
    write_recommended(folder, (found(),))
    target_settings = {"orders-api": http_target().public_settings()}
    write_manifest(folder, parameters_of("size", None, None, target_settings))


@pytest.mark.parametrize("change", OF_MANIFEST, ids=lambda change: change.__name__)
def test_a_manifest_may_hold_anything(tmp_path: Path, change: Change) -> None:
    """It is no manifest then, and the folder no review."""
    make_folder(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    change(document)
    (tmp_path / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match=r"manifest\.json") as caught:
        read_review(tmp_path)
    assert caught.value.remedy


OF_RECOMMENDED: list[Change] = [
    *(setting("targets", 0, "recommended_size", to=size) for size in (0, -1, 10**30)),
    setting("targets", 0, "driver", to="aiopulsar"),
    setting("targets", 0, "target", to="../../etc/x"),
    setting("targets", 0, "target", to="a\x00b"),
    setting("targets", 0, "target", to="x" * 5000),
    setting("targets", 0, "target_rate", to=1e308),
    setting("targets", 0, "parameters", 0, "value", to={}),
    setting("targets", 0, "resumed", to={"trials": 0, "oldest": "x", "newest": "x"}),
    setting("targets", 0, "plateau", to={"throughput": 1, "interval95": [3, 2]}),
    setting("targets", to=7),
    setting("created", to="0"),
]  # fmt: skip


@pytest.mark.parametrize("change", OF_RECOMMENDED, ids=lambda change: change.__name__)
def test_a_recommended_file_may_hold_anything(tmp_path: Path, change: Change) -> None:
    """Read for --since and for the report: refused with its place."""
    make_folder(tmp_path)
    document = json.loads((tmp_path / "recommended.json").read_text(encoding="utf-8"))
    change(document)
    (tmp_path / "recommended.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match=r"recommended\.json"):
        read_recommended(tmp_path)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, name=st.sampled_from(["recommended.json", "manifest.json", "x.probe.json"]))
def test_a_file_of_any_shape_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, shape: Any, name: str
) -> None:
    """Whatever JSON it holds."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / name).write_text(json.dumps(shape), encoding="utf-8")
    for read in (read_recommended, read_manifest, read_probes):
        with contextlib.suppress(BadInput):
            read(folder)


@pytest.mark.parametrize("content", [DEEP, DEEP_TABLE, b"9" * 100_000, b"\xff\x00", b""])
@pytest.mark.parametrize(
    "name",
    ["recommended.json", "manifest.json", "orders-api.sizing.json", "orders-api.trials.jsonl",
     "orders-api.probe.json", "since.json", "service.json"],
)  # fmt: skip
def test_a_file_of_a_folder_may_be_no_json(tmp_path: Path, name: str, content: bytes) -> None:
    """Deep nesting and endless numbers are mistakes like any other."""
    make_folder(tmp_path)
    (tmp_path / name).write_bytes(content + b"\n" * name.endswith("l"))
    with pytest.raises(BadInput) as caught:
        read_review(tmp_path)
    assert name in caught.value.cause
    assert caught.value.remedy


# -- targets.toml ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["target_rate = 1e308", "target_rate = 1e13", f"max_size = {10**18}", "growth = 1e300",
     f"replicas = {10**15}", "wait_p99 = 1e308", "headroom = 1e308", f"max_connections = {10**12}",
     f"tasks = {10**18}", "keepalive_timeout = 1e308", "max_rate = 1e308", f"max_calls = {10**30}"],
)  # fmt: skip
def test_no_key_of_a_target_is_beyond_all_measure(tmp_path: Path, line: str) -> None:
    """The message names the key and what it may be at most."""
    key = line.split(" ")[0]
    lines = ['driver = "aiohttp"', 'url = "http://127.0.0.1:9/"', "target_rate = 5", line]
    lines = [each for each in lines if each == line or not each.startswith(key)]
    path = tmp_path / "targets.toml"
    path.write_text("\n".join(["[targets.orders]", *lines]), encoding="utf-8")
    with pytest.raises(BadInput, match=rf"{key}: must be at most"):
        load_targets(path)


def test_bounds_leave_room_for_what_is_real() -> None:
    """A million connections is a size; so are the records that the tests start from."""
    document = json.loads(trial().model_dump_json())
    Trial.model_validate(copy.deepcopy(document) | {"pool_size": MOST_CONNECTIONS})
    Sizing.model_validate_json(sizing().model_dump_json())


@pytest.mark.parametrize("name", ["recommended.json", "orders-api.trials.jsonl"])
def test_a_hostile_folder_ends_the_command_without_a_traceback(tmp_path: Path, name: str) -> None:
    """As a user meets it: in a process of its own."""
    (tmp_path / "targets.toml").write_text(
        '[targets.orders-api]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:9/"\ntarget_rate = 5\n',
        encoding="utf-8",
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(DEEP + b"\n")
    words = [sys.executable, "-m", "poolkit", "size", "orders-api"]
    words += ["--targets", "targets.toml", "--out", "out"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert name in done.stderr
