"""At what a server turns calls away: at so many calls at once, calls per second, or connections.

Two things are seen. A trial with a connection for each caller is refused at its size or is not; and
any trial shows with how many connections in use its calls were refused (`Trial.in_use`). A closed
loop cannot tell a limit on calls at once from a quota: where calls take equally long, n of them at
once are n / hold calls per second. So a paced trial (purpose "limit", open loop) sends as many
calls at a time as there are connections, but at no more than half the rate that was carried: a
limit on calls at once turns away what is beyond it at any rate, a quota nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from poolkit import units
from poolkit.analysis.noise import LEAST_ERROR
from poolkit.analysis.states import together
from poolkit.records import Interval, Limit, LimitKind, Trial

# A server that turns away this share of the calls is at a limit of its own.
SHEDDING = 0.01
ENOUGH_CALLS = 20  # that a trial must have answered before it says that a size is not refused
# Calls that take at most so many times as long as at the smallest size do not queue in the server.
SHORT_HOLD = 1.5
MOSTLY_BUSY = 0.97  # share of the connections that successful calls keep busy in a full closed loop
# Poisson arrivals at a quota itself are refused half of the time; it is met this far below.
FITS_QUOTA = 0.95
ENOUGH_STEADY = 30  # calls served while others were refused, before their rate is believed
STEADY_CALLS = 100  # the same, before it is known well
# Calls refused for want of a connection, by what the adapters call it.
NO_ROOM = frozenset({"too_many_connections", "connection_refused"})
_RATE_KINDS = frozenset({"http_429"})
# A call refused is back at once, so calls that end while too many are in use are mostly such; a few
# of them are still under way when the number falls again.
STRAYS = 0.25
# Calls served while as many were in use as are refused, for each refused: few beyond a limit on
# calls at once, those that end while a refusal is under way; below a quota, many.
FEW_BESIDE, MANY_BESIDE = 6.0, 10.0
FEWEST_REFUSED = 3

Counts = Literal["at_once", "rate"]


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which sizes a server begins to turn calls away; the latest trial at a size counts."""

    clean: int  # largest size that was not refused; 0: none
    refused: int | None  # smallest one that was, more than `clean`; None: none
    has_changed: bool = False  # a size was first seen one way and then the other
    is_confirmed: bool = False  # `clean` was tried after a larger size had been refused


def limits(trials: Sequence[Trial]) -> tuple[Limit, ...]:
    """The limit that trials of one target show, in order of time; none where none was met.

    Nothing is said of a server that turned calls away at every size.
    """
    refused = turned_away(trials)
    if not refused:
        return ()
    kind = limit_kind(trials)
    limit = _quota(trials, refused) if kind == "rate" else _at_once(trials, refused, kind)
    return () if limit is None else (limit,)


def in_words(limit: Limit) -> str:
    """`the server takes 12 calls at once (11 to 12)`."""
    ends = limit.interval95
    if limit.kind == "rate":
        around = (
            ""
            if ends is None or ends[0] == ends[1]
            else f" ({units.number(ends[0])} to {units.number(ends[1])})"
        )
        return f"the server takes {units.rate(limit.value)}{around}"
    noun = "connection" if limit.kind == "connections" else "call"
    at_once = "" if limit.kind == "connections" else " at once"
    around = "" if ends is None or ends[0] == ends[1] else f" ({ends[0]:.0f} to {ends[1]:.0f})"
    return f"the server takes {units.plural(int(limit.value), noun)}{at_once}{around}"


def limit_kind(trials: Sequence[Trial]) -> LimitKind:
    """What the server counts, as a paced trial showed it; without one, as it says itself."""
    kinds = refusals(turned_away(trials))
    if 2 * sum(kinds[kind] for kind in NO_ROOM) > kinds.total():
        return "connections"
    found = counted(trials)
    if found is not None:
        return found
    by_rate = sum(count for kind, count in kinds.items() if _says_rate(kind))
    return "rate" if 2 * by_rate > kinds.total() else "at_once"


