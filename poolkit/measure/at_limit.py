"""Trials that a limit of the server ended: what is kept of them, and what is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

from poolkit.analysis.limits import is_at_limit
from poolkit.load.generator import Plan
from poolkit.load.measurement import Measurement, Samples, Segment
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Trial

SECONDS = 0.1  # that are taken for a trial in which the pool did not open


def whole(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that count on: whole ones, and those that a limit of the server stopped.

    One that another brake ended is measured again: the endpoint may be well by now. Not a cold
    start whose dials a server turned away that went on to answer: that is what it was to show.
    """
    kept: list[Trial] = []
    for trial in trials:
        is_storm = trial.cold is not None and trial.stopped in ("rejected", "error_share")
        if trial.stopped is None or is_storm or is_at_limit(trial, kept):
            kept.append(trial)
    return kept


def refused_at_open(plan: TrialPlan, load: Plan) -> Measurement:
    """The measurement of a pool that did not open, since the server had no room for all of it."""
    nothing = np.zeros(0)
    segment = Segment()
    segment.outcomes["rejected"] = 1
    segment.error_kinds = Counter({"too_many_connections": 1})
    return Measurement(
        loop=load.loop,
        pool_size=plan.pool_size,
        callers=plan.callers,
        arrival_rate=plan.rate,
        seed=load.seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        warm_up=0.0,
        seconds=SECONDS,
        segment_seconds=SECONDS,
        segments=(segment,),
        bin_seconds=SECONDS,
        completions=np.zeros(1, dtype=np.int64),
        samples=Samples(*[nothing] * len(Samples._fields)),
        stopped="rejected",
    )
