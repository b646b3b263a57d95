"""What the cores under this process are busy with, as Linux tells it; elsewhere nothing is known.

/proc/stat counts what each core did since the system started (proc(5)): user, nice, system, idle,
iowait, irq, softirq and steal, the time that the hypervisor gave to somebody else while this
machine wanted to run. Guests are part of user. /proc/thread-self/schedstat counts how long a
thread stood ready to run and had no core (Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_STAT, _SCHEDSTAT = Path("/proc/stat"), Path("/proc/thread-self/schedstat")
_IDLE, _STEAL = (3, 4), 7  # columns of a core's line


class CoreTimes(NamedTuple):
    """CPU seconds of some cores since the system started."""

    busy: float  # stolen ones included
    stolen: float
    capacity: float  # all, idle ones included


class Glance(NamedTuple):
    """One look at the machine: s so far; NaN where the system does not tell."""

    others: float = math.nan  # CPU s of everybody but this process, stolen ones included
    stolen: float = math.nan  # CPU s that the hypervisor gave away
    capacity: float = math.nan  # CPU s of the cores that this process may use, idle ones included
    waited: float = math.nan  # s for which this thread stood ready to run and had no core


def core_times(stat: str, cores: Collection[int], ticks: float) -> CoreTimes | None:
    """What the text of /proc/stat says of these cores; None where it does not speak of them.

    Args:
        ticks: a second, of the system's clock (SC_CLK_TCK).
    """
    busy = stolen = capacity = 0.0
    names = {f"cpu{core}" for core in cores}
    for line in stat.splitlines():
        name, *fields = line.split()[:9] or [""]
        if name in names:
            try:
                counts = [float(field) for field in fields]
            except ValueError:
                return None
            if len(counts) <= _STEAL:  # before Linux 2.6.11
                return None
            capacity += sum(counts)
            busy += sum(counts) - sum(counts[column] for column in _IDLE)
            stolen += counts[_STEAL]
    return CoreTimes(busy / ticks, stolen / ticks, capacity / ticks) if capacity else None


def ready_seconds(schedstat: str) -> float:
    """How long (s) a thread stood ready without a core, of the text of its schedstat; else NaN."""
    fields = schedstat.split()
    # A kernel without these counts writes zeros.
    if len(fields) != 3 or not all(field.isdigit() for field in fields) or fields[2] == "0":
        return math.nan
    return int(fields[1]) / 1e9


def glance() -> Glance:
    """Look now, for the calling thread: some 50 us."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return Glance()
    stat, schedstat = _text(_STAT), _text(_SCHEDSTAT)
    times = core_times(stat, os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK"))
    waited = ready_seconds(schedstat)
    if times is None:
        return Glance(waited=waited)
    others = times.busy - time.process_time()
    return Glance(others, times.stolen, times.capacity, waited)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
