"""A user's function that blocks the event loop: named, bounded, and ended by a signal at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from tests.faults.driving import Command, wait_until

pytestmark = pytest.mark.lab

LONG = ("--sizes", "2,4,8", "--budget", "60")
# Blocks for ever from the fiftieth call on, and leaves a file to tell so: in C with the lock of
# the interpreter released, or in Python, which never gives the loop its turn.
WORK = """
import asyncio, itertools, time
from pathlib import Path
calls = itertools.count()
async def sleeps(session):
    await get(session)
    if next(calls) > 50:
        Path("blocked").touch()
        time.sleep(1000.0)
async def spins(session):
    await get(session)
    if next(calls) > 50:
        Path("blocked").touch()
        while True:
            pass
async def at_once(session):
    time.sleep(1000.0)
async def deaf(session):
    while True:
        try:
            await asyncio.sleep(1000.0)
        except asyncio.CancelledError:
            pass
async def raises(session):
    raise ValueError("a text that may hold anything")
async def get(session):
    async with session.get("{url}") as response:
        await response.read()
"""
HASTY = """
import sys
from poolkit.measure import loop
loop.HUNG_SECONDS = 2.0
sys.argv[0] = "poolkit"
from poolkit.cli import main
main()
"""

IMPATIENT = """
import sys
from poolkit.measure import preflight
preflight.FIRST_CALL_TIMEOUT = 1.0
sys.argv[0] = "poolkit"
from poolkit.cli import main
main()
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


def prepared(folder: Path, upstream: HttpUpstream, function: str) -> str:
    (folder / "blocking_work.py").write_text(WORK.replace("{url}", upstream.url))
    return "\n".join(
        ['driver = "aiohttp"', f'url = "{upstream.url}"', f'work = "blocking_work:{function}"']
    )


@pytest.mark.parametrize("function", ["sleeps", "spins"])
def test_sigterm_ends_a_blocked_loop(tmp_path: Path, upstream: HttpUpstream, function: str) -> None:
    """Exit 130 after the watchdog's grace, and whoever reads the events is told."""
    target = prepared(tmp_path, upstream, function)
    with Command(tmp_path, target, *LONG, cwd=tmp_path) as command:
        command.wait_for("trial_started")
        wait_until((tmp_path / "blocked").exists)
        command.process.send_signal(signal.SIGTERM)
        command.finish()
        assert command.code == 130
        assert command.failed["cause"] == "cancelled"
        assert command.stderr == ""


@pytest.mark.parametrize("function", ["sleeps", "at_once"])
def test_a_loop_that_stands_still_is_a_brake(
    tmp_path: Path, upstream: HttpUpstream, function: str
) -> None:
    """Nobody has to be there: it ends by itself, exit 3, and the function is named with a cure."""
    target = prepared(tmp_path, upstream, function)
    with Command(tmp_path, target, *LONG, cwd=tmp_path, python=("-c", HASTY)) as command:
        command.finish()
        assert command.code == 3
        assert "stopped by the hung brake" in command.failed["cause"]
        assert f"blocking_work:{function}" in command.failed["remedy"]
        assert "asyncio.to_thread" in command.failed["remedy"]


@pytest.mark.parametrize(
    ("function", "cause", "remedy"),
    [
        ("deaf", "did not answer within 1 s", "let CancelledError through"),
        ("raises", "failed: work ValueError", "call it by itself"),
    ],
)
def test_a_function_that_fails_at_its_first_call_is_named(
    tmp_path: Path, upstream: HttpUpstream, function: str, cause: str, remedy: str
) -> None:
    """No load was sent: exit 3 in bounded time, even where it takes no cancellation for an end."""
    target = prepared(tmp_path, upstream, function)
    with Command(tmp_path, target, *LONG, cwd=tmp_path, python=("-c", IMPATIENT)) as command:
        command.finish()
        assert command.code == 3
        assert cause in command.failed["cause"]
        assert f"blocking_work:{function}" in command.failed["remedy"]
        assert remedy in command.failed["remedy"]
        assert "Traceback" not in command.stderr


# In place of the C library's own, for one name: waits as long as a name server that never answers.
LOOK_UP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    const char *order = getenv("HANGING_LOOK_UP");
    if (node && order && !strcmp(node, "localhost") && !access(order, F_OK)) {
        close(creat(getenv("LOOK_UP_BEGUN"), 0600));
        sleep(300);
    }
    return real(node, service, hints, found);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_hanging_look_up_under_uvloop_holds_nobody(
    tmp_path: Path, upstream: HttpUpstream
) -> None:
    """It hangs in the C library, in a thread of libuv's that nothing can cancel: exit 130 soon."""
    pytest.importorskip("uvloop")
    source, library = tmp_path / "look_up.c", tmp_path / "look_up.so"
    source.write_text(LOOK_UP)
    compile_it = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(compile_it, check=True, capture_output=True)
    order, begun = tmp_path / "hang", tmp_path / "begun"
    environment = os.environ | {"HANGING_LOOK_UP": str(order), "LOOK_UP_BEGUN": str(begun)}
    environment["LD_PRELOAD"] = str(library)
    url = upstream.url.replace("127.0.0.1", "localhost")
    target = f'driver = "aiohttp"\nurl = "{url}"'
    with Command(tmp_path, target, *LONG, env=environment) as command:
        command.wait_for("progress")
        order.touch()
        wait_until(begun.exists)
        command.process.send_signal(signal.SIGTERM)
        command.finish()
        assert command.code == 130
        assert {trial.stopped for trial in command.trials} == {None}