def counted(trials: Sequence[Trial]) -> Counts | None:
    """What paced trials show the server to count; None: there was none that tells.

    A size that is refused at full rate and not at half of it is no limit on calls at once. One that
    is refused at half as well is, where not many more calls are refused than are beyond the largest
    size seen clean, or where that size is not refused so either: a server that counts connections
    may refuse every call while one is too many. Else it is a quota that has no room for a burst.
    """
    paced = [t for t in trials if is_paced(t) and sum(t.outcomes.values()) >= ENOUGH_CALLS]
    latest = {trial.connections: trial for trial in paced}
    clean = [n for n, trial in latest.items() if not _sheds(trial)]
    refused = [n for n, trial in latest.items() if _sheds(trial)]
    # What open loops meet later at a smaller size was not asked again.
    last = max((at for at, trial in enumerate(trials) if is_paced(trial)), default=len(trials))
    seen = bracket([trial for trial in trials[:last] if not is_paced(trial)])
    if seen.refused is not None and max(clean, default=0) >= seen.refused:
        return "rate"
    if not refused:
        return _by_states(trials)
    first = min(refused)
    if any(n < first for n in clean) or _is_beyond_alone(latest[first], seen.clean):
        return "at_once"
    return "rate" if first <= seen.clean else None


def _is_beyond_alone(paced: Trial, clean: int) -> bool:
    """Whether no more calls were refused than came beyond the size that was clean."""
    # Calls that a stop cut had been let in: those turned away are back at once.
    times = sum(paced.outcomes.values()) / paced.connections
    refused = refused_share(paced) * answered(paced)
    return clean > 0 and refused <= (paced.connections - clean + 0.5) * times


def _by_states(trials: Sequence[Trial]) -> Counts | None:
    """What closed loops at the refused size show, once the size below it is known to be clean.

    Calls are never served as many at a time where the server turns away one of so many at once;
    below a quota they are, until it is used up.
    """
    seen = bracket(trials)
    if seen.refused is None or not 0 < seen.clean == seen.refused - 1:
        return None
    at_size = [t for t in turned_away(trials) if t.is_of_curve and t.connections == seen.refused]
    _, calls, lost_there = together(at_size).get(seen.refused, (0.0, 0, 0))
    served = calls - lost_there
    lost = sum(trial.outcomes.get("rejected", 0) for trial in at_size)
    return "rate" if served >= max(ENOUGH_CALLS, MANY_BESIDE * lost) else None


def bracket(trials: Sequence[Trial]) -> Bracket:
    """Between which sizes the server begins to turn calls away.

    A server may change meanwhile: the latest word on a size counts, and what an earlier trial said
    of sizes that this contradicts is forgotten.
    """
    away = {id(trial) for trial in turned_away(trials)}
    clean: dict[int, bool] = {}  # size -> whether a larger one had been refused before
    refused: dict[int, bool] = {}  # size -> whether a closed loop saw it
    has_changed = False
    for trial in trials:
        if trial.at_a_time is not None and not is_paced(trial):
            continue  # evenly spaced calls that look for a quota's rate
        closed = trial.is_of_curve
        if id(trial) in away:
            # No more connections can have been open than were once in use.
            known = closed or is_paced(trial)
            size = trial.connections if known else max(together([trial]), default=trial.connections)
            if not known and trial.stopped is None and size <= max(clean, default=0):
                continue  # a few, at a size tried for its own sake: connections of before linger
            has_changed = has_changed or any(n >= size for n in clean)
            clean = {n: late for n, late in clean.items() if n < size}
            refused[size] = refused.get(size, False) or closed
        elif (closed or is_paced(trial)) and _is_clean(trial):
            size = trial.connections
            # What a closed loop is refused may be a rate, which a paced trial does not reach.
            contested = {n for n, by_closed in refused.items() if closed or not by_closed}
            wrong = {n for n in contested if n <= size}
            has_changed = has_changed or bool(wrong and closed)
            refused = {n: by for n, by in refused.items() if n not in wrong}
            if closed or all(n > size for n in refused):
                clean[size] = clean.get(size, False) or bool(refused)
    largest = max(clean, default=0)
    return Bracket(largest, min(refused, default=None), has_changed, clean.get(largest, False))


