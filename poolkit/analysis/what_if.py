"""What one pool needs as things are, and what if the rate grew, the upstream slowed down, a zone
were lost? Answered from one sweep.

    planner = Planner.of(sweep, objective)             # fits the curve once
    answer = what_if(planner, Question(target_rate=900, hold_factor=1.5))
    table = grid(planner, rates=(500, 700, 900), hold_factors=(1.0, 1.5, 2.0))

Nothing is measured, so an answer costs some milliseconds and a panel may ask on every move of a
slider. A sizing is the answer to the question with nothing changed; only load proves either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from poolkit import units
from poolkit.analysis import reasons
from poolkit.analysis.curve import points
from poolkit.analysis.disturbed import AGAIN_WHEN_QUIET, was_disturbed
from poolkit.analysis.knee import plateau
from poolkit.analysis.model import Fitted
from poolkit.analysis.response import p99 as response_p99
from poolkit.analysis.smallest import Found, at_limit, find, reachable_rate
from poolkit.analysis.verdict import cannot_say, judge, why_not
from poolkit.analysis.why_none import MORE, why_none
from poolkit.records import CurvePoint, LimitedBy, Plateau, Sweep, Verdict
from poolkit.targets.objective import Objective, lost_with_zone
from poolkit.targets.words import rule

Question = dict[str, float | int | None]
"""What is different from what was measured and asked; nothing where empty, or where None.

Any key of `Objective`, by name, such as target_rate or replicas; three mean more than the key:

lost_replicas: more than there are leaves one of them.
zones: in place of lost_replicas.
max_connections: connections of all pools together that the upstream has room for.

And two that are no keys:

hold_factor: every call takes so many times as long, and the plateau is as many times lower; more
    than 0, and above 1 for a slower upstream.
