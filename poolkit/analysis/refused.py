"""From which pool size on a server turns calls away, whatever status it does it with."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.records import Trial

# A server that turns away this share of the calls is at a limit of its own.
SHEDDING = 0.01
# Calls that take at most so many times as long as at the smallest size do not queue in the server.
SHORT_HOLD = 1.5
MOSTLY_BUSY = 0.97  # share of the connections that successful calls keep busy in a full closed loop


def first_refused(trials: Sequence[Trial]) -> int | None:
    """The smallest closed-loop size at which the server turned calls away; None: at none.

    No size may be read off at this one or beyond it, whether it sheds calls or counts them.
    """
    curve = [trial for trial in trials if trial.is_of_curve]
    sizes = [trial.connections for trial in (*shed(curve), *over_quota(curve))]
    return min(sizes, default=None)


def shed(trials: Sequence[Trial]) -> list[Trial]:
    """The trials in which the server rejected calls (429, 503, too many connections)."""
    return [trial for trial in trials if rejected_share(trial) > SHEDDING]


def over_quota(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that met a rate limit which answers with another status than 429.

    Calls that the server calls wrong (4xx) only beyond a size, while those that succeed are neither
    slower nor more than before: the calls are right, and there are too many of them.
    """
    wrong = [trial for trial in trials if wrong_share(trial) > SHEDDING]
    if not wrong:
        return []
    first = min(trial.connections for trial in wrong)
    before = [trial for trial in trials if trial.connections < first]
    # Errors of another kind before, a lost connection say, tell nothing of a quota.
    if not short_hold(trials, wrong) or any(wrong_share(trial) > 0 for trial in before):
        return []
    return wrong


def rejected_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that the server shed."""
    calls = answered(trial)
    return trial.outcomes.get("rejected", 0) / calls if calls else 0.0


def wrong_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that failed with an HTTP status of 4xx."""
    calls = answered(trial)
    wrong = sum(n for kind, n in trial.error_kinds.items() if kind.startswith("http_4"))
    return min(wrong, trial.outcomes.get("error", 0)) / calls if calls else 0.0


def answered(trial: Trial) -> int:
    """The calls that ended: a stop cuts the others, which tell nothing of the server."""
    return sum(trial.outcomes.values()) - trial.outcomes.get("unfinished", 0)


def short_hold(trials: Sequence[Trial], limited: Sequence[Trial]) -> str:
    """Flat throughput with short hold: what sets a limit by rate apart from a busy server.

    Calls that get through take no longer than before, so by Little's Law they keep throughput *
    hold time connections busy, fewer than there are. Empty where they were slower.
    """
    first = min(trial.connections for trial in limited)
    before = [trial for trial in trials if trial.connections < first and trial.mean_hold > 0]
    served = [trial for trial in limited if trial.mean_hold > 0]
    if not before or not served:
        return ""
    smallest = min(before, key=lambda trial: trial.pool_size)
    largest = max(served, key=lambda trial: trial.pool_size)
    hold, size = largest.mean_hold, largest.connections
    busy = largest.throughput * hold
    if hold > SHORT_HOLD * smallest.mean_hold or busy > MOSTLY_BUSY * size:
        return ""
    return (
        f", as fast as with {smallest.connections} ({units.milliseconds(hold)}), so they kept "
        f"{units.number(busy)} of {size} connections busy: the server is not at its limit, it "
        "counts calls"
    )
