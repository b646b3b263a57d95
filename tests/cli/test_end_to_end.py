"""The commands on a real server: Ctrl-C, a server that dies, a reader that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.store import TrialLog

pytestmark = pytest.mark.lab

Start = Callable[..., subprocess.Popen[str]]
PASSWORD = "hunter2-and-more"
TARGETS = """
[targets.orders-api]
driver = "aiohttp"
url = "http://reader:{password}@127.0.0.1:{port}/"
target_rate = 200
max_size = 16
"""


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=4, service_time=0.01)) as running:
        text = TARGETS.format(password=PASSWORD, port=running.port)
        (tmp_path / "targets.toml").write_text(text, encoding="utf-8")
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `poolkit` on the targets of the test; whatever still runs after it is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(command: str, *more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-P", "-m", "poolkit", command]
        if command != "lab":
            words += ["orders-api", "--targets", str(tmp_path / "targets.toml")]
            words += ["--out", str(tmp_path / "out")]
        process = subprocess.Popen(
            [*words, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"COLUMNS": "40"},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What the process printed up to the first line that holds these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"{words!r} was not printed: {''.join(lines)}")


def wait_gone(processes: list[psutil.Process]) -> None:
    gone, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []
    assert len(gone) == len(processes)


def assert_no_password(tmp_path: Path, *texts: str) -> None:
    for path in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        assert PASSWORD not in path.read_text(encoding="utf-8"), path.name
    for text in texts:
        assert PASSWORD not in text


def test_ctrl_c_keeps_the_finished_trials_and_the_same_command_resumes(
    tmp_path: Path, upstream: HttpUpstream, start: Start
) -> None:
    """Exit 130, no process left, one line that says how to go on; and going on works."""
    process = start("size")
    printed = read_until(process, "p99 hold")
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "orders-api: cancelled\n  the same command resumes" in stderr
    assert "Traceback" not in stderr
    wait_gone(children)
    trials = TrialLog(tmp_path / "out" / "orders-api.trials.jsonl").read()
    assert trials
    assert '"stopped"' in (tmp_path / "out" / "recommended.json").read_text(encoding="utf-8")
    assert_no_password(tmp_path, printed, stdout, stderr)

    again = start("sweep", "--sizes", "1,2", "--budget", "4")
    stdout, stderr = again.communicate(timeout=60)
    assert f"{len(trials)} finished trial" in stdout
    assert "resumed" in stdout
    assert "throughput over pool size" in stdout
    assert stderr == ""
    assert_no_password(tmp_path, stdout)

    finished = TrialLog(tmp_path / "out" / "orders-api.trials.jsonl")
    measured = finished.read()
    nothing = start("sweep", "--sizes", "1,2", "--budget", "4")
    stdout, _ = nothing.communicate(timeout=60)
    assert f"nothing was measured now: the {len(measured)} trials are from 20" in stdout
    assert "old); --again measures anew" in stdout
    assert finished.read() == measured

    anew = start("sweep", "--sizes", "1,2", "--budget", "4", "--again")
    stdout, _ = anew.communicate(timeout=60)
    assert "resumed" not in stdout
    assert "nothing was measured" not in stdout
    now = finished.read()
    assert now
    assert min(trial.started for trial in now) >= max(trial.started for trial in measured)
    [record] = (tmp_path / "out" / "before").iterdir()
    assert str(record) in stdout
    assert TrialLog(record / finished.path.name).read() == measured
    assert "stopped" in (record / "recommended.json").read_text(encoding="utf-8")


def test_a_server_that_dies_stops_the_sweep(
    tmp_path: Path, upstream: HttpUpstream, start: Start
) -> None:
    """Exit 3, the finished trials on disk, cause and remedy on stderr."""
    process = start("sweep")
    read_until(process, "p99 hold")
    upstream.kill()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "brake" in stderr
    assert "Traceback" not in stderr
    assert TrialLog(tmp_path / "out" / "orders-api.trials.jsonl").read()
    assert_no_password(tmp_path, stderr)


def test_the_measurement_ends_when_its_parent_is_killed(
    tmp_path: Path, upstream: HttpUpstream, start: Start
) -> None:
    """SIGKILL leaves the parent no time to tell anybody, and still no load goes on."""
    process = start("size")
    read_until(process, "p99 hold")
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    wait_gone(children)


def test_events_are_lines_of_json_and_nothing_else(
    tmp_path: Path, upstream: HttpUpstream, start: Start
) -> None:
    """From `started` to `done`; and when nobody reads any more, the measurement ends."""
    process = start("sweep", "--events", "--sizes", "1,2", "--budget", "4")
    stdout, stderr = process.communicate(timeout=60)
    names = [json.loads(line)["event"] for line in stdout.splitlines()]
    assert (names[0], names[-1]) == ("started", "done")
    assert {"trial_started", "progress", "trial", "sizing"} <= set(names)
    assert stderr == ""
    assert_no_password(tmp_path, stdout)

    cut_off = start("size", "--events")
    read_until(cut_off, '"started"')
    assert cut_off.stdout is not None
    cut_off.stdout.close()
    assert cut_off.wait(timeout=60) == 130
    assert cut_off.stderr is not None
    assert "Traceback" not in cut_off.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lab_runs_until_it_is_told_to_end(
    tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    """It prints its targets and the line for the shell; it exits 0 and leaves no process."""
    path = tmp_path / "lab.toml"
    process = start("lab", "--targets-out", str(path))
    printed = read_until(process, "running; Ctrl-C")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4
    assert "[targets.lab-db]" in printed
    export = next(line for line in printed.splitlines() if line.startswith("export "))
    assert "postgresql://" in export  # in one piece, however narrow the terminal is
    assert "[targets.lab-http]" in path.read_text(encoding="utf-8")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, "the lab has ended\n", "")
    wait_gone(children)
