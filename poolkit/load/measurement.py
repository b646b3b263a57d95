"""What one run of the generator leaves behind, before anything is judged.

The time axis of a trial starts at 0. Segments cut it by the calls' due times, so that a warm-up
found afterwards (MSER-5) can still be left out; samples are taken at a fixed pace by the
generator's own loop. Nothing here grows with the number of calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poolkit.drivers.base import DialTimes
from poolkit.histogram import Histogram
from poolkit.load.in_use import InUse
from poolkit.records import Outcome

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Segment:
    """The calls that were due within one slice of the trial, and what happened in it."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    error_kinds: Counter[str] = field(default_factory=Counter)
    wait: Histogram = field(default_factory=Histogram)  # every call that held a connection
    hold: Histogram = field(default_factory=Histogram)  # successful calls
    dial: Histogram = field(default_factory=Histogram)  # successful calls; 0 on a kept connection
    service: Histogram = field(default_factory=Histogram)  # successful calls
    release: Histogram = field(default_factory=Histogram)  # successful calls: reset, rollback
    response: Histogram = field(default_factory=Histogram)  # successful calls
    lag: Histogram = field(default_factory=Histogram)  # every call that was started
    # Of `wait` and `lag`, those of calls that did not succeed: without them the parts add up.
    lost_wait: Histogram = field(default_factory=Histogram)
    lost_lag: Histogram = field(default_factory=Histogram)
    held_seconds: float = 0.0  # connection-seconds, all outcomes
    # Unlike the rest, by when things happened rather than by when their calls were due.
    in_use: InUse = field(default_factory=InUse)

    def merge(self, other: Segment) -> None:
        """Add everything that the other one holds."""
        for one in fields(self):
            kept, more = getattr(self, one.name), getattr(other, one.name)
            if isinstance(kept, Histogram | InUse):
                kept.merge(more)
            elif isinstance(kept, Counter):
                kept.update(more)
            else:
                setattr(self, one.name, kept + more)


def together(segments: Iterable[Segment]) -> Segment:
    """All that these segments hold, as one."""
    whole = Segment()
    for segment in segments:
        whole.merge(segment)
    return whole


class Samples(NamedTuple):
    """The generator's view of itself, one row a sample; all arrays of one length.

    `at` is s since the trial began; `area` call-seconds spent in the system so far (the integral of
    calls started and not released); `cpu` this process's CPU seconds so far; `loop_lag` s by which
    the sampler woke late; `opened` and `disconnects` connections counted so far. The others
    are those of `machine.Glance`, taken less often: NaN where the system does not tell.
    """

    at: Floats
    area: Floats
    cpu: Floats
    loop_lag: Floats
    opened: Floats
    disconnects: Floats
    others: Floats
    stolen: Floats
    capacity: Floats
    waited: Floats


@dataclass(frozen=True, slots=True)
class Measurement:
    """One finished (or stopped) run of the generator at one pool size."""

    loop: Literal["closed", "open"]
    pool_size: int
    callers: int | None
    arrival_rate: float | None
    seed: int
    started: str  # ISO 8601, UTC
    warm_up: float  # s planned; the least that is cut from the front
    seconds: float  # s from the first due time to the end of the last full segment
    segment_seconds: float
    segments: tuple[Segment, ...]
    bin_seconds: float
    completions: NDArray[np.int64]  # successes per bin of the timeline, by release time
    samples: Samples
    dial_times: DialTimes | None = None  # of the whole run
    wait_is_exact: bool = True  # False: waits are inferred from later moments, so they read high
    stopped: str | None = None  # name of the brake
    begins: float = 0.0  # s after `started` at which its time axis is 0: of a part that is its edge


def part(measurement: Measurement, begin: float, end: float, arrival_rate: float) -> Measurement:
    """One phase of an open loop as a measurement of its own: from `begin` to `end` s.

    Edges move to the nearest segment's; the time axis of the part starts at 0 and has no warm-up.
    """
    width = measurement.segment_seconds
    first, last = round(begin / width), round(end / width)
    last = min(max(last, first + 1), len(measurement.segments))
    bins = round(width / measurement.bin_seconds)
    begin, end = first * width, last * width
    at = measurement.samples.at
    # One sample beyond each edge, so that changes cover the whole part.
    low = max(0, int(np.searchsorted(at, begin, side="right")) - 1)
    high = int(np.searchsorted(at, end, side="left")) + 1
    samples = Samples(*(column[low:high] for column in measurement.samples))
    return replace(
        measurement,
        arrival_rate=arrival_rate,
        warm_up=0.0,
        seconds=end - begin,
        segments=measurement.segments[first:last],
        completions=measurement.completions[first * bins : last * bins],
        samples=samples._replace(at=samples.at - begin),
        begins=measurement.begins + begin,
    )
