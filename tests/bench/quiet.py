"""How much of this machine others took: neither this process nor the servers that it started."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Cores:
    """CPU seconds used so far: of all cores, and of these what this process tree used.

    Time that a hypervisor gave to others (steal) counts as used.
    """

    at: float
    used: float
    own: float

    @classmethod
    def now(cls) -> Cores:
        """What the system says."""
        times = psutil.cpu_times()._asdict()
        # Linux counts guests' time within user and nice.
        idle = {"idle", "iowait", "guest", "guest_nice"}
        used = sum(seconds for name, seconds in times.items() if name not in idle)
        return cls(time.monotonic(), used, _own())

    def others_since(self) -> float:
        """The share (0 to 1) of the cores that others took since then."""
        now = Cores.now()
        whole = (now.at - self.at) * (os.cpu_count() or 1)
        return max(0.0, (now.used - self.used) - (now.own - self.own)) / whole


def _own() -> float:
    """Of the processes alive and of those that they waited for."""
    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total
