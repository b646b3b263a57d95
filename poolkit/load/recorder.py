"""One record a call, kept in columns and folded into histograms when a chunk is full."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poolkit.load.measurement import Segment
from poolkit.load.stamps import CallStamps
from poolkit.records import OUTCOMES, Outcome

OK, ERROR, POOL_TIMEOUT, TIMEOUT, REJECTED, UNFINISHED = range(len(OUTCOMES))
OUTCOME_CODES: dict[str, int] = {outcome: code for code, outcome in enumerate(OUTCOMES)}

# Small enough that folding (about 0.3 ms) does not show as lag, large enough to cost little a call.
CHUNK = 1024
_ROW = struct.Struct("7d")  # six times and the outcome
_CHUNK_BYTES = CHUNK * _ROW.size
_pack = _ROW.pack_into


class Columns:
    """A chunk of call records; times are s from the trial's start, nan where a call has none."""

    __slots__ = ("acquired", "dialled", "due", "outcome", "released", "served", "started")

    def __init__(self, rows: bytearray, used: int) -> None:
        columns = np.frombuffer(rows, count=used // 8).reshape(-1, _ROW.size // 8).T.copy()
        self.due, self.started, self.acquired, self.dialled, self.served, self.released = columns[
            :6
        ]
        self.outcome = columns[6].astype(np.int8)


class Recorder:
    """Takes one record for every planned call: due <= started <= acquired <= dialled <=
    served <= released.

    Args:
        seconds: length of the trial; later completions belong to no segment.
        segment_seconds: width of a segment (calls by due time).
        bin_seconds: width of a bin of the timeline (completions by release time).
        on_chunk: sees every chunk before it is folded (tests, exports).

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
    ) -> None:
        self.seconds = seconds
        self.segment_seconds = segment_seconds
        self.bin_seconds = bin_seconds
        self._on_chunk = on_chunk
        self.finished = 0
        self.failed: Counter[Outcome] = Counter()
        # The last segment takes calls that were due after the end; it is never measured.
        self.segments = [Segment() for _ in range(max(1, round(seconds / segment_seconds)) + 1)]
        bins = max(1, round(seconds / bin_seconds))
        self.completions = np.zeros(bins, dtype=np.int64)
        self._folded: Columns | None = None  # the last chunk, for `held_since`
        self._rows = bytearray(_CHUNK_BYTES)
        self._used = 0

    def add(
        self, due: float, started: float, stamps: CallStamps, released: float, outcome: int
    ) -> None:
        """Record a call; a moment is nan for a call that never came so far."""
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
        self._used = used + _ROW.size
        self.finished += 1
        if self._used == _CHUNK_BYTES:
            self.fold()

    def add_failure(
        self,
        due: float,
        started: float,
        stamps: CallStamps,
        released: float,
        outcome: int,
        kind: str,
    ) -> None:
        """Record a call that did not succeed; `kind` is a short stable word."""
        name = OUTCOMES[outcome]
        self.failed[name] += 1
        self.segments[self._segment_of(due)].error_kinds[kind] += 1
        self.add(due, started, stamps, released, outcome)

    def _segment_of(self, due: float) -> int:
        return min(len(self.segments) - 1, max(0, int(due / self.segment_seconds)))

    def fold(self) -> None:
        """Fold the open chunk into segments and timeline."""
        if not self._used:
            return
        chunk = Columns(self._rows, self._used)
        self._used = 0
        if self._on_chunk is not None:
            self._on_chunk(chunk)
        self._folded = chunk
        self._fold_timeline(chunk)
        index = (chunk.due / self.segment_seconds).astype(np.int64)
        np.clip(index, 0, len(self.segments) - 1, out=index)
        for at in np.unique(index):
            _fold_segment(self.segments[at], chunk, index == at)

    def held_since(self, at: float) -> NDArray[np.float64]:
        """How long (s) calls that were released since `at` held; of the last two chunks at most."""
        lately = Columns(self._rows, self._used)
        acquired, released = lately.acquired, lately.released
        if self._folded is not None:
            acquired = np.concatenate((self._folded.acquired, acquired))
            released = np.concatenate((self._folded.released, released))
        ended = (released >= at) & ~np.isnan(acquired)
        held: NDArray[np.float64] = released[ended] - acquired[ended]
        return held

    def _fold_timeline(self, chunk: Columns) -> None:
        done = (chunk.outcome == OK) & (chunk.released < self.seconds)
        released = chunk.released[done]
        bins = np.minimum((released / self.bin_seconds).astype(np.int64), self.completions.size - 1)
        self.completions += np.bincount(bins, minlength=self.completions.size)


def _fold_segment(segment: Segment, chunk: Columns, mask: NDArray[np.bool_]) -> None:
    due, started = chunk.due[mask], chunk.started[mask]
    acquired, released = chunk.acquired[mask], chunk.released[mask]
    outcome = chunk.outcome[mask]
    codes = np.bincount(outcome, minlength=len(OUTCOMES))
    for code, count in enumerate(codes.tolist()):
        if count:
            segment.outcomes[OUTCOMES[code]] += count
    was_started = ~np.isnan(started)
    held = ~np.isnan(acquired)
    ok = outcome == OK
    segment.lag.add(started[was_started] - due[was_started])
    segment.wait.add(acquired[held] - started[held])
    segment.hold.add(released[ok] - acquired[ok])
    segment.response.add(released[ok] - due[ok])
    # The parts of a hold: a call on a kept connection dials for no time, and one whose adapter saw
    # no end of the work gives its connection back in no time.
    dialled = np.fmax(acquired[ok], chunk.dialled[mask][ok])
    served = chunk.served[mask][ok]
    served = np.where(np.isnan(served), released[ok], served)
    segment.dial.add(dialled - acquired[ok])
    segment.service.add(served - dialled)
    segment.release.add(released[ok] - served)
    ended = held & ~np.isnan(released)
    segment.held_seconds += float((released[ended] - acquired[ended]).sum())
