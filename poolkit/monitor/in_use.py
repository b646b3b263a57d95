"""How long a live pool had each number of connections in use, and what came back from there.

T(n) and C(n) of Denning and Buzen, as `poolkit.load.in_use` counts them in a trial: a connection
that passes from a call to one that waits is in use meanwhile. So n falls at a return only where
fewer calls than n are left, and rises only where more than n hold a connection or the right to dial
one. It is made from what is out and who waits at each step, not by adding up steps, so what is told
in the wrong order is put right by the next step.

Connections that were out before counting began are not in n. Where a pool has limits for each host,
calls that wait for one host may keep n high, by their number at most, while another's come back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

WINDOW = 60.0  # s
# Numbers in use, up to the pool's size, that are told from the first reading on: a counter that a
# Prometheus meets with its first increments loses them, and the highest, which tell the size, are
# there for a moment at a time.
TOLD = 64

Counts = dict[int, float]  # by connections in use


class InUse:
    """Seconds, calls that came back and the peak, by connections in use.

    Calls `rise` and `fall` at any moment, from any thread and from finalizers; one at a time may
    `read`. There is no lock: from one function call or turn of a loop to the next CPython lets
    neither another thread nor a finalizer in, and what belongs together is set within one such
    stretch. A counter must never fall, so a moment before the one up to which all is counted is
    that one.

    State: `level` connections in use since `_since` (perf_counter), what is counted by n up to
    then, the most since the last reading, and those of the last minute: (when, most).
    """

    __slots__ = ("_most", "_peaks", "_releases", "_seconds", "_since", "_size", "level")

    def __init__(self, began: float) -> None:
        self.level = 0
        self._since = began
        self._seconds = [0.0]
        self._releases = [0.0]
        self._most = 0
        self._peaks: deque[tuple[float, int]] = deque()
        self._size = 0.0  # the largest that the pool had

    def rise(self, at: float, out: int) -> None:
        """A call got a connection or the right to dial one.

        Args:
            at: perf_counter.
            out: calls that have either from now on.
        """
        if out <= self.level:
            return
        if out >= len(self._seconds):
            self._grow(out)
        since = self._since
        if at > since:
            self._seconds[self.level] += at - since
            self._since = at
        self.level = out
        if out > self._most:
            self._most = out

    def fall(self, at: float, under_way: int, is_release: bool) -> None:
        """A call gave its connection back, or gave up.

        Args:
            at: perf_counter.
            under_way: calls that have a connection, or wait for one, from now on.
            is_release: it came back.
        """
        level = self.level
        if is_release:
            self._releases[level] += 1.0
        if under_way >= level:
            return
        since = self._since
        if at > since:
            self._seconds[level] += at - since
            self._since = at
        self.level = under_way

    def _grow(self, most: int) -> None:
        """Room for one more, the seconds last: `rise` looks at their number."""
        missing = most + 1 - len(self._seconds)
        self._releases.extend([0.0] * missing)
        self._seconds.extend([0.0] * missing)

    def read(
        self, now: float, size: int | None, step: Callable[[int], range]
    ) -> tuple[Counts, Counts, float]:
        """Seconds and calls that came back for each n that there was or soon may be, and the peak.

        The peak is the most since the last reading and in all readings of the last minute. Not
        since the last one alone: where two scrape, or a mirror writes each second, each would hide
        it from the other. One that scrapes seldom misses nothing either.

        Args:
            now: perf_counter.
            size: of the pool; None: it has no limit.
            step: the numbers in use that are counted as one, by the lowest of them.
        """
        since = self._since
        if now > since:
            self._seconds[self.level] += now - since
            self._since = now
        most, self._most = self._most, self.level
        self._size = math.inf if size is None else max(self._size, size)
        if size is not None and min(size, TOLD) >= len(self._seconds):
            self._grow(min(size, TOLD))
        seconds, releases = (self._by(step, counts) for counts in (self._seconds, self._releases))
        return seconds, releases, min(self._peak(now, most), self._size)

    def _by(self, step: Callable[[int], range], counts: list[float]) -> Counts:
        found: Counts = {}
        # Some libraries serve the next call before the one that made way for it goes on.
        for n in range(len(counts) - 1, 0, -1):
            if n <= self._size:
                break
            counts[n - 1] += counts[n]
            counts[n] = 0.0
        one = range(0)
        while one.stop < min(len(counts), self._size + 1):
            one = step(one.stop)
            found[one.start] = sum(counts[one.start : one.stop])
        return found

    def _peak(self, now: float, most: int) -> int:
        peaks = self._peaks
        while peaks and peaks[-1][1] <= most:
            peaks.pop()
        peaks.append((now, most))
        while peaks[0][0] < now - WINDOW:
            peaks.popleft()
        return peaks[0][1]
