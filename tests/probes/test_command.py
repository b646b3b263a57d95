"""`poolkit probe` as a person runs it: tables, a file, exit codes, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from poolkit.cli.progress import PlainScreen
from poolkit.drivers.parameters.findings import IdleLimit
from poolkit.errors import BadInput, ExitCode, Unreachable
from poolkit.events import Done, Failed, Recommended, Sized, Step, from_line, to_line
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.loop import run_until_over
from poolkit.probes import Probe, find, probe_idle, read, write
from poolkit.probes.line import NoLine
from poolkit.probes.names import probe_names
from poolkit.probes.records import StaleCount
from poolkit.probes.run import ProbeRun
from poolkit.report import page
from poolkit.report.folder import read_review
from poolkit.review import outcome, run
from poolkit.review.export import read_recommended
from poolkit.review.manifest import read_manifest
from poolkit.show.tables.of_probe import tables_of_probe
from poolkit.targets import Target
from tests.cli import recorded
from tests.probes.servers import free_port
from tests.recommend import examples
from tests.virtual_clock import VirtualLoop, run_virtual

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A running `poolkit probe`; ended at the latest when the test is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "poolkit", "probe", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ran(*words: str) -> tuple[int, str, str]:
    with command(*words) as process:
        out, err = process.communicate(timeout=200)
        return process.returncode, out, err


def targets_file(folder: Path, url: str) -> str:
    path = folder / "targets.toml"
    path.write_text(f'[targets.api]\ndriver = "aiohttp"\nurl = "{url}"\ntarget_rate = 2000\n')
    return str(path)


class Probed(NamedTuple):
    folder: Path
    code: int
    printed: str


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    """A server that keeps idle connections for 1.5 s, probed for that alone."""
    folder = tmp_path_factory.mktemp("probed")
    with HttpUpstream(Workers(workers=32, service_time=0.001), keepalive=1.5) as server:
        file = targets_file(folder, server.url)
        words = ("api", "--targets", file, "--out", str(folder), "--cap", "20")
        code, out, err = ran(*words, "--only", "idle")
    return Probed(folder, code, out + err)


@pytest.mark.lab
def test_a_probe_prints_and_writes_what_it_found(probed: Probed) -> None:
    """The timeout, the proof, the parameter; the same in NAME.probe.json; exit code 0."""
    folder, code, printed = probed
    assert code == 0, printed
    assert "keepalive_timeout" in printed
    assert re.search(r"idle connection is closed after 1\.(4[5-9]|5)", " ".join(printed.split()))
    found = read(folder)["api"]
    assert found.status == "done"
    assert found.idle[0].timeout == pytest.approx(1.5, abs=0.5)
    assert found.proof is not None
    assert found.proof.holds
    assert found.costs is None
    assert json.loads((folder / "api.probe.json").read_text())["schema"] == "poolkit.probe/1"


@pytest.mark.lab
def test_a_review_takes_over_what_the_probe_measured(
    probed: Probed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """recommended.json and pools.py hold the measured value, the manifest lists the probe."""
    events = tmp_path / "events"
    found = recorded.recommendation().model_copy(update={"target": "api"})
    lines = [
        Sized(sizing=examples.sizing(target="api")),
        Recommended(recommendation=found),
        Done(target="api", exit_code=0),
    ]
    events.write_text("".join(map(to_line, lines)), encoding="utf-8")
    words = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(events)]
    monkeypatch.setattr(outcome, "command", lambda _order: words)
    console = Console(file=io.StringIO())
    screen = PlainScreen(console, console)
    run.review(probed.folder / "targets.toml", probed.folder, screen)
    entry = read_recommended(probed.folder).targets[0]
    row = next(row for row in entry.parameters if row.name == "keepalive_timeout")
    assert 0.4 < float(row.value or 0.0) < 1.5
    assert row.source == "measured"
    assert re.search(r"closed after 1\.(4[5-9]|5)", row.because)
    pools = (probed.folder / "pools.py").read_text(encoding="utf-8")
    assert f"keepalive_timeout={row.value}," in pools
    assert "api.probe.json" in read_manifest(probed.folder).files
    (shown,) = read_review(probed.folder).targets
    html = page.section(shown, read_review(probed.folder)).html
    assert "hold what was found here" in html


def wait_for_idle(process: subprocess.Popen[str]) -> None:
    """Until connections have been idle for a while."""
    assert process.stdout is not None
    for line in process.stdout:
        if "idle connections" in line:
            break
    time.sleep(1.5)


@pytest.mark.lab
def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    """Exit code 130 soon after, and the file says for how long a connection lived."""
    with HttpUpstream(Workers(workers=32, service_time=0.001)) as server:
        file = targets_file(tmp_path, server.url)
        words = ("api", "--targets", file, "--out", str(tmp_path), "--only", "idle")
        with command(*words) as process:
            wait_for_idle(process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            assert process.returncode == 130, out + err
            assert "kept for longer than" in " ".join(out.split()), out + err
    found = read(tmp_path)["api"]
    assert found.status == "cancelled"
    assert found.idle[0].kind == "longer"


def test_a_target_that_is_down(tmp_path: Path) -> None:
    """Exit code 3 with the reason and a remedy; nothing is written into the folder."""
    file = targets_file(tmp_path, f"http://127.0.0.1:{free_port()}/")
    code, _, err = ran("api", "--targets", file, "--out", str(tmp_path / "out"))
    assert code == 3
    assert "connection refused" in err
    assert "that the server runs" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_probe_in_a_cell_tells_its_steps_as_events(tmp_path: Path) -> None:
    """One JSON line each and nothing else; a failure is one of them."""
    file = targets_file(tmp_path, f"http://127.0.0.1:{free_port()}/")
    code, out, err = ran("api", "--targets", file, "--events")
    step, failed, done = (from_line(line) for line in out.splitlines())
    assert isinstance(step, Step)
    assert (step.target, step.what) == ("api", "one call to see whether it answers")
    assert isinstance(failed, Failed)
    assert "connection refused" in failed.cause
    assert done == Done(target="api", exit_code=3)
    assert (code, err) == (3, "")


def test_bad_input_is_named(tmp_path: Path) -> None:
    """Exit code 2, before anything is sent."""
    file = targets_file(tmp_path, f"http://127.0.0.1:{free_port()}/")
    code, _, err = ran("api", "--targets", file, "--only", "idel")
    assert code == 2
    assert "--only must be one of idle, costs, stale, dns, got 'idel'" in err


@pytest.mark.parametrize("cap", [0.5, 3601.0, math.nan, math.inf, -1.0])
def test_the_cap_has_a_range(cap: float) -> None:
    """From 1 to 3600 s."""
    with pytest.raises(BadInput, match="cap must be from 1 to 3600 s"):
        ProbeRun(target(), cap=cap)


def target(**changes: object) -> Target:
    settings: dict[str, object] = {
        "name": "api",
        "driver": "aiohttp",
        "url": "http://127.0.0.1:9/",
        "target_rate": 10.0,
    }
    return Target.model_validate(settings | changes)


def test_a_function_call_raises_what_a_program_can_catch() -> None:
    """In the caller's thread, whether or not a loop runs in it."""
    with pytest.raises(Unreachable):
        probe_idle(target(url=f"http://127.0.0.1:{free_port()}/"))


