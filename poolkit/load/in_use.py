"""How long a trial spent with each number of connections in use, and what left from there.

These are the operational quantities T(n) and C(n) of Denning and Buzen (1978, "The operational
analysis of queueing network models"): C(n) / T(n) is the throughput with n in use.

A pool with calls that wait has all its connections in use, so n is min(calls begun and not ended,
connections). Counted from the moments at which calls acquire, a full pool would seem to have free
ones again and again while a connection passes to the next call, for a turn of the event loop in
which other calls end: with six in use a third of the releases, and thousands a second below.
In a fleet a call may wait for a full pool beside a free one; there n reads high by these calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# What the events of a fold add to the calls under way, in the order in which they happen where
# their moments are equal; a call of no length comes last.
_STEPS = np.array([-1, 0, 1, -1])


class InUse:
    """Seconds, releases and rejected releases by connections in use; mutable while recording.

    `table` has these three as rows; column n is for n in use, the releasing call included.
    """

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: Floats = np.zeros((3, 0))

    def __repr__(self) -> str:
        seconds, releases, _ = self.table.sum(axis=1).tolist()
        return f"InUse(seconds={seconds:.6f}, releases={releases:.0f})"

    @property
    def mean(self) -> float:
        """Connections in use on average; 0 where no time has passed."""
        seconds = self.table[0]
        passed = float(seconds.sum())
        return float(seconds @ np.arange(seconds.size)) / passed if passed > 0.0 else 0.0

    def add(self, table: Floats) -> None:
        """Add three rows like those of `table`, for 0, 1, ... in use."""
        missing = table.shape[1] - self.table.shape[1]
        if missing > 0:
            self.table = np.pad(self.table, ((0, 0), (0, missing)))
        self.table[:, : table.shape[1]] += table

    def merge(self, other: InUse) -> None:
        """Add everything that the other one holds."""
        self.add(other.table)

    def states(self) -> dict[int, tuple[float, int, int]]:
        """{n: (seconds, releases, rejected)} of the n that were seen."""
        return {
            n: (round(float(self.table[0, n]), 9), int(self.table[1, n]), int(self.table[2, n]))
            for n in np.flatnonzero(self.table.any(axis=0)).tolist()
        }


class InUseFold:
    """Folds calls into the slices of a trial's time, each with an `InUse` of its own.

    Events count in the slice that their moment is in, (begin, end]; the last slice has no end.

    `most` is the number of connections.

    State: the moment (s) up to which everything is folded, how many calls were under way then, and
    how many never ended, which count as under way ever after.
    """

    def __init__(self, slices: Sequence[InUse], seconds: float, most: int) -> None:
        self._slices = slices
        self._edges: Floats = np.arange(1, len(slices), dtype=np.float64) * seconds
        self._most = most
        self._at = 0.0
        self._under_way = 0
        self._lost = 0

    def fold(
        self,
        started: Floats,
        ended: Floats,
        had: Flags,
        rejected: Flags | None,
        under_way: Floats,
        until: float = 0.0,
    ) -> None:
        """Fold the calls that ended since the last fold, and those under way now.

        Args:
            started: s from the trial's start of every call that ended; nan where it never began.
            ended: the same; nan where it was cut off.
            had: whether it had a connection, so that its end is a release.
            rejected: whether the server turned it away; None: no call of these.
            under_way: when (s) the calls under way began.
            until: the moment (s) to which the last state lasts, where no event is later.
        """
        # The calls under way at the last fold began before all others, and each has either ended or
        # is still there: the earliest moments are theirs, and counted.
        moments = np.concatenate((started, under_way))
        moments.sort()  # nan last
        never = int(np.isnan(started).sum())
        began = moments[self._under_way : moments.size - never]
        is_usual, is_instant = ended > started, ended <= started  # nan: neither
        usual, instant = ended[is_usual], ended[is_instant]
        latest = [float(some.max()) for some in (usual, began, instant) if some.size]
        first, last = np.searchsorted(
            self._edges, (self._at, max([until, *latest])), side="right"
        ).tolist()
        groups = (usual, self._edges[first:last], began, instant)
        times = np.maximum(np.concatenate(groups), self._at)
        steps = np.repeat(_STEPS, [group.size for group in groups])

        def marked(flags: Flags) -> Flags:
            marks = np.zeros(times.size, dtype=np.bool_)
            marks[: usual.size] = flags[is_usual]
            marks[times.size - instant.size :] = flags[is_instant]
            return marks

        if times.size:
            turned_away = None if rejected is None else marked(rejected & had)
            self._count(first, times, steps, marked(had), turned_away)
        self._under_way = under_way.size
        self._lost += started.size - never - usual.size - instant.size

    def finish(self) -> None:
        """The last state lasts to the end of all slices that have one."""
        nothing, under_way = np.empty(0), np.full(self._under_way, self._at)
        none = np.empty(0, dtype=np.bool_)
        self.fold(nothing, nothing, none, None, under_way, until=float(self._edges[-1]))

    def _count(
        self,
        first: int,
        times: Floats,
        steps: NDArray[np.int64],
        is_release: Flags,
        rejected: Flags | None,
    ) -> None:
        """Count events into their slices from `first` on; each ends the state before it."""
        order = np.argsort(times, kind="stable")
        times, steps = times[order], steps[order]
        before = self._under_way + self._lost + np.cumsum(steps) - steps
        # Whatever the stamps are, an end is out of one or more.
        np.clip(before, steps < 0, self._most, out=before)
        width = int(before.max()) + 1
        is_edge = steps == 0
        slices = np.cumsum(is_edge) - is_edge
        key = slices * width + before
        table = np.zeros((3, int(slices[-1]) + 1, width))
        size = table[0].size
        seconds = np.diff(times, prepend=self._at)
        table[0].flat = np.bincount(key, seconds, size)
        table[1].flat = np.bincount(key[is_release[order]], minlength=size)
        if rejected is not None:
            table[2].flat = np.bincount(key[rejected[order]], minlength=size)
        for index in range(table.shape[1]):
            self._slices[first + index].add(table[:, index])
        self._at = float(times[-1])
