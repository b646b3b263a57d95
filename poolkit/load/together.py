"""Several generators' measurements of one trial as one, exactly: a fleet's.

All began at the same moment and cut their time alike, so counts and histograms add up. How many
connections were in use together does not follow from what each saw by itself: it is counted anew
from the moments at which all their calls began and ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poolkit.histogram import Histogram
from poolkit.load.in_use import InUse, InUseFold
from poolkit.load.measurement import Floats, Measurement, Samples, Segment
from poolkit.load.recorder import REJECTED, Columns
from poolkit.load.starting import Seen, conditions
from poolkit.records import BUCKETS

# Of a sample, what adds up over generators; the rest is of one process or of its machine.
_SUMS = ("area", "opened", "disconnects")


class Moments:
    """When each call of a generator began and ended (s), whether it had a connection, and whether
    it was rejected; a hook for the recorder that keeps 18 bytes a call.
    """

    def __init__(self) -> None:
        self._chunks: list[tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]] = []

    def __call__(self, chunk: Columns) -> None:
        """Keep what is needed of the chunk."""
        had, rejected = ~np.isnan(chunk.acquired), chunk.outcome == REJECTED
        self._chunks.append((chunk.started, chunk.released, had, rejected))

    def columns(self) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        """All of them: began, ended, had, rejected."""
        if not self._chunks:
            nothing, none = np.empty(0), np.empty(0, dtype=np.bool_)
            return nothing, nothing, none, none
        began, ended, had, rejected = (np.concatenate(c) for c in zip(*self._chunks, strict=True))
        return began, ended, had, rejected


@dataclass(frozen=True, slots=True)
class Part:
    """What one generator of a fleet measured.

    Attributes:
        pools: side by side in it.
        connections: the most that it may have in use.
        skew: s after the agreed moment at which its trial began.
        calls: that it has begun, those outside of the measured time included.
        start: what was noted where its pools began empty.
    """

    measurement: Measurement
    moments: Moments
    pools: int
    connections: int
    skew: float
    calls: int
    start: Seen | None = None


def check_part(part: object) -> Part:
    """The part, if it can be what a generator measured: it came over a network.

    Raises:
        ValueError: it is something else, or a figure in it is not possible.
    """
    if not isinstance(part, Part):
        raise ValueError("it is no part of a trial")
    try:
        for what, is_so in _conditions(part):
            if not is_so:
                raise ValueError(what)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("it is not whole") from error
    return part


def _conditions(part: Part) -> Iterator[tuple[str, bool]]:
    """What must be so of a part, each with what is wrong where it is not."""
    measured = part.measurement
    yield "pools, connections and calls", part.pools > 0 < part.connections and part.calls >= 0
    lengths = measured.seconds, measured.segment_seconds, measured.bin_seconds
    yield "its times", all(0.0 < length < math.inf for length in lengths)
    yield "its times", 0.0 <= measured.warm_up < math.inf and math.isfinite(part.skew)
    yield "its timeline", _are_counts(measured.completions)
    bins = len(measured.segments) * measured.segment_seconds / measured.bin_seconds
    yield "the length of its timeline", abs(measured.completions.size - bins) < 1.5
    calls = 0
    for segment in measured.segments:
        for one in fields(Segment):
            yield f"{one.name} of a segment", _is_possible(getattr(segment, one.name))
        calls += segment.outcomes.total()
    columns = part.moments.columns()
    sizes = {column.size for column in columns}
    yield "the number of its calls", len(sizes) == 1 and calls <= min(sizes)
    yield "its samples", len({column.shape for column in measured.samples}) == 1
    kept = [getattr(measured.samples, name) for name in ("at", "cpu", *_SUMS)]
    yield "its samples", all(bool(np.isfinite(column).all()) for column in kept)
    if part.start is not None:
        yield from conditions(part.start)


def _is_possible(value: object) -> bool:
    """Whether a field of a segment holds counts and times that there can be."""
    if isinstance(value, Histogram):
        sums = value.total, value.longest
        return value.counts.shape == (BUCKETS,) and _are_counts(value.counts) and _are_finite(sums)
    if isinstance(value, Mapping):
        return all(isinstance(count, int) and count >= 0 for count in value.values())
    return _are_finite(value.table if isinstance(value, InUse) else value)


def _are_counts(values: NDArray[np.int64]) -> bool:
    return values.dtype.kind == "i" and bool((values >= 0).all())


def _are_finite(values: Any) -> bool:
    """Whether all are 0 or more, and finite."""
    return bool(np.isfinite(values).all() and (np.asarray(values) >= 0.0).all())


def together(parts: Sequence[Part]) -> Measurement:
    """The measurement of all generators (1 or more) as one: only the time in which all ran.

    Its processor, loop and machine are those of the busiest generator, which is the one to doubt.

    Raises:
        ValueError: they are not of one trial.
    """
    first = parts[0].measurement
    one_trial = {
        (m.loop, m.warm_up, m.segment_seconds, m.bin_seconds)
        for m in (part.measurement for part in parts)
    }
    if len(one_trial) != 1:
        raise ValueError("the measurements are not of one trial")
    measurements = [part.measurement for part in parts]
    whole = min(len(m.segments) for m in measurements)
    if whole < 1:
        raise ValueError("a measurement has no segment")
    width, bins = first.segment_seconds, min(m.completions.size for m in measurements)
    segments = tuple(
        _one([m.segments[index] for m in measurements], used)
        for index, used in enumerate(_in_use(parts, whole, width))
    )
    callers = [m.callers for m in measurements if m.callers is not None]
    rates = [m.arrival_rate for m in measurements if m.arrival_rate is not None]
    dials = [m.dial_times for m in measurements if m.dial_times is not None]
    return replace(
        first,
        pool_size=max(m.pool_size for m in measurements),
        callers=sum(callers) if callers else None,
        arrival_rate=sum(rates) if rates else None,
        started=min(m.started for m in measurements),
        seconds=whole * width,
        segments=segments,
        completions=np.sum([m.completions[:bins] for m in measurements], axis=0),
        samples=_samples([m.samples for m in measurements]),
        dial_times=sum(dials[1:], dials[0]) if dials else None,
        wait_is_exact=all(m.wait_is_exact for m in measurements),
        stopped=next((m.stopped for m in measurements if m.stopped is not None), None),
    )


def _in_use(parts: Sequence[Part], segments: int, width: float) -> list[InUse]:
    """Connections in use by all generators together, for each segment."""
    # The last slice takes what came after the end.
    slices = [InUse() for _ in range(segments + 1)]
    fold = InUseFold(slices, width, sum(part.connections for part in parts))
    began, ended, had, rejected = (
        np.concatenate(columns)
        for columns in zip(*(part.moments.columns() for part in parts), strict=True)
    )
    fold.fold(began, ended, had, rejected if rejected.any() else None, np.empty(0))
    fold.finish()
    return slices[:segments]


def _one(segments: Sequence[Segment], used: InUse) -> Segment:
    whole = Segment()
    for segment in segments:
        whole.merge(segment)
    whole.in_use = used
    return whole


def _samples(each: Sequence[Samples]) -> Samples:
    """Rows at the busiest generator's moments, as long as all of them took some."""
    busiest = max(each, key=lambda s: float(s.cpu[-1] - s.cpu[0]) if s.cpu.size else -1.0)
    ends = [s.at[-1] for s in each if s.at.size]
    kept = busiest.at <= min(ends, default=0.0)
    at = busiest.at[kept]
    rows = {name: getattr(busiest, name)[kept] for name in Samples._fields}
    for name in _SUMS:
        rows[name] = np.sum(
            [np.interp(at, s.at, getattr(s, name)) for s in each if s.at.size], axis=0
        )
    return Samples(**rows)
