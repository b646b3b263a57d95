"""What if the rate grew, the upstream slowed down, a zone were lost? Answered from one sweep.

    planner = Planner.of(sweep, objective)             # fits the curve once
    answer = what_if(planner, Question(target_rate=900, hold_factor=1.5))
    table = grid(planner, rates=(500, 700, 900), hold_factors=(1.0, 1.5, 2.0))

Nothing is measured, so an answer costs some milliseconds and a panel may ask on every move of a
slider. It is the same search as that of a sizing; only load proves it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from poolkit import units
from poolkit.analysis import reasons
from poolkit.analysis.answer import Found, find, holds, reachable_rate
from poolkit.analysis.curve import points
from poolkit.analysis.knee import plateau
from poolkit.analysis.model import Fitted, fit_points
from poolkit.analysis.objective import Objective, lost_with_zone
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.response import p99 as response_p99
from poolkit.analysis.sensible import cannot_say, why_not
from poolkit.analysis.verdict import judge
from poolkit.analysis.why_none import why_none
from poolkit.records import LimitedBy, Plateau, Sweep, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """What is different from what was measured and asked; None, or a factor of 1: nothing.

    Attributes:
        target_rate: calls/s of the whole service, more than 0.
        growth: factor on the target rate, more than 0.
        hold_factor: every call takes so many times as long, and the plateau is as many times lower;
            more than 0, and above 1 for a slower upstream.
        replicas, workers: pools = replicas * workers.
        lost_replicas: replicas that may be lost at a time, 0 or more; more than there are leaves
            one of them.
        zones: one of so many zones, over which the replicas are spread, may be lost (2 or more).
        max_connections: connections of all pools together that the upstream has room for.
        wait_p99, response_p99: s, longest good p99 of the wait and of the response time.
        headroom: share of connections on top, 0 or more.
        pool_size: figures for this size of one pool in place of the smallest that will do.
    """

    target_rate: float | None = None
    growth: float | None = None
    hold_factor: float = 1.0
    replicas: int | None = None
    workers: int | None = None
    lost_replicas: int | None = None
    zones: int | None = None
    max_connections: int | None = None
    wait_p99: float | None = None
    response_p99: float | None = None
    headroom: float | None = None
    pool_size: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one pool needs, and what its callers meet; times in s, rates in calls/s.

    Attributes:
        size: the smallest size of one pool that meets what is asked, headroom included; None:
            there is none, or it cannot be said: `because` tells.
        headroom: connections of `size` that are headroom.
        pool_size: the size that the figures below belong to: the one asked about, else `size`;
            where there is neither, the largest that may be answered. None: no figures.
        meets: whether `pool_size` meets what is asked.
        connections: of all pools together at `pool_size`.
        pools, pools_left: with every replica up; in the case that decides, some lost.
        rate_per_pool: calls/s that one pool carries then.
        wait_p50, wait_p99, response_p99: None where the pool does not carry the rate.
        late: share of the calls (0 to 1) that wait longer than wait_p99; None: no wait is asked.
        hold_time, response_time: means.
        utilisation: share of the connections that are busy on average (0 to 1).
        is_extrapolated: whether the figures are of a size beyond those measured, up or down.
        plateau: throughput that no larger pool improves, at this hold factor; None: none was seen.
        plateau_margin: share of the plateau that the rate leaves free; below 0: out of reach.
        limited_by: what the size would have to give way on to be smaller, or what is in the way.
        reachable_rate: where out of reach, calls/s of the whole service that would do.
    """

    question: Question
    size: int | None
    because: str
    limited_by: LimitedBy
    pools: int
    pools_left: int
    rate_per_pool: float
    headroom: int = 0
    pool_size: int | None = None
    meets: bool = False
    connections: int | None = None
    wait_p50: float | None = None
    wait_p99: float | None = None
    response_p99: float | None = None
    late: float | None = None
    hold_time: float | None = None
    response_time: float | None = None
    utilisation: float | None = None
    is_extrapolated: bool = False
    plateau: float | None = None
    plateau_margin: float | None = None
    out_of_reach: bool = False
    reachable_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    """One sweep, fitted once, and what is asked by default.

    `upstream` is None where the curve makes no sense; `cannot` says why.
    """

    objective: Objective
    verdict: Verdict
    upstream: Fitted | None
    plateau: Plateau | None
    cannot: str | None = None

    @classmethod
    def of(cls, sweep: Sweep, objective: Objective) -> Planner:
        """Fit the sweep; no sweep is refused, one that makes no sense gives answers that say so."""
        measured = points(sweep.trials)
        cannot = why_not(sweep, measured)
        return cls(
            objective=objective,
            verdict=judge(sweep, measured),
            upstream=None if cannot else Fitted.of(sweep),
            plateau=None if cannot else plateau(fit_points(sweep)),
            cannot=cannot,
        )


