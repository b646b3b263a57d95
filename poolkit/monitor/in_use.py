"""How long a live pool had each number of connections in use, and what came back from there.

T(n) and C(n) of Denning and Buzen, as `poolkit.load.in_use` counts them in a trial: a connection
that passes from a call to one that waits is in use meanwhile. So n falls at a return only where
fewer calls than n are left, and rises only where more than n hold a connection or the right to dial
one. It is made from what is out and who waits at each step, not by adding up steps, so what a
finalizer in the midst of one puts wrong lasts until the next.

Connections that were out before counting began are not in n. Where a pool has limits for each host,
calls that wait for one host may keep n high, by their number at most, while another's come back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

WINDOW = 60.0  # s

Counts = dict[int, float]  # by connections in use
Move = tuple[float, int, bool]  # moment (perf_counter), n from there on, whether a call came back


class InUse:
    """Seconds, calls that came back and the peak, by connections in use.

    Calls may `move` at any moment, from any thread; the rest belongs to one reader at a time.

    State: `level`, in use as the calls tell, and `moves`, what is not counted yet. All before `_at`
    (perf_counter) is counted, with `_level` in use from there on; the most since `peak` was last
    asked, and the answers of the last minute: (when, most).
    """

    def __init__(self, began: float) -> None:
        self.level = 0
        self.moves: deque[Move] = deque()
        self.seconds = [0.0]  # by n; as many as were ever in use
        self.releases = [0.0]  # by n, the one that came back included
        self._is_folding = False
        self._at = began
        self._level = 0
        self._most = 0
        self._size = 0.0  # the largest that the pool had
        self._peaks: deque[tuple[float, int]] = deque()

    def move(self, at: float, out: int, waiting: int, *, is_release: bool = False) -> None:
        """A call got a connection, gave one back or gave up.

        Args:
            at: perf_counter.
            out: calls that hold a connection, or the right to dial one, from now on.
            waiting: calls that wait for one from now on.
            is_release: a call came back.
        """
        level = self.level
        if out > level:
            self.level = level = out
        elif out + waiting < level:
            self.level = level = out + waiting
        elif not is_release:
            return
        self.moves.append((at, level, is_release))

    def fold(self) -> None:
        """Count every move so far."""
        if self._is_folding:  # a finalizer came in between
            return
        self._is_folding = True
        moves, seconds, releases = self.moves, self.seconds, self.releases
        at, now = self._at, self._level
        while moves:
            moment, after, is_release = moves.popleft()
            # Two threads may stamp in one order and append in the other, some us apart.
            if moment > at:
                seconds[now] += moment - at
                at = moment
            if is_release:
                releases[now] += 1
            if after > self._most:
                self._most = after
                missing = after + 1 - len(seconds)
                seconds.extend([0.0] * missing)
                releases.extend([0.0] * missing)
            now = after
        self._at, self._level = at, now
        self._is_folding = False

    def upto(self, moment: float, size: int | None) -> None:
        """Count every move so far, and the time since the last one.

        Args:
            size: of the pool; None: it has no limit.
        """
        self.fold()
        if moment > self._at:
            self.seconds[self._level] += moment - self._at
            self._at = moment
        self._size = math.inf if size is None else max(self._size, size)
        # Some libraries serve the next call before the one that gave its connection back goes on.
        for n in range(len(self.seconds) - 1, 0, -1):
            if n <= self._size:
                break
            for counts in (self.seconds, self.releases):
                counts[n - 1] += counts[n]
                counts[n] = 0

    def by(self, step: Callable[[int], range]) -> tuple[Counts, Counts]:
        """Seconds and calls that came back, as counted; `step` is the numbers that are one."""
        seconds: Counts = {}
        releases: Counts = {}
        one = range(0)
        while one.stop < min(len(self.seconds), self._size + 1):
            one = step(one.stop)
            seconds[one.start] = sum(self.seconds[one.start : one.stop])
            releases[one.start] = sum(self.releases[one.start : one.stop])
        return seconds, releases

    def peak(self, moment: float) -> float:
        """The most in use since this was last asked, and in what was answered within a minute.

        Not since the last answer alone: where two scrape, or a mirror writes each second, each
        answer would hide its peak from the other. One that scrapes less often than once a minute
        misses nothing either where it is the only one.
        """
        self.fold()
        peaks, most = self._peaks, self._most
        self._most = self._level
        while peaks and peaks[-1][1] <= most:
            peaks.pop()
        peaks.append((moment, most))
        while peaks[0][0] < moment - WINDOW:
            peaks.popleft()
        return min(peaks[0][1], self._size)
