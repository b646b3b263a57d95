"""Forecast demand through the measured curve: connections needed, and when the size runs out.

    planner = Planner.of(sweep, objective)
    found = outlook(demand, planner, pool_size=14)

Demand is forecast, never the size: each week's lower, middle and upper demand is a target rate, and
what it needs is what a what-if answers. The forecast stands in the place of the objective's growth
and headroom, which are there for what it tells. Where a rate needs more connections than were
measured nothing is said: the curve is not drawn on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def needed(rates: Sequence[float]) -> tuple[Needed, ...]:
        return tuple(_seen(need(planner, max(rate, least)), rate) for rate in rates)

    def _seen(one: Needed, rate: float) -> Needed:
        if carried is None or rate > carried or one.is_enough(pool_size):
            return one
        return Needed(kind="connections", size=pool_size)

    lower, middle, upper = needed(found.lower), needed(found.middle), needed(found.upper)

    def crossing(begins: Callable[[Needed], bool]) -> Crossing:
        ends = [next((i for i, one in enumerate(e, 1) if begins(one)), None) for e in fan]
        return Crossing(first=ends[0], middle=ends[1], last=ends[2])

    fan = (upper, middle, lower)
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
    return planner.objective.but(target_rate=rate, growth=1.0, headroom=0.0)