def what_if(planner: Planner, question: Question) -> Answer:
    """The answer to one question; ValueError where it asks for what cannot be meant."""
    objective = asked(planner.objective, question)
    if planner.upstream is None:
        return Answer(
            question=question,
            size=None,
            because=cannot_say(planner.cannot or "nothing was measured", planner.verdict),
            limited_by="unknown",
            pools=objective.pools,
            pools_left=objective.pools_left,
            rate_per_pool=objective.rate_per_pool,
        )
    upstream = planner.upstream.slowed(question.hold_factor)
    found = find(upstream, objective)
    answer = _answer(planner, question, objective, upstream, found)
    at = question.pool_size or found.size or found.queue.most
    if not 1 <= at <= found.queue.most:
        return answer
    return _with_figures(answer, found, found.predictions[at - 1], upstream, objective)


def asked(objective: Objective, question: Question) -> Objective:
    """The objective with the question's changes; ValueError as `Objective` has it."""
    if not 0 < question.hold_factor < math.inf:
        raise ValueError(f"hold_factor must be more than 0 and finite, got {question.hold_factor}")
    if question.pool_size is not None and question.pool_size < 1:
        raise ValueError(f"pool_size must be 1 or more, got {question.pool_size}")
    if question.zones is not None and question.zones < 2:
        raise ValueError(f"zones must be 2 or more, got {question.zones}")
    changes = {name: value for name in _PLAIN if (value := getattr(question, name)) is not None}
    replicas = question.replicas or objective.replicas
    lost = objective.lost_replicas if question.lost_replicas is None else question.lost_replicas
    if question.zones is not None:
        lost = lost_with_zone(replicas, question.zones)
    # A fleet that a slider made smaller than its losses keeps one replica.
    changes["lost_replicas"] = None if lost is None else min(lost, replicas - 1)
    if question.max_connections is not None:
        changes |= {
            "max_size": question.max_connections,
            "max_connections": None,
            "reserved_connections": 0,
            "used_connections": 0,
        }
    return replace(objective, **changes)


_PLAIN = ("target_rate", "growth", "replicas", "workers", "wait_p99", "response_p99", "headroom")


def _answer(
    planner: Planner, question: Question, objective: Objective, upstream: Fitted, found: Found
) -> Answer:
    height = None if planner.plateau is None else planner.plateau.throughput / question.hold_factor
    decisive = found.queue.objective
    answer = Answer(
        question=question,
        size=found.size,
        because="",
        limited_by=reasons.limit(found),
        pools=objective.pools,
        pools_left=decisive.pools_left,
        rate_per_pool=decisive.rate_per_pool,
        headroom=found.headroom,
        plateau=height,
        plateau_margin=None if height is None else 1.0 - objective.rate / height,
    )
    if found.size is not None:
        return replace(answer, because=reasons.because(found, answer.limited_by))
    limited_by, out_of_reach, because = why_none(found, planner.verdict, upstream)
    return replace(
        answer,
        because=because,
        limited_by=limited_by,
        out_of_reach=out_of_reach,
        reachable_rate=reachable_rate(upstream, objective) if out_of_reach else None,
    )


def _with_figures(
    answer: Answer, found: Found, met: WaitPrediction, upstream: Fitted, objective: Objective
) -> Answer:
    """The answer with what callers meet at one size."""
    queue = found.queue
    limit = queue.objective.wait_p99
    pool_size = met.pool_size
    told = reasons.extrapolated(queue, pool_size)
    because = answer.because
    if told and pool_size != found.size:
        because += f"; the figures are those of {units.plural(pool_size, 'connection')}: {told}"
    return replace(
        answer,
        because=because,
        is_extrapolated=queue.is_extrapolated(pool_size),
        pool_size=pool_size,
        meets=pool_size >= objective.floor and holds(upstream, objective, pool_size),
        connections=pool_size * answer.pools,
        wait_p50=wait_exceeded_by(met, 0.5),
        wait_p99=wait_exceeded_by(met, 0.01),
        response_p99=response_p99(met, queue.holds, queue.curve.pools),
        late=None if limit is None else met.exceedance(limit),
        hold_time=met.hold_time,
        response_time=met.response_time,
        utilisation=met.utilisation,
    )


def wait_exceeded_by(met: WaitPrediction, share: float) -> float | None:
    """The wait (s) that this share (0 to 1) of the calls exceeds; None: the rate is not carried."""
    if not met.is_stable:
        return None
    if met.exceedance(0.0) <= share:
        return 0.0
    low, high = 0.0, 1e-3
    while met.exceedance(high) > share:
        low, high = high, 2.0 * high
    for _ in range(30):
        middle = (low + high) / 2.0
        low, high = (middle, high) if met.exceedance(middle) > share else (low, middle)
    return high


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
    base = question or Question()
    return Grid(
        rates=tuple(rates),
        hold_factors=tuple(hold_factors),
        answers=tuple(
            tuple(
                what_if(planner, replace(base, target_rate=rate, hold_factor=factor))
                for factor in hold_factors
            )
            for rate in rates
        ),
    )
