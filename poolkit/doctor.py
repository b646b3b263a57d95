"""Looks at this machine and installation for what would spoil a measurement or stop a command.

Each `*_check` judges what it is given; only `examine` and the functions it calls by `_` look.
"""

from __future__ import annotations

import itertools
import math
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from poolkit.load.machine import glance
from poolkit.records import Check
from poolkit.report.browser import chromium

OLDEST_PYTHON = (3, 11)
# What each extra gives; who only uses poolkit does without `test`.
EXTRAS = {
    "drivers": "the client libraries whose pools are sized",
    "workbook": "notebooks, charts and the report",
    "lab": "the embedded upstreams of `poolkit demo` and `poolkit lab`",
    "fleet": "load from several processes or machines (--fleet)",
    "monitor": "gauges, watcher and retries in the service's own code",
    "service": "the demo service",
    "test": "the tests and checks of poolkit itself",
}
OPTIONAL = ("fleet", "monitor", "service", "test")
LEAST_DESCRIPTORS = 1024
DESCRIPTORS_BESIDE_POOL = 64  # files, pipes and the event loop's own
LONGEST_OVERSHOOT = 0.001  # s
BUSY_SHARE = 0.5  # load average over cores above which a measurement shares its cores
LOOKED = 1.0  # s for which the machine is watched
# Of the cores' time, while nothing is measured: what others take, and what the host gives away.
MOST_OTHERS, MOST_STOLEN = 0.25, 0.02


def examine() -> tuple[Check, ...]:
    """All checks of this machine, in little more than `LOOKED` s; prints and sends nothing."""
    cores, limits = _cores(), _descriptor_limits()
    temporary = tempfile.gettempdir()
    return (
        python_check(sys.version_info[:3], platform.python_implementation()),
        *extra_checks(_requirements(), _version),
        uvloop_check(_version("uvloop"), sys.platform),
        *([] if limits is None else [descriptors_check(*limits)]),
        clock_check(_clock_step(), _sleep_overshoots()),
        cores_check(cores),
        *_quiet_checks(cores),
        temporary_check(temporary, _write_error(temporary)),
        browser_check(chromium()),
    )


def python_check(version: Sequence[int], implementation: str) -> Check:
    """Whether this Python can run poolkit."""
    return Check(
        name="python",
        passed=tuple(version) >= OLDEST_PYTHON,
        seen=f"{implementation} {'.'.join(map(str, version))}",
        why="poolkit needs Python 3.11 or later",
        next="install Python 3.11, 3.12 or 3.13, then: make clean demo PYTHON=python3.13",
    )


def extra_checks(
    requirements: Iterable[str], version_of: Callable[[str], str | None]
) -> Iterator[Check]:
    """One check for each extra: its libraries with their versions, or the line that installs them.

    Args:
        requirements: of poolkit, as its metadata lists them.
        version_of: the installed version of a library, None when it is missing.
    """
    parts = [_parts(requirement) for requirement in requirements]
    for extra, gives in EXTRAS.items():
        versions = {name: version_of(name) for name, of, here in parts if of == extra and here}
        missing = [name for name, version in versions.items() if version is None]
        found = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        seen = [found] if found else []
        if missing or not versions:
            seen.append(f"not installed: {', '.join(missing) or 'poolkit itself'}")
        yield Check(
            name=f"extra_{extra}",
            passed=extra in OPTIONAL or (bool(versions) and not missing),
            seen="; ".join(seen),
            why=f"needed for {gives}",
            next=f"pip install 'poolkit[{extra}]'",
        )


def uvloop_check(version: str | None, system: str) -> Check:
    """Whether the faster event loop is there."""
    return Check(
        name="uvloop",
        passed=version is not None or system == "win32",
        seen=f"uvloop {version}" if version else "not installed, so asyncio's own loop is used",
        why="asyncio's own loop costs about a quarter of the calls that one core can send",
        next="there is no uvloop for Windows"
        if system == "win32"
        else "pip install 'poolkit[drivers]'",
    )


def descriptors_check(soft: float, hard: float) -> Check:
    """Whether enough files may be open at once (limits; inf: none)."""
    pool = max(0.0, soft - DESCRIPTORS_BESIDE_POOL)
    return Check(
        name="file_descriptors",
        passed=soft >= LEAST_DESCRIPTORS,
        seen=f"{_limit(soft)} at once (may be raised to {_limit(hard)}): "
        f"room for {_limit(pool)} connections",
        why="each connection takes one, and a pool that runs out of them looks like a server "
        "that refuses",
        next=f"ulimit -n {int(min(hard, 4096))} in the shell that starts poolkit",
    )


def clock_check(step: float, overshoots: Sequence[float]) -> Check:
    """Whether times can be read and kept finely enough.

    Args:
        step: smallest step of the monotonic clock (s).
        overshoots: how late sleeps of 1 ms ended (s); one or more.
    """
    usual = statistics.median(overshoots)
    return Check(
        name="clock",
        passed=step <= 1e-5 and usual <= LONGEST_OVERSHOOT,
        seen=f"steps of {step * 1e9:.0f} ns; a sleep of 1 ms ends {usual * 1e6:.0f} us late "
        f"(at worst {max(overshoots) * 1e6:.0f} us)",
        why="a late timer sends calls late, which is reported as lag and never hidden in the wait",
        next="close other programs; in a virtual machine, ask for a core of its own",
    )