def first_refused(trials: Sequence[Trial]) -> int | None:
    """The smallest size at which the server turned calls away; None: at none.

    No size of the curve may be read off at this one or beyond it.
    """
    return bracket(trials).refused


def quota(trials: Sequence[Trial]) -> float | None:
    """The rate (calls/s) at which the server turns calls away at any size; None: it is no rate.

    Only where a paced trial showed that it counts calls per second and not those at once.
    """
    if counted(trials) != "rate" or limit_kind(trials) != "rate":
        return None
    return next((limit.value for limit in limits(trials)), None)


def is_paced(trial: Trial) -> bool:
    """Whether the trial sent as many calls at a time as it has connections, at a low rate."""
    return trial.at_a_time is not None and trial.at_a_time >= trial.connections


def is_at_limit(trial: Trial, before: Sequence[Trial]) -> bool:
    """Whether a trial was stopped because the server turned away a part of its calls.

    Not where all are turned away from the first trial on: that is a wrong token, or a server that
    is not there, and larger or smaller pools meet the same.
    """
    if trial.stopped not in ("rejected", "refused", "error_share"):
        return False
    if trial not in turned_away((*before, trial)):
        return False
    served = trial.outcomes.get("ok", 0)
    if any(one.outcomes.get("ok", 0) for one in before):
        return True
    if trial.error_kinds.get("too_many_connections"):
        return served > 0
    return served > 0 and 2 * served >= answered(trial)


def turned_away(trials: Sequence[Trial]) -> list[Trial]:
    """The trials in which the server turned calls away, in order."""
    closed = [trial for trial in trials if trial.is_of_curve]
    away = {id(trial) for trial in (*shed(trials), *over_quota(closed))}
    return [trial for trial in trials if id(trial) in away]


def shed(trials: Iterable[Trial]) -> list[Trial]:
    """The trials in which the server rejected calls (429, 503, no room for a connection)."""
    return [trial for trial in trials if _sheds(trial)]


def _sheds(trial: Trial) -> bool:
    # The last moments before a stop are in no whole segment, and all refusals may be there.
    if trial.stopped == "rejected" or refused_share(trial) > SHEDDING:
        return True
    # A caller that is refused rests, so beside many quick calls there are few refusals.
    return _rejected(trial) >= FEWEST_REFUSED and first_in_use(trial) is not None


def over_quota(trials: Sequence[Trial]) -> list[Trial]:
    """The closed loops that met a rate limit which answers with another status than 429.

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


def refused_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that the server rejected or had no room for.

    Refused dials in a row, the brake `refused`, are those of a server that is gone: they do not
    count.
    """
    calls = answered(trial)
    refused = _rejected(trial)
    if trial.stopped != "refused":
        refused += min(trial.error_kinds.get("connection_refused", 0), _errors(trial))
    return refused / calls if calls else 0.0


def _rejected(trial: Trial) -> int:
    """Calls that the server rejected; not the last ones of a server that then was gone, which took
    their dials while it ended.
    """
    gone = trial.error_kinds.get("disconnected", 0) if trial.stopped == "refused" else 0
    return max(0, trial.outcomes.get("rejected", 0) - gone)


