"""What the generator counts of a running trial for its brakes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from poolkit.load.brakes import NO_CONNECTION, Brakes, Counts
from poolkit.load.recorder import Recorder

LATELY = 10.0  # s that count as the last moments where calls are few
_NOBODY_LOOKED: NDArray[np.float64] = np.empty(0)


class BrakeWatch:
    """Asks the brakes about a trial's records.

    State: failures by kind, of those the ones without a connection since a call last succeeded,
    how many had succeeded then, how many had failed at the last check, and how many calls had
    finished when that number last changed.
    """

    def __init__(self, brakes: Brakes, recorder: Recorder) -> None:
        self._brakes = brakes
        self._recorder = recorder
        self._kinds: Counter[str] = Counter()
        self._no_connection: Counter[str] = Counter()
        self._succeeded = 0
        self._failed = 0
        self._finished = 0
        self._finished_at = 0.0

    def failed(self, kind: str) -> None:
        """A call failed."""
        self._kinds[kind] += 1
        if kind in NO_CONNECTION:
            self._no_connection[kind] += 1

    def check(self, at: float, in_system: int, connections: int, *, closely: bool) -> None:
        """Raise `BrakeStop` where a limit is passed at `at` s.

        `closely` also looks at how long calls held, which needs a look at their records.
        """
        recorder, brakes = self._recorder, self._brakes
        finished, failed = recorder.finished, recorder.failed_calls
        most = brakes.max_connections
        if not (
            closely
            or failed != self._failed
            or in_system > brakes.max_in_system
            or (most is not None and connections > most)
        ):
            return  # the rest changes slowly, and a check costs as much as a call
        self._failed = failed
        if finished - failed != self._succeeded:
            self._succeeded = finished - failed
            self._no_connection.clear()
        if finished != self._finished or in_system == 0:
            self._finished, self._finished_at = finished, at
        brakes.check(
            Counts(
                finished=finished,
                failed=failed,
                rejected=recorder.failed["rejected"],
                in_system=in_system,
                kinds=self._kinds,
                no_connection=self._no_connection,
                silent_for=at - self._finished_at,
                held=recorder.held_since(at - LATELY) if closely else _NOBODY_LOOKED,
                connections=connections,
            )
        )
