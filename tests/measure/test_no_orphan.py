"""A measuring process whose parent dies is gone at once, whatever it was doing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from poolkit.measure.parent import VARIABLE, is_orphan, started_at, tied

GONE_WITHIN = 2.0  # s
# argv: targets.toml, the folder for results. It prints the child's pid and stays.
PARENT = """
import sys, time
from pathlib import Path
from poolkit.measure.child import Child, Order, command
order = Order("size", "t", Path(sys.argv[1]), Path(sys.argv[2]), budget=20.0)
child = Child(command(order), target="t")
print(child.pid, flush=True)
time.sleep(300)
"""


class Server(ThreadingHTTPServer):
    """Answers every call and notes when it came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.calls: list[float] = []


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.calls.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not a word."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def parent(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    file = tmp_path / "targets.toml"
    file.write_text(
        f'[targets.t]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:{server.server_port}/"\n'
        "target_rate = 20\n",
        encoding="utf-8",
    )
    words = [sys.executable, "-c", PARENT, str(file), str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seconds_alive(process: psutil.Process) -> float:
    """How long (s) it goes on, up to 20."""
    began = time.monotonic()
    while is_alive(process) and time.monotonic() < began + 20.0:
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0])
def test_a_parent_that_dies_early_leaves_no_call(
    server: Server, parent: subprocess.Popen[str], after: float
) -> None:
    """Killed while the child starts, imports or makes ready: it is gone, and nothing was sent."""
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(after)
    parent.kill()
    killed = time.monotonic()
    parent.wait()
    assert seconds_alive(child) < GONE_WITHIN
    time.sleep(0.1)
    # One may be on its way at the very moment.
    assert [call for call in server.calls if call > killed + 0.25] == []


def test_a_parent_that_dies_under_load_leaves_no_load(
    server: Server, parent: subprocess.Popen[str]
) -> None:
    """The measurement is cut short, not tidied up for as long as after a Ctrl-C."""
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    before = len(server.calls)
    end = time.monotonic() + 60.0
    while len(server.calls) < before + 20 and time.monotonic() < end:
        time.sleep(0.02)
    assert len(server.calls) >= before + 20
    parent.kill()
    parent.wait()
    assert seconds_alive(child) < GONE_WITHIN
    so_far = len(server.calls)
    time.sleep(0.3)
    assert len(server.calls) == so_far


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_the_kernel_ends_a_child_that_looks_at_nothing() -> None:
    """No code of ours runs in it: the tie was made before it became the program."""
    script = (
        "import subprocess, sys, time\n"
        "from poolkit.measure.parent import tied\n"
        "words = tied([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(subprocess.Popen(words).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while child.cmdline()[1:2] != ["-c"]:
            time.sleep(0.01)
        parent.kill()
    assert seconds_alive(child) < GONE_WITHIN


def test_a_child_of_a_parent_long_gone_becomes_nothing() -> None:
    """Its look comes after the kernel's promise, so it misses no death."""
    words = tied([sys.executable, "-c", "print('measuring')"])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own = words.index(f"{os.getpid()}:{started_at(os.getpid())}")
    for identity in (f"{gone.pid}:1", f"{os.getpid()}:1"):  # the second: a pid that was used again
        words[own] = identity
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (130, "")


def test_only_the_child_itself_takes_it_to_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child starts inherits the variable, and is no orphan by it."""
    own, parent = os.getpid(), os.getppid()
    for value, told in (
        (f"{parent}:{started_at(parent)}:{own}", False),
        (f"{parent}:1:{own}", True),
        (f"{own}:{started_at(own)}:{own}", True),
        (f"1:1:{parent}", False),
        ("", False),
    ):
        monkeypatch.setenv(VARIABLE, value)
        assert is_orphan() is told


def test_a_program_that_cannot_be_run_is_told() -> None:
    """As a shell tells it, on stderr."""
    done = subprocess.run(tied(["/no/such"]), capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr == "cannot run /no/such: No such file or directory\n"
