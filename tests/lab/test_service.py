"""The demo service, end to end: undersized pools, the recommended ones, and the difference."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolkit.errors import BadInput, ExitCode
from poolkit.events import Failed
from poolkit.lab.running import Lab
from poolkit.lab.service import compare
from poolkit.lab.service.run import ServiceProcess, run_service
from poolkit.lab.service.sizes import (
    RECOMMENDED,
    UNDERSIZED,
    UPSTREAMS,
    load_pools,
    parse_sizes,
    pools_source,
    reviewed_source,
    targets_of,
    targets_toml,
)
from poolkit.monitor.exposition import parse
from poolkit.records import Record
from poolkit.review.export import read_recommended
from poolkit.show.before_after import PoolSeen, ServiceComparison, ServiceRun
from poolkit.targets import load_targets

SECONDS = 4.0
# What `poolkit review` wrote of the targets.toml that the service writes.
REVIEWED = Path(__file__).parent / "reviewed.json"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(UPSTREAMS) as running:
        yield running


@pytest.fixture
def environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lab.environment().items():
        monkeypatch.setenv(name, value)


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10.0) as response:
        return str(response.read().decode())


@pytest.mark.lab
@pytest.mark.usefixtures("environment")
def test_the_recommended_parameters_cure_an_undersized_service(lab: Lab, tmp_path: Path) -> None:
    """The same load before and after what a review of the service's targets recommends.

    Waits, p99 and errors fall. The review is a recorded one of the lab's models, whose times are
    the same everywhere.
    """
    sources = {
        "undersized": pools_source(targets_of(lab), UNDERSIZED),
        "recommended": reviewed_source(REVIEWED, targets_of(lab)),
    }
    recommended = {
        entry.target: entry.recommended_size for entry in read_recommended(REVIEWED).targets
    }
    runs = {}
    for label, source in sources.items():
        path = tmp_path / f"{label}.py"
        path.write_text(source, encoding="utf-8")
        with ServiceProcess(path) as service:
            assert set(json.loads(read(f"{service.url}/checkout"))) == {"order", "history", "quote"}
            runs[label] = run_service(service.url, label, seconds=SECONDS)
            report = read(f"{service.url}/pools")
            figures = parse(read(f"{service.url}/metrics"), "the service")
        sizes = {name: seen.values["poolkit_pool_size"] for name, seen in figures.items()}
        assert sizes == (recommended if label == "recommended" else UNDERSIZED)
        assert all(name in report for name in sizes)
    before, after = runs["undersized"], runs["recommended"]
    assert (before.calls, before.arrival_rate) == (after.calls, after.arrival_rate)
    # One connection carries less than the load, whatever this machine does meanwhile.
    assert before.error_share > 0.1
    assert after.error_share < before.error_share / 4
    assert after.response_p99 is not None
    assert before.response_p99 is not None
    assert after.response_p99 < before.response_p99 / 2
    turned_away = [sum(pool.turned_away for pool in run.pools) for run in (before, after)]
    assert turned_away[0] > 20 > turned_away[1]
    for of in ("wait_time", "wait_p99"):
        worst = [max(getattr(pool, of) or 0.0 for pool in run.pools) for run in (before, after)]
        assert worst[1] < worst[0] / 4, of
    comparison = ServiceComparison(before=before, after=after)
    again = ServiceComparison.model_validate_json(comparison.model_dump_json(by_alias=True))
    assert again == comparison
    assert isinstance(comparison, Record)


def test_a_review_without_a_size_for_each_pool_is_refused(lab: Lab, tmp_path: Path) -> None:
    """The pools that it says nothing of, by name."""
    written = read_recommended(REVIEWED)
    some = written.targets[0].model_copy(update={"recommended_size": None})
    document = written.model_copy(update={"targets": (some, written.targets[1])})
    path = tmp_path / "recommended.json"
    path.write_text(document.model_dump_json(by_alias=True), encoding="utf-8")
    with pytest.raises(BadInput, match="recommends no size for orders-db, quotes-api"):
        reviewed_source(path, targets_of(lab))


@pytest.mark.lab
@pytest.mark.parametrize("is_done", [True, False])
def test_a_review_leads_to_a_comparison_in_its_report(
    is_done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The targets are reviewed, the service runs with the result, the report is made of both."""
    made: list[str] = []
    ran: dict[str, set[str]] = {}

    def review(targets: Path, out: Path, watcher: Any, **options: Any) -> Any:
        assert set(load_targets(targets)) == set(UNDERSIZED)
        assert options["budget"] == 7.0
        with watcher.measuring("orders-db"):
            watcher.see(Failed(target="orders-db", cause="C", remedy="R", exit_code=3))
        if is_done:
            shutil.copyfile(REVIEWED, out / "recommended.json")
            options["make_report"](out)
        return SimpleNamespace(exit_code=ExitCode.DONE, report=out / compare.REPORT)

    def run_with(pools: Path, label: str, seconds: float) -> ServiceRun:
        assert seconds == 3.0
        ran[label] = set(re.findall(r"max_size=(\d+)|Gate\((\d+)", pools.read_text()))
        return run_of(label, 40 if label == compare.BEFORE else 0, 0.1)

    def execute(out: Path) -> Path:
        made.append((out / "service.json").read_text())
        return out

    monkeypatch.setattr(compare, "review", review)
    monkeypatch.setattr(compare, "_run_with", run_with)
    monkeypatch.setattr("poolkit.report.execute.execute", execute)
    monkeypatch.setattr("poolkit.report.export.export", lambda _notebook, report: report)
    code = compare.main(["--out", str(tmp_path), "--budget", "7", "--seconds", "3"])
    said = capsys.readouterr()
    assert said.err.startswith("orders-db: is reviewed\norders-db: C\nR\n")
    assert code == (ExitCode.DONE if is_done else ExitCode.STOPPED)
    if is_done:
        assert ran == {"undersized": {("1", ""), ("", "1")}, "recommended": {("4", ""), ("", "6")}}
        assert ServiceComparison.model_validate_json(made[0]).before.errors == 40
        assert "| errors | 10.0 % | 0.0 % |" in said.out
    else:
        assert "nothing was compared" in said.err


