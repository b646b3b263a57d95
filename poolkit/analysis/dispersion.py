"""How random the departures of a saturated upstream are: the index of dispersion Cd2.

Cd2 = variance / mean of the completions counted in windows of several hold times (Cox and Lewis 1966,
"The Statistical Analysis of Series of Events", index of dispersion for counts). 1 for a Poisson stream, 0 for a
clockwork, cv^2 for a row of busy workers whose service times vary by cv.
"""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.curve import is_clean
from poolkit.records import Trial

SUB_WINDOW_HOLDS = 5.0  # length of a sub-window in mean hold times, as the summary counts them
SATURATED = 0.9  # share of the highest throughput from which a trial counts as saturated
# One guess of 1 (Poisson) is worth this many sub-windows: it holds back a wild value from few.
PRIOR_WINDOWS = 4.0
LEAST, MOST = 0.02, 25.0


def pooled_dispersion(trials: Sequence[Trial]) -> float | None:
    """Cd2 over the saturated trials, each weighted by its number of sub-windows; None: none has it.

    An estimate from k windows has a relative error of about sqrt(2 / k), so k is the right weight, and a
    prior of 4 windows at 1 keeps a handful of windows from deciding alone.
    """
    seen = [trial for trial in trials if is_clean(trial) and trial.dispersion is not None]
    if not seen:
        return None
    top = max(trial.throughput for trial in seen)
    saturated = [trial for trial in seen if trial.throughput >= SATURATED * top]
    total, weight = PRIOR_WINDOWS, PRIOR_WINDOWS
    for trial in saturated:
        windows = trial.window / (SUB_WINDOW_HOLDS * (trial.hold_time.mean or trial.window))
        total += windows * (trial.dispersion or 0.0)
        weight += windows
    return min(MOST, max(LEAST, total / weight))