def cores_check(cores: float) -> Check:
    """Whether load and upstream can run side by side (cores that this process may use)."""
    return Check(
        name="cores",
        passed=cores >= 2,
        seen=f"{cores:g} for this process",
        why="the load takes up to one core; an upstream on the same machine needs another, "
        "or the plateau that is seen is the client's own",
        next="run poolkit on another machine than the upstream, or give it a second core",
    )


def load_check(load: float, cores: float) -> Check:
    """Whether something else is busy here (load average of the last minute)."""
    return Check(
        name="idle",
        passed=load <= BUSY_SHARE * cores,
        seen=f"load average {load:.2f} on {cores:g} cores",
        why="other work on the same cores lengthens every time that is measured",
        next="wait for it to end, or measure from another machine",
    )


def quiet_check(others: float, stolen: float, seconds: float) -> Check:
    """Whether the cores are free now: shares (0 to 1) of their time in the last `seconds` s."""
    seen = f"others took {others:.0%} of the cores' time in {seconds:.1f} s, {stolen:.0%} stolen"
    remedy = "close what takes it (top, or a task manager, names it), or measure from another one"
    if stolen > MOST_STOLEN:
        remedy = (
            "stolen time goes to other guests of this machine's host: ask for cores of its own, or "
            "measure from another machine"
        )
    return Check(
        name="machine_quiet",
        passed=others <= MOST_OTHERS and stolen <= MOST_STOLEN,
        seen=seen,
        why="other work on the same cores lengthens every time that is measured; a trial that it "
        "disturbs is measured again, which costs load",
        next=remedy,
    )


def temporary_check(folder: str, error: str | None) -> Check:
    """Whether the temporary folder takes a file (`error`: why it did not)."""
    return Check(
        name="temporary_folder",
        passed=error is None,
        seen=f"{folder} is writable" if error is None else f"{folder}: {error}",
        why="the lab keeps its database there while it runs",
        next="free space there, or name another folder: export TMPDIR=/path",
    )


def browser_check(path: str | None) -> Check:
    """Which Chromium is there; passes without, since any browser opens the report."""
    return Check(
        name="browser",
        passed=True,
        seen=path or "no Chromium; any other browser opens the report",
        why="the browser tests of poolkit run in Chromium",
        next="apt-get install chromium",
    )


def _parts(requirement: str) -> tuple[str, str | None, bool]:
    """Library, extra and whether it is meant for this system, of one line of metadata."""
    line, _, marker = requirement.partition(";")
    name = re.match(r"[A-Za-z0-9._-]+", line.strip())
    extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", marker)
    unlike = re.search(r"""sys_platform\s*!=\s*['"]([^'"]+)['"]""", marker)
    return (
        name.group() if name else line.strip(),
        extra.group(1) if extra else None,
        unlike is None or unlike.group(1) != sys.platform,
    )


def _limit(value: float) -> str:
    return "no limit" if value == math.inf else f"{value:.0f}"


def _requirements() -> list[str]:
    try:
        return metadata.requires("poolkit") or []
    except metadata.PackageNotFoundError:
        return []


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> float:
    """Cores that this process may use: its affinity, or the container's share where less."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = float(len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, round(int(quota) / int(period), 2))


def _descriptor_limits() -> tuple[float, float] | None:
    """(soft, hard) limits of open files; None where the system has none to ask for."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (math.inf if one == resource.RLIM_INFINITY else float(one) for one in limits)
    return soft, hard


def _clock_step() -> float:
    """Smallest step (s) of the clock that stamps the calls, over a few hundred readings."""
    readings = [time.perf_counter() for _ in range(500)]
    steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
    return min(steps, default=time.get_clock_info("perf_counter").resolution)


def _sleep_overshoots(sleeps: int = 30) -> list[float]:
    """How late (s) each of some sleeps of 1 ms ended."""
    late = []
    for _ in range(sleeps):
        began = time.perf_counter()
        time.sleep(0.001)
        late.append(max(0.0, time.perf_counter() - began - 0.001))
    return late


def _quiet_checks(cores: float) -> list[Check]:
    """What the machine does for `LOOKED` s; else its load average; empty: it tells neither."""
    before, began = glance(), time.perf_counter()
    if math.isnan(before.capacity):
        load = _load_average()
        return [] if load is None else [load_check(load, cores)]
    time.sleep(LOOKED)
    after, seconds = glance(), time.perf_counter() - began
    capacity = after.capacity - before.capacity
    others, stolen = after.others - before.others, after.stolen - before.stolen
    # The scheduler's clock and that of its ticks differ by a hair.
    return [quiet_check(max(0.0, others / capacity), stolen / capacity, seconds)]


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows, or a system that does not tell
        return None


def _write_error(folder: str) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