def run_of(label: str, errors: int, wait: float | None) -> ServiceRun:
    pool = PoolSeen(
        pool="orders-db",
        driver="asyncpg",
        pool_size=1 if errors else 5,
        arrival_rate=80.0,
        hold_time=0.0142,
        wait_time=wait,
        wait_p99=wait,
        turned_away=errors,
        dials=0,
    )
    return ServiceRun(
        label=label,
        path="/checkout",
        arrival_rate=80.0,
        seconds=5.0,
        throughput=80.0 - errors / 5,
        response_p50=0.06,
        response_p99=1.1 if errors else 0.12,
        calls=400,
        errors=errors,
        pools=(pool,),
    )


def test_the_table_shows_both_runs_side_by_side() -> None:
    """What callers saw first, then each pool; a pool that one run lacks is left out."""
    comparison = ServiceComparison(before=run_of("before", 40, 0.9), after=run_of("after", 0, None))
    assert comparison.table().markdown() == (
        "**/checkout before and after the recommended parameters**\n\n"
        "|  | before | after |\n"
        "| --- | ---: | ---: |\n"
        "| calls planned | 80 calls/s | 80 calls/s |\n"
        "| served | 72 calls/s | 80 calls/s |\n"
        "| errors | 10.0 % | 0.0 % |\n"
        "| p50 response | 60 ms | 60 ms |\n"
        "| p99 response | 1100 ms | 120 ms |\n"
        "| orders-db: size | 1 | 5 |\n"
        "| orders-db: mean wait | 900 ms | – |\n"
        "| orders-db: p99 wait | 900 ms | – |\n"
        "| orders-db: hold | 14 ms | 14 ms |\n"
        "| orders-db: turned away | 40 | 0 |\n"
    )
    bare = run_of("after", 0, None).model_copy(update={"pools": ()})
    assert len(ServiceComparison(before=run_of("b", 1, 0.1), after=bare).table().rows) == 5