pool_size: figures for this size of one pool (1 or more) in place of the smallest that will do.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one pool needs, and what its callers meet; times in s, rates in calls/s.

    The figures from `pool_size` on are those of one size: the one asked about, else `size`; where
    there is neither, the largest that may be answered. Without any they are None.
    """

    question: Question  # the changes asked about
    objective: Objective  # all that is asked
    size: int | None  # smallest that meets it, headroom included; None: `because` tells why
    because: str
    limited_by: LimitedBy  # what stands in the way of a smaller size, or of any
    pools: int  # with every replica up
    pools_left: int  # in the case that decides, some lost
    rate_per_pool: float  # that one pool carries then
    headroom: int = 0  # connections of `size` that are headroom
    plateau: float | None = None  # at this hold factor; None: none was seen
    plateau_margin: float | None = None  # share of it that the rate leaves free; below 0: too much
    out_of_reach: bool = False
    reachable_rate: float | None = None  # of the whole service, where out of reach
    # The size for that rate, where the server turns more calls away; None elsewhere.
    size_for_reachable: int | None = None
    pool_size: int | None = None
    meets: bool = False  # whether `pool_size` meets what is asked
    connections: int | None = None  # of all pools together
    wait_p50: float | None = None  # this and the other times: None where the rate is not carried
    wait_p99: float | None = None
    response_p99: float | None = None
    late: float | None = None  # share of calls that wait longer than asked; None: no wait is asked
    hold_time: float | None = None  # mean
    response_time: float | None = None  # mean
    utilisation: float | None = None  # share of the connections that are busy on average
    is_extrapolated: bool = False  # whether the figures are of a size beyond those measured
    # What the search came to; None: there was none, as the curve makes no sense.
    found: Found | None = field(default=None, repr=False, compare=False)

    @property
    def smallest_as_fast(self) -> int | None:
        """The smallest size with which callers are served as soon; None where not smaller."""
        return None if self.found is None else self.found.as_fast


@dataclass(frozen=True, slots=True)
class Planner:
    """One sweep, fitted once, and what is asked by default."""

    objective: Objective
    verdict: Verdict
    # Those that a size may be read off; where the curve makes no sense all that passed.
    points: tuple[CurvePoint, ...]
    upstream: Fitted | None = None  # None where the curve makes no sense; `cannot` says why
    plateau: Plateau | None = None
    cannot: str = ""
    more: str = MORE  # what would let a sweep like this one reach larger sizes

    @classmethod
    def of(cls, sweep: Sweep, objective: Objective) -> Planner:
        """Fit the sweep; no sweep is refused, one that makes no sense gives answers that say so."""
        if told := tuple(t for t in sweep.trials if t.purpose == "production"):
            # A verification of what production told is no part of it.
            sweep = sweep.model_copy(update={"trials": told})
        measured = points(sweep.trials)
        verdict, cannot = judge(sweep, measured), why_not(sweep, measured)
        if cannot is not None:
            return cls(objective, verdict, measured, cannot=cannot)
        upstream = Fitted.of(sweep)
        if not told and upstream.ending == "seen" and find(upstream, objective).size is None:
            # Nothing holds with the caution that few calls deserve: as they were then, and a trial
            # at the target rate tells.
            upstream = Fitted.of(sweep, caution=0.0)
        height = plateau(upstream.points) if upstream.points else None
        more = AGAIN_WHEN_QUIET if was_disturbed(sweep.trials) else MORE
        if sweep.stopped is not None:
            more = "the measurement was stopped there"
        return cls(objective, verdict, upstream.points, upstream, height, more=more)


def what_if(planner: Planner, question: Question) -> Answer:
    """The answer to one question; ValueError where it asks for what cannot be meant."""
    plain = answer(planner, question)
    found, pool_size = plain.found, question.get("pool_size")
    if found is None:
        return plain
    at = int(pool_size or found.size or found.queue.most)
    return _with_figures(plain, found, at) if 1 <= at <= found.queue.most else plain


def answer(planner: Planner, question: Question) -> Answer:
    """The same without the figures of a size."""
    objective, factor = asked(planner.objective, question)
    plain = Answer(
        question=question,
        objective=objective,
        size=None,
        because=cannot_say(planner.cannot, planner.verdict),
        limited_by="unknown",
        pools=objective.pools,
        pools_left=objective.pools_left,
        rate_per_pool=objective.rate_per_pool,
    )
    if planner.upstream is None:
        return plain
    height = None if planner.plateau is None else planner.plateau.throughput / factor
    found = at_limit(find(planner.upstream.slowed(factor), objective))
    if found.size is not None:
        limited_by, because = reasons.why(found)
    else:
        limited_by, because = why_none(found, planner.verdict, height, planner.more)
    out_of_reach = found.size is None and limited_by != "unknown"
    reachable = reachable_rate(found.upstream, objective) if out_of_reach else None
    instead = None
    if reachable is not None and planner.verdict.name in ("rate_limited", "refused"):
        instead = find(found.upstream, objective.but(target_rate=reachable)).size
        because += (
            f"; within reach is at most {units.rate(reachable)}, with "
            f"{units.plural(instead, 'connection')}"
            if instead is not None
            else ""
        )
    return replace(
        plain,
        size=found.size,
        because=because,
        limited_by=limited_by,
        pools_left=found.queue.objective.pools_left,
        rate_per_pool=found.queue.objective.rate_per_pool,
        headroom=found.headroom,
        plateau=height,
        plateau_margin=None if height is None else 1.0 - objective.rate / height,
        out_of_reach=out_of_reach,
        reachable_rate=reachable,
        size_for_reachable=instead,
        found=found,
    )


def asked(objective: Objective, question: Question) -> tuple[Objective, float]:
    """The objective with the question's changes, and the hold factor.

    Raises:
        ValueError: a value cannot be meant, or there is no such thing to ask for.
    """
    changes: dict[str, Any] = {key: value for key, value in question.items() if value is not None}
    factor, pool_size = changes.pop("hold_factor", 1.0), changes.pop("pool_size", None)
    if not 0 < factor < math.inf:
        raise ValueError(f"hold_factor must be more than 0 and finite, got {factor}")
    if pool_size is not None and pool_size < 1:
        raise ValueError(f"pool_size must be 1 or more, got {pool_size}")
    changes["lost_replicas"] = _lost(objective, changes)
    changes["zones"] = None
    if "max_connections" in changes:
        room = changes["max_size"] = changes["max_connections"]
        # More replicas than usual share the room of a server, not max_size.
        room = room if changes.get("surge", objective.surge) else None
        changes |= {"max_connections": room, "reserved_connections": 0, "used_connections": 0}
    whole = {name: getattr(objective, name) for name in Objective.model_fields}
    try:
        changed = Objective.model_validate(whole | changes)
    except ValidationError as error:
        raise ValueError("; ".join(map(_in_words, error.errors()))) from error
    return changed, factor


def _lost(objective: Objective, changes: Mapping[str, Any]) -> int | None:
    """Replicas that may be lost; a fleet made smaller than its losses keeps one replica."""
    replicas, zones = changes.get("replicas") or objective.replicas, changes.get("zones")
    unchanged = objective.lost_replicas if objective.zones is None else objective.lost
    lost = changes.get("lost_replicas", unchanged)
    if zones is not None:
        if zones < 2:
            raise ValueError(f"zones must be 2 or more, got {zones}")
        lost = lost_with_zone(replicas, zones)
    return None if lost is None else min(lost, replicas - 1)


def _in_words(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{name} is nothing that can be asked for"
    broken = rule(error["type"], error.get("ctx", {}), error["msg"], ())
    return f"{name} {broken}, got {error['input']}" if name else broken


def _with_figures(answer: Answer, found: Found, pool_size: int) -> Answer:
    """The answer with what callers meet at one size."""
    queue, objective, met = found.queue, answer.objective, found.predictions[pool_size - 1]
    limit = queue.objective.wait_p99
    rests_on, because = reasons.extrapolated(queue, pool_size), answer.because
    if rests_on and pool_size != found.size:
        size = units.plural(pool_size, "connection")
        because += f"; the figures are those of {size}: {rests_on}"
    return replace(
        answer,
        because=because,
        is_extrapolated=queue.is_extrapolated(pool_size),
        pool_size=pool_size,
        meets=pool_size >= objective.floor and found.holds(pool_size),
        connections=pool_size * answer.pools,
        wait_p50=met.wait_exceeded_by(0.5),
        wait_p99=met.wait_p99,
        response_p99=response_p99(met, queue.holds, queue.curve.pools),
        late=None if limit is None else met.exceedance(limit),
        hold_time=met.hold_time,
        response_time=met.response_time,
        utilisation=met.utilisation,
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """Answers over target rates (rows, calls/s) and hold factors (columns)."""

    rates: tuple[float, ...]
    hold_factors: tuple[float, ...]
    answers: tuple[tuple[Answer, ...], ...]

    @property
    def sizes(self) -> tuple[tuple[int | None, ...], ...]:
        """The sizes alone, row by row; None where there is none."""
        return tuple(tuple(answer.size for answer in row) for row in self.answers)


def grid(
    planner: Planner,
    rates: Sequence[float],
    hold_factors: Sequence[float] = (1.0, 1.25, 1.5, 2.0),
    question: Question | None = None,
) -> Grid:
    """The question (all as it is, where None) for each of these target rates and hold factors."""
    rows = [
        [
            {**(question or {}), "target_rate": rate, "hold_factor": factor}
            for factor in hold_factors
        ]
        for rate in rates
    ]
    answers = tuple(tuple(what_if(planner, one) for one in row) for row in rows)
    return Grid(tuple(rates), tuple(hold_factors), answers)
