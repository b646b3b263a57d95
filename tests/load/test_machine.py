"""What Linux says of the cores: read from its text, and from a machine that a child makes busy."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time

import pytest

from poolkit.analysis.summary import summarise
from poolkit.load.generator import Generator, Plan
from poolkit.load.machine import CoreTimes, core_times, glance, ready_seconds
from poolkit.load.measurement import Measurement
from poolkit.load.timer import Timer
from tests.analysis.simulate import Workers
from tests.analysis.synthetic import simulated_trial
from tests.memory_pool import MemoryPool

STAT = """\
cpu  300 0 100 1400 50 0 10 140 90 0
cpu0 200 0 60 600 30 0 10 100 90 0
cpu1 100 0 40 800 20 0 0 40 0 0
cpu10 9999 0 0 0 0 0 0 0 0 0
intr 12345 0 0
ctxt 99
"""


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        # user + system + irq and softirq + steal; guests are part of user
        ({0}, CoreTimes(busy=3.7, stolen=1.0, capacity=10.0)),
        ({0, 1}, CoreTimes(busy=5.5, stolen=1.4, capacity=20.0)),
        ({1}, CoreTimes(busy=1.8, stolen=0.4, capacity=10.0)),
        ({7}, None),
        (set(), None),
    ],
)
def test_the_cores_that_this_process_may_use(cores: set[int], expected: CoreTimes | None) -> None:
    """Theirs and no others', and never the line that adds them up."""
    found = core_times(STAT, cores, ticks=100.0)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("text", ["", "cpu0\n", "cpu0 1 2 3\n", "cpu0 1 2 3 4 x 6 7 8\n", "\n\n"])
def test_what_cannot_be_read_is_not_known(text: str) -> None:
    """An empty file, a kernel without steal time, and something else altogether."""
    assert core_times(text, {0}, ticks=100.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("188659 1945624 2\n", 0.001945624),
        ("0 0 0\n", math.nan),  # a kernel that does not count
        ("", math.nan),
        ("1 2\n", math.nan),
        ("a b c\n", math.nan),
    ],
)
def test_how_long_a_thread_stood_ready(text: str, seconds: float) -> None:
    """The second figure, in ns."""
    assert ready_seconds(text) == pytest.approx(seconds, nan_ok=True)


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="only Linux tells")
def test_what_a_child_burns_is_others_and_what_this_process_burns_is_not() -> None:
    """A core's worth, less what a busy machine leaves of it."""
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        before, began = glance(), time.perf_counter()
        time.sleep(1.0)
        after, seconds = glance(), time.perf_counter() - began
    finally:
        child.kill()
        child.wait()
    others = after.others - before.others
    assert others >= 0.3 * seconds
    assert others <= after.capacity - before.capacity + 0.05
    assert after.capacity - before.capacity == pytest.approx(
        len(os.sched_getaffinity(0)) * seconds, rel=0.1
    )
    # This process's own work is none of it.
    before, own = glance(), time.process_time()
    while time.process_time() < own + 0.5:
        pass
    after = glance()
    capacity = after.capacity - before.capacity
    assert after.others - before.others <= capacity - 0.5 + 0.1


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="only Linux tells")
def test_a_trial_knows_what_others_took() -> None:
    """A real second of load beside a child that keeps a core busy."""

    async def load() -> Measurement:
        pool = MemoryPool(4, iter(lambda: 0.01, None))
        plan = Plan(seconds=1.4, warm_up=0.2, seed=1, callers=4)
        return await Generator(pool, plan, Timer(asyncio.get_running_loop())).run()

    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        measured = asyncio.run(load())
    finally:
        child.kill()
        child.wait()
    trial = summarise(measured, target="t", driver="memory", fingerprint="f", purpose="ramp")
    assert trial.others_cpu is not None
    assert 0.3 / len(os.sched_getaffinity(0)) <= trial.others_cpu <= 1.0
    (check,) = (check for check in trial.checks if check.name == "machine_quiet")
    assert f"others took {trial.others_cpu:.0%} of the cores' time" in check.seen
    # Looked at five times a second, however often the generator looks at itself.
    looks = len(set(measured.samples.capacity.tolist()))
    assert 5 <= looks <= 9 < measured.samples.at.size


def test_a_system_that_does_not_tell_leaves_the_field_empty() -> None:
    """As on macOS: no share, and no row among the checks."""
    trial = simulated_trial(Workers(4, 0.01), 4)
    assert trial.others_cpu is None
    assert "machine_quiet" not in {check.name for check in trial.checks}