@pytest.mark.lab
@pytest.mark.usefixtures("environment")
def test_its_targets_can_be_reviewed(lab: Lab, tmp_path: Path) -> None:
    """The targets.toml that it writes holds the targets that its pools were made from."""
    path = tmp_path / "targets.toml"
    path.write_text(targets_toml(lab, "http://127.0.0.1:8800"), encoding="utf-8")
    read_back = load_targets(path)
    for target in targets_of(lab):
        assert read_back[target.name].public_settings() == target.public_settings()
        where = read_back[target.name].production
        assert where is not None
        assert (where.metrics, where.pool) == ("http://127.0.0.1:8800/metrics", target.name)


@pytest.mark.lab
def test_a_service_out_of_reach_is_told() -> None:
    """No service, no load: the gauges are read first."""
    with pytest.raises(BadInput, match=r"cannot read http://127\.0\.0\.1:1/metrics"):
        run_service("http://127.0.0.1:1", "x")
    with pytest.raises(BadInput, match="is not this machine"):
        run_service("http://service.internal:8000", "x")


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("undersized", UNDERSIZED),
        ("recommended", RECOMMENDED),
        ("orders-db=6, quotes-api=8", {**UNDERSIZED, "orders-db": 6, "quotes-api": 8}),
    ],
)
def test_sizes_are_read(text: str, sizes: dict[str, int]) -> None:
    """A name for all of them, or a size each; what is left out stays undersized."""
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("recomended", "did you mean recommended"),
        ("orders=3", "did you mean orders-db"),
        ("orders-db=0", "from 1 to 64"),
        ("orders-db=x", "from 1 to 64"),
        ("orders-db=65", "from 1 to 64"),
        ("", "no pool named ''"),
    ],
)
def test_wrong_sizes_are_refused(text: str, cause: str) -> None:
    """With the nearest name or the range."""
    with pytest.raises(BadInput, match=cause):
        parse_sizes(text)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no such file"),
        ("import no_such_module", "cannot be imported: No module named"),
        ("x = 1", "has no open_pools"),
    ],
)
def test_a_file_that_is_no_pools_py_is_refused(
    tmp_path: Path, content: str | None, cause: str
) -> None:
    """With what to name instead."""
    path = tmp_path / "pools.py"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=cause):
        load_pools(path)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--sizes", "nonsense"], "no pool named 'nonsense'"),
        (["--pools", "no-such-file.py"], "no such file"),
        (["--port", "99999"], "cannot listen on port 99999"),
    ],
)
def test_the_command_refuses_bad_input_with_exit_code_2(arguments: list[str], cause: str) -> None:
    """One line of cause and remedy, no traceback."""
    words = [sys.executable, "-m", "poolkit.lab.service", "--port", "0", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "http://127.0.0.1:9"], "--url and --pools belong together"),
        (["--url", "http://127.0.0.1:9", "--pools", "nowhere.py"], "no such file: nowhere.py"),
        (
            ["--url", "http://127.0.0.1:9", "--pools", "x.py", "--reviewed", "x"],
            "--url and --reviewed do not go together",
        ),
        (["--seconds", "0"], "--seconds must be from 1 to 600, got 0"),
        (["--budget", "0"], "--budget must be from 1 to 3600 s, got 0"),
    ],
)
def test_a_comparison_that_cannot_begin_is_told(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, what is wrong, and no file that looks like a result."""
    assert compare.main(["--out", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.lab
@pytest.mark.usefixtures("environment")
def test_a_running_service_is_compared_with_its_pools_of_a_review(lab: Lab, tmp_path: Path) -> None:
    """The same load on the service that runs and on one with another pools.py; kept in a file."""
    pools = tmp_path / "pools.py"
    pools.write_text(pools_source(targets_of(lab), RECOMMENDED), encoding="utf-8")
    undersized = tmp_path / "before.py"
    undersized.write_text(pools_source(targets_of(lab), UNDERSIZED), encoding="utf-8")
    with ServiceProcess(undersized) as service:
        found = compare.compare_running(f"{service.url}/", pools, seconds=1.5)
    assert [pool.pool_size for pool in found.before.pools] == [1, 1, 1]
    assert {pool.pool: pool.pool_size for pool in found.after.pools} == RECOMMENDED
    assert found.before.calls == found.after.calls
    path = compare.write(found, tmp_path / "review")
    assert ServiceComparison.model_validate_json(path.read_bytes()) == found