def wrong_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that failed with an HTTP status of 4xx."""
    calls = answered(trial)
    wrong = sum(n for kind, n in trial.error_kinds.items() if kind.startswith("http_4"))
    return min(wrong, _errors(trial)) / calls if calls else 0.0


def _errors(trial: Trial) -> int:
    return trial.outcomes.get("error", 0)


def answered(trial: Trial) -> int:
    """The calls that ended: a stop cuts the others, which tell nothing of the server."""
    return sum(trial.outcomes.values()) - trial.outcomes.get("unfinished", 0)


def refusals(trials: Iterable[Trial]) -> Counter[str]:
    """The kinds of the calls that failed in these trials, those that a stop cut left out."""
    kinds: Counter[str] = Counter()
    for trial in trials:
        kinds.update(trial.error_kinds)
    del kinds["unfinished"]
    return kinds


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


def _says_rate(kind: str) -> bool:
    return kind in _RATE_KINDS or kind.startswith("http_4")


def _is_clean(trial: Trial) -> bool:
    return (
        trial.stopped is None
        and answered(trial) >= min(ENOUGH_CALLS, 3 * trial.connections)
        and not _sheds(trial)
    )


def first_in_use(trial: Trial) -> int | None:
    """With how many connections in use a trial's refusals began; None: nothing in it says so.

    The number that parts the calls that were served from those that were refused best. As calls
    that are refused are back at once, they are many of those that end beyond a limit on calls at
    once, and few where the server fails now and then.
    """
    states = together([trial])
    rejected = sum(lost for _, _, lost in states.values())
    parted = []
    for first in sorted(states):
        strays = sum(lost for n, (_, _, lost) in states.items() if n < first)
        served = sum(calls - lost for n, (_, calls, lost) in states.items() if n >= first)
        parted.append((strays + served, first, strays, served))
    if not parted or not rejected:
        return None
    _, first, strays, served = min(parted)
    is_sharp = strays <= STRAYS * rejected and served <= FEW_BESIDE * (rejected - strays)
    return first if is_sharp else None


def _at_once(trials: Sequence[Trial], refused: Sequence[Trial], kind: LimitKind) -> Limit | None:
    seen = bracket(trials)
    if seen.refused is None or not seen.clean:
        return None
    value, most = seen.clean, seen.refused - 1
    noun = "connection" if kind == "connections" else "call"
    taken = f"{units.plural(seen.clean, noun)}{'' if kind == 'connections' else ' at once'}"
    text = f"no more than {taken} were taken: not {seen.refused} ({_named(refused)})"
    if seen.has_changed:
        text += "; it changed while it was searched for, and the latest trials count"
    return Limit(kind=kind, value=value, interval95=(float(value), float(most)), seen=text)


def _quota(trials: Sequence[Trial], refused: Sequence[Trial]) -> Limit | None:
    """The calls/s that get through while others are refused, else those that were not refused."""
    away = {id(trial) for trial in refused}
    served = max((trial.throughput for trial in refused), default=0.0)
    # Paced trials say nothing of it: they keep below on purpose.
    free = max((t.throughput for t in trials if id(t) not in away and not is_paced(t)), default=0.0)
    found = _steady(refused)
    if found is None:
        found = (free or served, (free, max(free, served)))
    value, interval = found
    if free > value and steady(refused)[0] < STEADY_CALLS:
        # A bucket may have let so many through, but then so few calls tell no better.
        value, interval = free, (interval[0], max(free, interval[1]))
    if value <= 0:
        return None
    text = f"{units.rate(value)} got through while others were refused ({_named(refused)})"
    return Limit(kind="rate", value=value, interval95=interval, seen=text)


def _steady(refused: Iterable[Trial]) -> tuple[float, Interval] | None:
    """Their rate (calls/s) once what a bucket had saved up is used; None: too few."""
    calls, seconds = steady(refused)
    if calls < ENOUGH_STEADY or seconds <= 0:
        return None
    # A bucket that is filled evenly lets calls through more evenly than Poisson's noise.
    rate, error = calls / seconds, max(LEAST_ERROR, 0.5 / math.sqrt(calls))
    return rate, ((1.0 - 2.0 * error) * rate, (1.0 + 2.0 * error) * rate)


def steady(refused: Iterable[Trial]) -> tuple[int, float]:
    """Calls served after a trial's first refusals, and in how many seconds."""
    calls, seconds = 0, 0.0
    for trial in refused:
        begun = False
        for batch in trial.in_use:
            lost = sum(rejected for _, _, rejected in batch.values())
            if begun:
                calls += sum(releases for _, releases, _ in batch.values()) - lost
                seconds += sum(passed for passed, _, _ in batch.values())
            begun = begun or lost > 0
    return calls, seconds


def _named(refused: Iterable[Trial]) -> str:
    return next((kind for kind, _ in refusals(refused).most_common(1)), "rejected")
