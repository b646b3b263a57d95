"""Forecast demand through the measured curve: connections needed, and when the size runs out.

    planner = Planner.of(sweep, objective)
    found = outlook(demand, planner, pool_size=14)

Demand is forecast, never the size: each week's lower, middle and upper demand is a target rate, and
what it needs is what a what-if answers. The forecast stands in the place of the objective's growth
and headroom, which are there for what it tells. Where a rate needs more connections than were
measured nothing is said: the curve is not drawn on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from poolkit import units
from poolkit.analysis.forecast import LONGEST, Forecast, TooShort, forecast
from poolkit.analysis.smallest import at_limit, find, reachable_rate
from poolkit.analysis.verdict import cannot_say
from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.analysis.what_if import Planner
from poolkit.analysis.why_none import why_none
from poolkit.records import Amount, Count, Record, Size
from poolkit.targets.objective import Objective
from poolkit.targets.production import HIGHEST_RATE

SMALLEST = 1e-6  # of the highest rate: a demand of nothing is asked as so little


class Needed(Record):
    """Connections of one pool that a rate needs."""

    # "upstream": no number of them carries it; "cap": more than are allowed would be needed;
    # "unknown": more than were measured.
    kind: Literal["connections", "upstream", "cap", "unknown"]
    size: Size | None = None  # None: of another kind than "connections"
    # Of the kind "unknown": so many are not enough; None: not even that is known.
    more_than: Size | None = None
    because: str = ""  # of the other kinds

    def is_enough(self, pool_size: int) -> bool | None:
        """Whether a pool of this size does; None: cannot say."""
        if self.size is not None:
            return self.size <= pool_size
        if self.kind == "unknown" and (self.more_than is None or pool_size > self.more_than):
            return None
        return False

    @property
    def is_out_of_reach(self) -> bool:
        """Whether no pool carries it, within what is allowed."""
        return self.kind in ("upstream", "cap")


class Crossing(Record):
    """In which week something begins, counted from 1 after the last one known.

    None: not within the weeks that can be told.
    """

    first: Count | None = None  # as the upper end of the demand has it
    middle: Count | None = None
    last: Count | None = None  # as the lower end has it


class Outlook(Record):
    """What demand is coming, what it needs, and when that is more than there is."""

    demand: WeeklyPeaks
    forecast: Forecast | TooShort
    pool_size: Size  # of one pool, today
    pools: Size
    # A week each, as far as the demand can be told; empty where its history is too short.
    lower: tuple[Needed, ...] = ()
    middle: tuple[Needed, ...] = ()
    upper: tuple[Needed, ...] = ()
    size_out: Crossing = Crossing()  # a larger pool is needed, or none will do
    reach_out: Crossing = Crossing()  # none will do
    reach: Amount | None = None  # calls/s that some size carries; None: it is not come to
    # The first week whose upper end the curve cannot say enough of; None: it can of all.
    unknown_from: Count | None = None

    @property
    def horizon(self) -> int:
        """Weeks ahead that can be told."""
        return len(self.middle)

    @property
    def valid_weeks(self) -> int:
        """Weeks for which the size will do, wherever in its interval the demand is; 0: none."""
        does = [one.is_enough(self.pool_size) is True for one in self.upper]
        return does.index(False) if False in does else len(does)

    @property
    def limit(self) -> Needed | None:
        """What is in the way where no size will do; None: it does not come to that."""
        ends = (self.upper, self.middle, self.lower)
        return next((one for needed in ends for one in needed if one.is_out_of_reach), None)


def outlook(
    demand: WeeklyPeaks,
    planner: Planner,
    pool_size: int,
    carried: float | None = None,
    weeks: int = LONGEST,
) -> Outlook:
    """When the size of today runs out, and when the upstream does.

    Args:
        demand: weekly peaks of the whole service.
        planner: of the newest sweep, with the objective that is in force.
        pool_size: connections of one pool today, 1 or more.
        carried: calls/s of the whole service that this size was seen to carry as asked: the curve
            alone may ask for more than load has shown to be needed. None: it was not tried.
        weeks: ahead, 1 to 26.

    Raises:
        ValueError: an argument is out of range.
    """
    if pool_size < 1:
        raise ValueError(f"pool_size must be 1 or more, got {pool_size}")
    found, pools = forecast(demand.rates, weeks), planner.objective.pools
    if isinstance(found, TooShort):
        return Outlook(demand=demand, forecast=found, pool_size=pool_size, pools=pools)
    least = SMALLEST * max(found.upper)
    ends = [[max(rate, least) for rate in end] for end in (found.lower, found.middle, found.upper)]
    needs = _needs(planner, {rate for end in ends for rate in end})

    def needed(rate: float) -> Needed:
        if carried is None or rate > carried or needs[rate].is_enough(pool_size):
            return needs[rate]
        return Needed(kind="connections", size=pool_size)

    lower, middle, upper = (tuple(map(needed, end)) for end in ends)

    def crossing(begins: Callable[[Needed], bool]) -> Crossing:
        first, expected, last = (
            next((week for week, one in enumerate(end, 1) if begins(one)), None)
            for end in (upper, middle, lower)
        )
        return Crossing(first=first, middle=expected, last=last)

    reach_out = crossing(lambda one: one.is_out_of_reach)
    reach = None
    if reach_out.first is not None and planner.upstream is not None:
        reach = reachable_rate(planner.upstream, _bare(planner, found.middle[0]))
    unknown = [one.is_enough(pool_size) is None for one in upper]
    return Outlook(
        demand=demand,
        forecast=found,
        pool_size=pool_size,
        pools=pools,
        lower=lower,
        middle=middle,
        upper=upper,
        size_out=crossing(lambda one: one.is_enough(pool_size) is False),
        reach_out=reach_out,
        reach=reach,
        unknown_from=unknown.index(True) + 1 if True in unknown else None,
    )


def _needs(planner: Planner, rates: Iterable[float]) -> dict[float, Needed]:
    """What each rate needs. More calls/s never need fewer connections, so that where two rates need
    as many those in between do: few of them are asked for."""
    ordered = sorted(rates)
    found = {rate: need(planner, rate) for rate in (ordered[0], ordered[-1])}
    spans = [(0, len(ordered) - 1)]
    while spans:
        begin, end = spans.pop()
        low, high = found[ordered[begin]], found[ordered[end]]
        middle = (begin + end) // 2
        if (low.kind, low.size) == (high.kind, high.size):
            found |= dict.fromkeys(ordered[begin + 1 : end], low)
        elif middle > begin:
            found[ordered[middle]] = need(planner, ordered[middle])
            spans += [(begin, middle), (middle, end)]
    return found


def need(planner: Planner, rate: float) -> Needed:
    """What a demand (calls/s of the whole service, more than 0) needs of one pool."""
    if planner.upstream is None:
        return Needed(kind="unknown", because=cannot_say(planner.cannot, planner.verdict))
    found = at_limit(find(planner.upstream, _bare(planner, rate)))
    queue = found.queue
    measured = min(queue.most, queue.curve.whole.measured // queue.curve.pools)
    if found.size is not None and found.size <= max(1, measured):
        return Needed(kind="connections", size=found.size)
    if found.size is not None:
        most = units.plural(measured, "connection")
        because = f"cannot say, because {units.rate(rate)} need more than the {most} measured"
        return Needed(kind="unknown", more_than=measured, because=because)
    height = None if planner.plateau is None else planner.plateau.throughput
    limited_by, because = why_none(found, planner.verdict, height, planner.more)
    if limited_by == "cap":
        return Needed(kind="cap", because=because)
    if limited_by != "unknown":
        return Needed(kind="upstream", because=because)
    # Where the client is the limit more than it could send is not too much for the size.
    is_known = planner.verdict.name != "client_bound" and measured >= 1
    return Needed(kind="unknown", more_than=measured if is_known else None, because=because)


def _bare(planner: Planner, rate: float) -> Objective:
    return planner.objective.but(target_rate=min(rate, HIGHEST_RATE), growth=1.0, headroom=0.0)