def test_what_was_found_before_the_deadline_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a stopped probe with a remedy, for a program as for the command."""

    async def slow(run: ProbeRun) -> Probe:
        run.probe = example()
        await asyncio.sleep(3600.0)
        return run.probe

    monkeypatch.setattr(ProbeRun, "run", slow)
    monkeypatch.setattr(ProbeRun, "deadline", 0.05)
    found = probe_idle(target())
    assert found.status == "stopped"
    assert found.idle == example().idle
    assert found.doubts[0].next == "try a smaller --cap"


@pytest.mark.parametrize(("hangs_from", "ends"), [(1, True), (10, True), (11, False)])
def test_a_look_up_that_hangs_ends_in_time(
    hangs_from: int, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the ten has a time limit, and there is none without."""
    asked = 0

    async def look_up(_loop: object, *_words: object, **_more: object) -> list[object]:
        nonlocal asked
        asked += 1
        if asked >= hangs_from:
            await asyncio.sleep(3600.0)
        return [(2, 1, 6, "", ("127.0.0.1", 9))]

    async def look() -> float:
        named = target(driver="httpx", url="http://orders.test:9/")
        with pytest.raises(NoLine, match="looked up") if ends else contextlib.nullcontext():
            await probe_names(named)
        return asyncio.get_running_loop().time()

    monkeypatch.setattr(VirtualLoop, "getaddrinfo", look_up)
    assert run_virtual(look()) < 10.0
    assert asked == min(hangs_from, 10)


