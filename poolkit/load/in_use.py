"""How long a trial spent with each number of connections in use, and what left from there.

These are the operational quantities T(n) and C(n) of Denning and Buzen (1978, "The operational
analysis of queueing network models"): C(n) / T(n) is the throughput with n in use. A call is in use
from the moment it acquires until it is released, whichever of the trial's pools it uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# What the events of a fold add to the number in use, in the order in which they happen where their
# moments are equal: a connection that comes free is handed on, and a call of no length comes last.
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

    def states(self, most: int) -> dict[int, tuple[float, int, int]]:
        """{n: (seconds, releases, rejected)} of the n that were seen; beyond `most` is `most`.

        Libraries hand a connection on before the call that gave it back takes note, so for some
        microseconds a full pool seems to have one more in use than there are.
        """
        table = self.table[:, : most + 1].copy()
        if most < self.table.shape[1] - 1:
            table[:, most] += self.table[:, most + 1 :].sum(axis=1)
        return {
            n: (round(float(table[0, n]), 9), int(table[1, n]), int(table[2, n]))
            for n in np.flatnonzero(table.any(axis=0)).tolist()
        }


class InUseFold:
    """Folds calls into the slices of a trial's time, each with an `InUse` of its own.

    Events count in the slice that their moment is in, (begin, end]; the last slice has no end.

    State: the moment (s) up to which everything is folded, how many calls were under way then and
    in use, and how many were never released, which count as in use ever after.
    """

    def __init__(self, slices: Sequence[InUse], seconds: float) -> None:
        self._slices = slices
        self._edges: Floats = np.arange(1, len(slices), dtype=np.float64) * seconds
        self._at = 0.0
        self._held = 0
        self._lost = 0

    def fold(
        self,
        acquired: Floats,
        released: Floats,
        rejected: Flags | None,
        held: Floats,
        until: float = 0.0,
    ) -> None:
        """Fold the calls that ended since the last fold, and those in use now.

        Args:
            acquired: s from the trial's start of every call that ended; nan where it never came
                so far.
            released: the same; nan where it was cut off.
            rejected: whether the server turned the call away; None: no call of these.
            held: since when (s) the calls under way are in use.
            until: the moment (s) to which the last state lasts, where no event is later.
        """
        # Who was in use at the last fold acquired before all others, and has either ended or is
        # still there: the earliest moments are theirs, and counted.
        moments = np.concatenate((acquired, held))
        moments.sort()  # nan last
        never = int(np.isnan(acquired).sum())
        began = moments[self._held : moments.size - never]
        is_usual, is_instant = released > acquired, released <= acquired  # nan: neither
        usual, instant = released[is_usual], released[is_instant]
        latest = [float(some.max()) for some in (usual, began, instant) if some.size]
        first, last = np.searchsorted(
            self._edges, (self._at, max([until, *latest])), side="right"
        ).tolist()
        groups = (usual, self._edges[first:last], began, instant)
        times = np.maximum(np.concatenate(groups), self._at)
        steps = np.repeat(_STEPS, [group.size for group in groups])
        flags: Flags | None = None
        if rejected is not None:
            flags = np.zeros(times.size, dtype=np.bool_)
            flags[: usual.size] = rejected[is_usual]
            flags[times.size - instant.size :] = rejected[is_instant]
        if times.size:
            self._count(times, steps, flags)
        self._held = held.size
        self._lost += acquired.size - never - usual.size - instant.size

    def finish(self) -> None:
        """The last state lasts to the end of all slices that have one."""
        nothing, held = np.empty(0), np.full(self._held, self._at)
        self.fold(nothing, nothing, None, held, until=float(self._edges[-1]))

    def _count(self, times: Floats, steps: NDArray[np.int64], rejected: Flags | None) -> None:
        """Count events into their slices; each ends the state before it."""
        order = np.argsort(times, kind="stable")
        times, steps = times[order], steps[order]
        before = self._held + self._lost + np.cumsum(steps) - steps
        is_release = steps < 0
        # Stamps that came late must not end the trial: a release is out of one or more in use.
        np.maximum(before, is_release, out=before)
        at = np.searchsorted(self._edges, times)
        first, width = int(at[0]), int(before.max()) + 1
        key = (at - first) * width + before
        table = np.zeros((3, int(at[-1]) - first + 1, width))
        size = table[0].size
        seconds = np.diff(times, prepend=self._at)
        table[0].flat = np.bincount(key, seconds, size)
        table[1].flat = np.bincount(key[is_release], minlength=size)
        if rejected is not None:
            table[2].flat = np.bincount(key[rejected[order]], minlength=size)
        for index in range(table.shape[1]):
            self._slices[first + index].add(table[:, index])
        self._at = float(times[-1])
