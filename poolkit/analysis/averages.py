"""What pools that count no states tell: rate, hold time and mean in use over short windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.production import open_loop
from poolkit.records import Distribution, Trial

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Averages:
    """What the pools of one service counted in short windows, all processes added up.

    One figure a window, in order of time; nan: not told.
    """

    seconds: float  # length of a window
    ends: Floats  # Unix time (s)
    pools: Floats  # that told of themselves
    in_use: Floats  # mean connections in use
    calls: Floats
    held: Floats  # s that connections were held
    waited: Floats  # calls that had to wait
    wait: Floats  # s that calls waited
    waiting: Floats  # mean calls that wait
    timeouts: Floats  # calls that gave up waiting
    least_size: float | None = None  # of one pool; None: not told, or without a limit
    most_size: float | None = None
    missing: tuple[str, ...] = field(default=())  # quantities that should be there, with why

    def rows(self, chosen: Flags) -> Averages:
        """Those of the windows chosen."""
        arrays = {
            one.name: getattr(self, one.name)[chosen]
            for one in fields(self)
            if isinstance(getattr(self, one.name), np.ndarray)
        }
        return replace(self, **arrays)

    def whole(self) -> Averages:
        """Those that have all figures that any window has of calls and connections in use."""
        figures = [row for row in (self.in_use, self.calls, self.held) if told(row)]
        return self.rows(np.all([np.isfinite(row) for row in (self.pools, *figures)], axis=0))

    @property
    def busy(self) -> Floats:
        """Mean connections in use of the whole service: by the time held, or by the gauge."""
        return self.held / self.seconds if told(self.held) else self.in_use

    @property
    def peak_rate(self) -> float:
        """The highest rate of a window (calls/s); 0: calls are not counted."""
        return float(self.calls.max()) / self.seconds if told(self.calls) else 0.0

    @property
    def fleet(self) -> int:
        """Pools that shared the load, as a rule of the windows."""
        return max(1, round(float(np.median(self.pools)))) if self.pools.size else 1

    @property
    def size(self) -> int | None:
        """Of each pool; None: not told, several, or no limit."""
        same = self.least_size is not None and self.least_size == self.most_size
        return int(self.least_size or 0) or None if same else None

    @property
    def hold(self) -> tuple[float, float] | None:
        """Mean hold time (s) and its standard error; None: calls are not counted."""
        return _mean(self.busy * self.seconds, self.calls) if told(self.calls) else None

    @property
    def wait_time(self) -> float | None:
        """The mean wait of a call (s); None: not told."""
        # By Little's law, where the time is not counted but those that wait are.
        times = self.wait if told(self.wait) else self.waiting * self.seconds
        known = np.isfinite(times) & np.isfinite(self.calls)
        calls = float(self.calls[known].sum())
        return float(times[known].sum()) / calls if calls > 0 else None


def told(row: Floats) -> bool:
    """Whether any window has the figure."""
    return bool(np.isfinite(row).any())


def _mean(times: Floats, calls: Floats) -> tuple[float, float] | None:
    """The mean time of a call (s), and its standard error by the spread over windows."""
    count = float(calls.sum())
    if not count > 0 or not float(times.sum()) > 0:
        return None
    mean = float(times.sum()) / count
    left = times - mean * calls
    return mean, float(math.sqrt(left.size) * left.std(ddof=1)) / count if left.size > 1 else mean


def as_trial(averages: Averages, target: str, driver: str, started: str) -> Trial:
    """The windows as one open loop without states: for the record, no curve is made of it."""
    seconds = averages.seconds * averages.ends.size
    calls = round(float(averages.calls.sum())) if told(averages.calls) else 0
    hold = averages.hold
    return open_loop(
        target,
        driver,
        started,
        pool_size=averages.size or max(1, math.ceil(averages.busy.max())),
        pools=averages.fleet,
        rate=calls / seconds,
        window=seconds,
        calls=calls,
        busy=float(averages.busy.mean()),
        hold_time=Distribution(count=0)
        if hold is None
        else Distribution(count=calls, mean=hold[0]),
    )
