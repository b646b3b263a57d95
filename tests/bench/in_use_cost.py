"""What a call pays for the trial's record of connections in use, at each number of callers."""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from poolkit.load.measurement import Floats
from poolkit.load.recorder import CHUNK, NOTHING, OK, REJECTED, Recorder
from poolkit.load.stamps import CallStamps
from tests.bench.interleaved import reached

CALLS = 100 * CHUNK
TURNS = 21
MOST = 0.3  # us a call
STEP = 1e-4  # s between two calls' ends


class _NotKept:
    """In place of the fold: what recording costs without it."""

    def fold(self, *_: object) -> None: ...


def _recording(callers: int, *, kept: bool, every_rejected: int) -> float:
    """us a call to record a closed loop whose callers end one after the other."""
    stamps = [CallStamps(time.perf_counter, 0.0) for _ in range(callers)]

    def under_way() -> Floats:
        moments: Floats = np.array([one.started_at for one in stamps], dtype=np.float64)
        return moments[~np.isnan(moments)]

    seconds = CALLS * STEP
    recorder = Recorder(seconds, seconds / 60, seconds / 1200, under_way=under_way)
    if not kept:
        recorder._in_use = _NotKept()  # type: ignore[assignment]
        recorder._under_way = lambda: NOTHING
    began = time.process_time()
    for index in range(CALLS):
        one, released = stamps[index % callers], index * STEP
        due = one.acquired_at = released - callers * STEP
        is_rejected = every_rejected and index % every_rejected == 0
        recorder.add(due, due, one, released, REJECTED if is_rejected else OK)
        one.started_at = released
    recorder.fold()
    return (time.process_time() - began) / CALLS * 1e6


def _compared(callers: int, every_rejected: int) -> tuple[float, float]:
    """us a call without the record, and the median of what it adds."""
    pairs = []
    for _ in range(TURNS):
        first, second = (
            _recording(callers, kept=kept, every_rejected=every_rejected) for kept in (False, True)
        )
        pairs.append((first, second))
    without = statistics.median(first for first, _ in pairs)
    return without, statistics.median(second - first for first, second in pairs)


def main() -> int:
    """A line for each number of callers."""
    missed = 0
    for callers, every_rejected in ((16, 0), (64, 0), (64, 20), (512, 0)):
        without, added = _compared(callers, every_rejected)
        missed += added > MOST
        rejected = f", one in {every_rejected} rejected" if every_rejected else ""
        print(
            f"connections in use, {callers} callers{rejected}: {added:.2f} us a call on top of "
            f"{without:.2f}, {added * CHUNK:.0f} us a chunk: {reached(added <= MOST)} "
            f"(<= {MOST:.1f})",
            flush=True,
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
