"""Where production does not tell a size, why, and what would let it.

No answer rests on more connections in use than were seen, on longer holds than a fleet's rates
have shown, on how calls queue at rates that were not seen, or on the chance of a short time.
"""

from __future__ import annotations

import math

from poolkit import units
from poolkit.analysis.resampled import sizes_drawn
from poolkit.analysis.state_curve import fit
from poolkit.analysis.states import state_points
from poolkit.analysis.windows import Windows
from poolkit.records import Sizing, Trial
from poolkit.targets.objective import Objective

BEYOND = 1.05  # times the highest rate seen of a fleet: so far its hold time is taken to stay
SURE = 2.0  # standard errors
MOST_LOWER = 0.5  # share of throughput that a higher rate may take
CLOSE = 0.15  # of a size, by which it may be larger in another stretch of the same traffic
RAISED = 1.25  # times its size that a full pool is given, where the size needed is not known
BUSIER = "observe a busier time, or measure it under load: poolkit size"


def lower(windows: Windows, trial: Trial, rate: float, slower: float) -> float:
    """The share, 0 to 0.5, by which throughput may be lower at a rate beyond those seen.

    Beyond the knee X(n) as seen at a rate lies above mu, what the upstream keeps up, by
    (mu - rate) (1 - d) / (1 + d), where services have the squared spread d: the queue falls off as
    exp(-2 (1 - rho) n / (1 + d)) (Kingman 1962). So a higher rate takes its excess off X(n), all of
    it where services are alike, d = 0, and none where they are exponential. Which of these it is
    holds do not tell: waits within the upstream are in them.
    """
    # Of some windows of a steady rate the highest lies above it: two standard errors of its calls.
    highest = windows.peak_rate
    highest -= SURE * math.sqrt(highest / windows.seconds)
    excess = rate - highest / slower
    if excess <= 0.0:
        return 0.0
    curve = fit(state_points([trial]), trial.dispersion or 1.0)
    return min(MOST_LOWER, excess / float(curve.throughputs(curve.sizes).max()))


def within(
    sizing: Sizing, windows: Windows, chosen: Windows, rate: float, allowed: int, unsure: str
) -> Sizing:
    """The sizing where all of it was seen in production; else "cannot say", with what to do.

    Args:
        allowed: connections of one pool, at most. That so many are too few is known only if so many
            were seen.
        unsure: why what was seen tells no size close enough; empty: it does.
    """
    seen, peak = chosen.most_in_use, windows.peak_rate
    if windows.fleet > 1 and rate > BEYOND * peak:
        why = (
            f"cannot say at {units.rate(rate)}: {units.rate(peak)} is the highest rate at which "
            f"the upstream of these {windows.fleet} pools was seen, and how long calls take beyond "
            f"is not known; {BUSIER}"
        )
    elif unsure:
        why = unsure
    elif sizing.size is not None and sizing.size > seen:
        why = (
            f"cannot say: {units.plural(sizing.size, 'connection')} would be needed if throughput "
            f"stayed as with {seen} in use, the most of one pool that were seen; "
            f"{_drill(chosen, sizing.size, allowed)}"
        )
    elif sizing.size is None and (sizing.limited_by != "cap" or allowed > seen):
        why = (
            f"cannot say: with {units.plural(seen, 'connection')} in use, the most of one pool "
            f"that were seen, {units.rate(rate)} is not carried in time; "
            f"{_drill(chosen, None, allowed)}"
        )
    else:
        return sizing
    return sizing.model_copy(
        update={
            "size": None,
            "because": why,
            "limited_by": "unknown",
            "out_of_reach": False,
            "reachable_rate": None,
            "size_for_reachable": None,
            "raised_by": "",
            "is_extrapolated": False,
            "only_moves_queue": None,
            "smallest_as_fast": None,
            "headroom": 0,
        }
    )


def above(least: int, size: int | None, rate: float, peak: float, slower: float) -> str:
    """Why no size can be named at a rate beyond those seen; empty: both ends are close enough.

    Args:
        least: the size if calls queue as they do at the rates seen.
        size: if they queue as much longer as can be; None: no size does.
    """
    if size is not None and size - least <= max(1.0, CLOSE * least):
        return ""
    says = f"cannot say closer than {least} to {size} connections"
    if size is None:
        says = f"cannot say: {units.plural(least, 'connection')} or more"
    how = units.rate(rate)
    if slower > 1.0:
        how += f" with calls {units.number(slower)} times as long"
    return (
        f"{says}, for {units.rate(peak)} is the highest rate seen, and how "
        f"calls queue at {how} is not known; {BUSIER}"
    )


def by_chance(chosen: Windows, objective: Objective, factor: float) -> str:
    """Why these windows hold too little to name a size; empty: they hold enough."""
    if objective.wait_p99 is None:
        return ""
    # Calls that take `factor` times as long: the same in other units of time.
    low, middle, high = sizes_drawn(
        chosen,
        rate=objective.rate * factor / chosen.fleet,
        wait=objective.wait_p99 / factor,
        late=objective.allowance,
        most=2 * chosen.most_in_use + 1,
    )
    if high - middle <= max(1.0, CLOSE * middle):
        return ""
    return (
        f"cannot say closer than {low} to {high} connections: calls come back in such "
        "bursts that this time holds too few of them; look at a longer one (--since, --for)"
    )


def _drill(windows: Windows, needed: int | None, allowed: int) -> str:
    """What would show more connections of one pool in use than were seen.

    Args:
        needed: how many are to be seen; None: that is not known.
        allowed: connections of one pool, at most.
    """
    seen, size = windows.most_in_use, windows.most_size
    if size is not None and math.isfinite(size) and max(seen + 1, needed or 0) > size:
        raised = needed or min(math.ceil(RAISED * size), allowed)
        if raised > size:
            return (
                f"a pool of {size:g} cannot show that: raise the size to {raised} for a day, and "
                "observe again"
            )
    if windows.fleet > 1:
        return (
            "a drill shows it: for five minutes give one replica twice its share of the calls, "
            "where its pool has room for them, and observe again"
        )
    return f"no other pool has calls to give to this one: {BUSIER}"
