"""A measuring process ends with its parent, at its deadline, and even when its loop hangs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import psutil
import pytest

# argv: how the process behaves when asked to stop; its parent is the python in between.
CHILD = textwrap.dedent(
    """
    import sys, time
    from poolkit.measure import loop
    loop.GRACE = 0.3
    stopped = []
    dog = loop.Watchdog(stopped.append, float(sys.argv[2]))
    dog.start()
    print("ready", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if stopped and sys.argv[1] == "polite":
            dog.finish()
            sys.exit(40 if stopped == ["deadline"] else 41)
        time.sleep(0.02)
    """
)
PARENT = textwrap.dedent(
    """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
    print(child.pid, flush=True)
    time.sleep(300)
    """
)


@pytest.mark.parametrize(("manner", "code"), [("polite", 40), ("deaf", 3)])
def test_the_deadline_ends_the_process(manner: str, code: int) -> None:
    """At the deadline it is asked to stop; a deaf one is ended, with exit code 3."""
    done = subprocess.run([sys.executable, "-c", CHILD, manner, "0.3"], timeout=60, check=False)
    assert done.returncode == code


@pytest.mark.parametrize("manner", ["polite", "deaf"])
def test_the_process_ends_when_its_parent_is_killed(manner: str) -> None:
    """SIGKILL to the parent leaves no measuring process behind."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, manner, "60"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    child = psutil.Process(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 50
    while time.monotonic() < end and _is_alive(child):
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
