"""At which idle times connections are tried, and when each has to begin its silence.

A server that sends a FIN tells its timeout exactly. One that closes on the next use, or a balancer
that drops in silence, is found only by asking, and an asked connection is no longer idle: so every
idle time needs a silence of its own. They run side by side, and a connection that has answered
begins the next one, as long as that ends in time.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

FIRST = 0.45  # s
# The timeout lies between two rungs, its estimate in the middle: half of this is the error.
STEP, STEP_SHARE = 0.9, 0.09
WIDER = 1.25  # steps grow by this where there are too few connections
# What a search may take is OVER * timeout + SLACK; half of the slack is for dials and answers.
OVER, SLACK = 1.3, 10.0
_LATEST = SLACK / 2
# More silences that begin late: they tell a timeout from a server that closed all at once. Ends
# SAME (s) or SAME_SHARE apart are one timeout, so a late start must be further apart than that.
SAME, SAME_SHARE = 0.5, 0.05
WITNESSES = (0.7, 1.9, 5.0, 13.0, 34.0, 90.0, 240.0)
_APART = 0.25  # s beyond that


@dataclass(frozen=True, slots=True)
class Rung:
    """One silence of `idle` s, begun `start` s after the search; is_asked false: only watched."""

    start: float
    idle: float
    is_asked: bool = True


def tolerance(seconds: float) -> float:
    """How far from `seconds` an end may be and still mean the same timeout (s)."""
    return max(SAME, SAME_SHARE * seconds)


def telling(seconds: float) -> float:
    """The first witness whose end tells a timeout of `seconds` s from one moment for all (s)."""
    apart = tolerance(seconds) + _APART
    return next((start for start in WITNESSES if start > apart), WITNESSES[-1])


def witnesses(cap: float, connections: int) -> tuple[float, ...]:
    """When the late silences of a search begin (s); the later ones where connections are few."""
    late = tuple(start for start in WITNESSES if start <= telling(cap) and start < cap)
    return late if connections > len(late) else late[-2:] if connections > 2 else ()


def plan(cap: float, connections: int) -> tuple[Rung, ...]:
    """The silences of a search up to `cap` s on at most `connections` (1 or more) at a time.

    Each ends within 1.3 times its idle time and 5 s. With few connections the steps are wider.
    """
    late = witnesses(cap, connections)
    asked = connections - len(late)
    factor = 1.0
    while (rungs := _laid(_times(cap, factor), asked)) is None:
        factor *= WIDER
    return rungs + tuple(Rung(start, cap, is_asked=False) for start in late)


def _times(cap: float, factor: float) -> list[float]:
    times = []
    at = min(FIRST, cap)
    while at < cap:
        times.append(at)
        at += factor * max(STEP, STEP_SHARE * at)
    return [*times, cap]


def _laid(times: list[float], connections: int) -> tuple[Rung, ...] | None:
    """The silences over the connections, each begun as soon as one is free; None: too late."""
    free = [0.0] * connections
    rungs = []
    for idle in times:
        start = heapq.heappop(free)
        if start > (OVER - 1.0) * idle + _LATEST:
            return None
        rungs.append(Rung(start, idle))
        heapq.heappush(free, start + idle)
    return tuple(rungs)