def example() -> Probe:
    return Probe(
        target="api",
        driver="aiohttp",
        endpoint="http://127.0.0.1:9/",
        created="2026-11-21T00:00:00+00:00",
        idle=(IdleLimit(kind="random", bounds=(1.0, 4.0), cap=75.0, seen="a|b <i>"),),
        stale=(StaleCount(setting="none", cut="drop", calls=12, failed=4, disconnects=4),),
        skipped={"dns": "s3cret-word is said"},
    )


def test_a_record_comes_back_from_its_file_without_secrets(tmp_path: Path) -> None:
    """Equal but for what must not be written."""
    secret = target(url="http://me:s3cret-word@127.0.0.1:9/")
    path = write(tmp_path / "new", example(), secret)
    assert "s3cret-word" not in path.read_text()
    back = read(tmp_path / "new")["api"]
    assert back.idle == example().idle
    assert back.stale == example().stale
    assert read(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"status": "stopped"}, False),
        ({"status": "cancelled"}, False),
        ({"driver": "httpx"}, False),
        ({"endpoint": "http://127.0.0.1:10/"}, False),
        ({"target": "other"}, False),
    ],
)
def test_only_a_finished_probe_of_the_very_target_counts(
    changes: dict[str, str], counts: bool, tmp_path: Path
) -> None:
    """Another endpoint under the same name has another timeout."""
    write(tmp_path, example().model_copy(update=changes), target())
    assert (find(tmp_path, target()) is not None) is counts


def test_a_secret_of_digits_breaks_no_number(tmp_path: Path) -> None:
    """It is taken out of texts; a figure that happens to hold the same digits stays."""
    limit = example().idle[0].model_copy(update={"seen": "after 2000 ms", "cap": 12.0002000})
    found = example().model_copy(update={"idle": (limit,)})
    secret = target(url="http://me:2000@127.0.0.1:9/")
    write(tmp_path, found, secret)
    (back,) = read(tmp_path)["api"].idle
    assert (back.seen, back.cap) == ("after *** ms", 12.0002)


def test_a_file_that_is_no_probe_is_refused(tmp_path: Path) -> None:
    """With its name and what to do."""
    (tmp_path / "api.probe.json").write_text('{"schema": "poolkit.probe/9"}')
    with pytest.raises(BadInput, match=r"api\.probe\.json"):
        read(tmp_path)


def test_the_tables_show_what_there_is() -> None:
    """Only tables with rows; texts are escaped in HTML."""
    tables = tables_of_probe(example())
    assert [len(table.rows) for table in tables] == [1, 1]
    assert "at random" in tables[0].rows[0]
    assert "&lt;i&gt;" in tables[0].html()


@pytest.mark.lab
def test_a_database_that_stops_under_the_probe_is_said(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Exit code 3, with what was found so far in the file."""
    path = tmp_path / "targets.toml"
    path.write_text(
        f'[targets.db]\ndriver = "asyncpg"\ndsn = "{postgres.dsn}"\n'
        'statements = ["select 1"]\ntarget_rate = 100\nmax_size = 12\n'
    )
    words = ("db", "--targets", str(path), "--out", str(tmp_path), "--only", "idle")
    with command(*words) as process:
        wait_for_idle(process)
        postgres.kill()
        try:
            out, err = process.communicate(timeout=60)
        finally:
            postgres.restart()
        assert process.returncode == 3, out + err
    assert postgres.dsn.split(":")[2].split("@")[0] not in out + err
    assert read(tmp_path)["db"].status == "stopped"


def test_work_that_resists_its_end_is_left_behind() -> None:
    """The probe ends with its own result; nobody waits for a call that swallows cancellations."""

    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000.0)
        await asyncio.sleep(1000.0)

    async def work() -> ExitCode:
        left.append(asyncio.ensure_future(deaf()))
        await asyncio.sleep(0)
        return ExitCode.DONE

    left: list[asyncio.Future[None]] = []
    began = time.monotonic()
    code = run_until_over(work(), lambda _reason: None, 60.0, new_loop=asyncio.new_event_loop)
    assert code is ExitCode.DONE
    assert time.monotonic() - began < 30.0
    assert not left[0].done()


@pytest.mark.parametrize("secret", ["api", "idle", "aiohttp", "127"])
def test_a_secret_that_is_also_a_name_hides_no_probe(tmp_path: Path, secret: str) -> None:
    """Names, kinds and addresses are public; only what is told in words is redacted."""
    own = target(url=f"http://me:{secret}@127.0.0.1:9/")
    write(tmp_path, example(), own)
    found = find(tmp_path, own)
    assert found is not None
    assert (found.target, found.driver, found.endpoint) == ("api", own.driver, own.endpoint)
    assert found.idle[0].kind == example().idle[0].kind
