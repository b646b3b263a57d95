"""The concurrency limit that Netflix's Gradient2 would settle on here: a second opinion.

Gradient2 (the `concurrency-limits` library, Gradient2Limit; after the gradient of TCP Vegas) adapts
a limit L while it serves, from two averages of the round trip time R:

    g = min(1, max(1/2, T * R_long / R_short))      T = 1.5, the slowdown that it tolerates
    L <- (1 - s) * L + s * (g * L + Q)              s = 0.2, Q = 4 calls of queue that it allows

R_short is the latest window's, R_long an exponential average over 600 windows: a burst is short
against that, so R_long stays what everyday traffic left. (Under lasting overload it follows R_short
and the limit drifts upwards without end.) The rule asks how many calls the upstream takes before it
slows down by half, and knows no rate and no wait target.
"""

from __future__ import annotations

from collections.abc import Callable

TOLERANCE = 1.5
QUEUE = 4.0
SMOOTHING = 0.2
LEAST_GRADIENT = 0.5
SETTLED = 1e-4  # share by which an update still changes the limit
MOST_UPDATES = 5000


def settled_limit(round_trip: Callable[[float], float], usual: float, largest: float) -> float:
    """The limit (calls) at which it comes to rest in a burst that fills whatever it allows.

    Args:
        round_trip: R (s) with so many calls on the upstream, 1 .. largest.
        usual: s, R_long: the round trip of everyday traffic.
        largest: calls beyond which the round trip is not known; returned where L gets there.
    """
    limit = 1.0
    for _ in range(MOST_UPDATES):
        gradient = min(1.0, max(LEAST_GRADIENT, TOLERANCE * usual / round_trip(limit)))
        updated = (1.0 - SMOOTHING) * limit + SMOOTHING * (gradient * limit + QUEUE)
        if updated >= largest:
            return largest
        if abs(updated - limit) <= SETTLED * limit:
            break
        limit = max(1.0, updated)
    return limit
