"""One record a call, packed into a chunk and folded into histograms when a chunk is full."""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poolkit.errors import CallFailed
from poolkit.histogram import add_rows
from poolkit.load.in_use import InUse, InUseFold
from poolkit.load.measurement import Floats, Segment
from poolkit.load.stamps import NEVER, CallStamps
from poolkit.records import OUTCOMES, Outcome

OK, ERROR, POOL_TIMEOUT, TIMEOUT, REJECTED, UNFINISHED = range(len(OUTCOMES))
OUTCOME_CODES: dict[str, int] = {outcome: code for code, outcome in enumerate(OUTCOMES)}

# Small enough that folding (about 0.3 ms) does not show as lag, large enough to cost little a call.
CHUNK = 1024
_ROW = struct.Struct("7d")  # six times and the outcome
_ROW_BYTES = _ROW.size
_CHUNK_BYTES = CHUNK * _ROW_BYTES
_pack = _ROW.pack_into
NOTHING: Floats = np.empty(0)


class Columns:
    """A chunk of call records; times are s from the trial's start, nan where a call has none."""

    def __init__(self, times: Floats, outcome: NDArray[np.int8]) -> None:
        self.times = times
        self.due, self.started, self.acquired, self.dialled, self.served, self.released = times
        self.outcome = outcome
        self.is_all_ok = not outcome.any()

    @classmethod
    def unpacked(cls, rows: bytearray, used: int) -> Columns:
        """The records packed into the first `used` bytes."""
        columns = np.frombuffer(rows, count=used // 8).reshape(-1, _ROW.size // 8).T.copy()
        return cls(columns[:6], columns[6].astype(np.int8))

    def where(self, mask: NDArray[np.bool_]) -> Columns:
        """The records that the mask picks."""
        return Columns(self.times[:, mask], self.outcome[mask])


class Recorder:
    """Takes one record for every planned call: due <= started <= acquired <= dialled <=
    served <= released.

    Args:
        seconds: length of the trial; later completions belong to no segment.
        segment_seconds: width of a segment (calls by due time).
        bin_seconds: width of a bin of the timeline (completions by release time).
        on_chunk: sees every chunk before it is folded (tests, exports).
        under_way: when (s from the trial's start) the calls under way began.
        connections: the most that can be in use at once.

    State: the open chunk (records packed end to end into one buffer, which costs a call the least,
    and how much of it is used), the folded segments and the timeline, and `finished` and `failed`,
    which the brakes read.
    """

    def __init__(
        self,
        seconds: float,
        segment_seconds: float,
        bin_seconds: float,
        on_chunk: Callable[[Columns], None] | None = None,
        under_way: Callable[[], Floats] = lambda: NOTHING,
        connections: int = sys.maxsize,
    ) -> None:
        self.seconds = seconds
        self.segment_seconds = segment_seconds
        self.bin_seconds = bin_seconds
        self._on_chunk = on_chunk
        self._under_way = under_way
        self.finished = 0  # calls that failed included
        self.failed: Counter[Outcome] = Counter()
        # The last segment takes calls that were due after the end; it is never measured.
        self.segments = [Segment() for _ in range(max(1, round(seconds / segment_seconds)) + 1)]
        self._in_use = InUseFold(
            [one.in_use for one in self.segments], segment_seconds, connections
        )
        bins = max(1, round(seconds / bin_seconds))
        self.completions = np.zeros(bins, dtype=np.int64)
        self._folded: Columns | None = None  # the last chunk, for `held_since`
        self._rows = bytearray(_CHUNK_BYTES)
        self._used = 0

    def add(
        self, due: float, started: float, stamps: CallStamps, released: float, outcome: int
    ) -> None:
        """Record a call, which is over; a moment is nan where it never came so far."""
        used = self._used
        _pack(
            self._rows,
            used,
            due,
            started,
            stamps.acquired_at,
            stamps.dialled_at,
            stamps.served_at,
            released,
            outcome,
        )
        stamps.started_at = NEVER
        self._used = used = used + _ROW_BYTES
        self.finished += 1
        if used == _CHUNK_BYTES:
            self.fold()

    def add_failure(
        self, due: float, started: float, stamps: CallStamps, released: float, code: int, kind: str
    ) -> None:
        """Record a call that did not succeed; `kind` is a short stable word."""
        self.failed[OUTCOMES[code]] += 1
        segment = min(len(self.segments) - 1, max(0, int(due / self.segment_seconds)))
        self.segments[segment].error_kinds[kind] += 1
        self.add(due, started, stamps, released, code)

    def fold(self) -> None:
        """Fold the open chunk into segments and timeline."""
        if not self._used:
            return
        chunk = Columns.unpacked(self._rows, self._used)
        self._used = 0
        if self._on_chunk is not None:
            self._on_chunk(chunk)
        self._folded = chunk
        self._fold_timeline(chunk)
        rejected = None if chunk.is_all_ok else chunk.outcome == REJECTED
        had = ~np.isnan(chunk.acquired)
        self._in_use.fold(chunk.started, chunk.released, had, rejected, self._under_way())
        last = len(self.segments) - 1
        index = np.clip((chunk.due / self.segment_seconds).astype(np.int64), 0, last)
        counts = np.bincount(index)
        for at in np.flatnonzero(counts).tolist():
            whole = counts[at] == index.size
            _fold_segment(self.segments[at], chunk if whole else chunk.where(index == at))

    def finish(self) -> None:
        """Fold what is left, at the end of the trial."""
        self.fold()
        self._in_use.finish()

    def mean_in_use(self, begin: float, end: float) -> float:
        """Connections in use on average from `begin` to `end` s, to whole segments, as folded."""
        first, last = int(begin / self.segment_seconds), int(end / self.segment_seconds) + 1
        whole = InUse()
        for segment in self.segments[first:last]:
            whole.merge(segment.in_use)
        return whole.mean

    def held_since(self, at: float) -> Floats:
        """How long (s) calls that were released since `at` held; of the last two chunks at most."""
        chunks = [Columns.unpacked(self._rows, self._used)]
        if self._folded is not None:
            chunks.insert(0, self._folded)
        acquired, released = np.hstack([(chunk.acquired, chunk.released) for chunk in chunks])
        ended = (released >= at) & ~np.isnan(acquired)
        return np.asarray(released[ended] - acquired[ended])

    def _fold_timeline(self, chunk: Columns) -> None:
        released = chunk.released
        done = released < self.seconds  # nan, a call that was never released, is not
        if not chunk.is_all_ok:
            done &= chunk.outcome == OK
        bins = (released[done] / self.bin_seconds).astype(np.int64)
        if bins.size:
            np.minimum(bins, self.completions.size - 1, out=bins)
            first = int(bins.min())
            counts = np.bincount(bins - first)
            self.completions[first : first + counts.size] += counts


def _fold_segment(segment: Segment, chunk: Columns) -> None:
    if chunk.is_all_ok:
        segment.outcomes["ok"] += chunk.due.size
        add_rows((segment.lag, segment.wait), _fold_successes(segment, chunk))
        return
    for code, count in enumerate(np.bincount(chunk.outcome, minlength=len(OUTCOMES)).tolist()):
        if count:
            segment.outcomes[OUTCOMES[code]] += count
    is_ok = chunk.outcome == OK
    if is_ok.any():
        _fold_successes(segment, chunk.where(is_ok))
    was_started, held = ~np.isnan(chunk.started), ~np.isnan(chunk.acquired)
    lag, wait = chunk.started - chunk.due, chunk.acquired - chunk.started
    segment.lag.add(lag[was_started])
    segment.wait.add(wait[held])
    segment.lost_lag.add(lag[was_started & ~is_ok])
    segment.lost_wait.add(wait[held & ~is_ok])
    ended = held & ~is_ok & ~np.isnan(chunk.released)
    segment.held_seconds += float((chunk.released[ended] - chunk.acquired[ended]).sum())


def _fold_successes(segment: Segment, chunk: Columns) -> Floats:
    """Fold what only successful calls have; returns rows of their lags and waits.

    The parts of a hold: a call on a kept connection dials for no time, and one whose adapter saw no
    end of the work gives its connection back in no time.
    """
    due, acquired, released = chunk.due, chunk.acquired, chunk.released
    moments = chunk.times.copy()
    np.fmax(acquired, chunk.dialled, out=moments[3])
    np.fmin(chunk.served, released, out=moments[4])
    parts = np.empty((7, due.size))
    np.subtract(moments[1:], moments[:-1], out=parts[:5])
    np.subtract(released, acquired, out=parts[5])
    np.subtract(released, due, out=parts[6])
    segment.held_seconds += float(parts[5].sum())
    holds = (segment.dial, segment.service, segment.release, segment.hold, segment.response)
    add_rows(holds, parts[2:])
    return parts[:2]


class Ledger:
    """One record for every call, and the calls in the system: started and not released.

    State: their number, and `balance`, the sum of all releases minus that of all starts. Together
    they give the integral of the number up to t, exactly: in_system * t + balance.

    Args:
        now: the clock (s); `origin` is the trial's beginning on it, set when it begins.
        on_failure: called with the kind of each call that ended without success.
    """

    __slots__ = ("_on_failure", "balance", "in_system", "now", "origin", "recorder")

    def __init__(
        self, now: Callable[[], float], recorder: Recorder, on_failure: Callable[[str], None]
    ) -> None:
        self.now = now
        self.origin = 0.0
        self.in_system = 0
        self.balance = 0.0
        self.recorder = recorder
        self._on_failure = on_failure

    @property
    def at(self) -> float:
        """Seconds since the trial began."""
        return self.now() - self.origin

    def stamps(self) -> CallStamps:
        """Those of a call that is about to begin."""
        return CallStamps(self.now, self.origin)

    def detach(self) -> None:
        """The trial is over: calls that resisted their end have a record, and get no other."""
        self.recorder = Recorder(1.0, 1.0, 1.0)

    def failed(
        self, due: float, started: float, stamps: CallStamps, released: float, failure: CallFailed
    ) -> None:
        """A call ended without success."""
        code = OUTCOME_CODES.get(failure.outcome, ERROR)
        self.recorder.add_failure(due, started, stamps, released, code, failure.kind)
        self._on_failure(failure.kind)

    def unfinished(self, due: float, started: float, stamps: CallStamps) -> None:
        """A call was cancelled, or (`started` nan) never begun."""
        self.recorder.add_failure(due, started, stamps, NEVER, UNFINISHED, "unfinished")
