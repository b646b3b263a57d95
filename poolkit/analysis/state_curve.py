"""Throughput over connections in use, as open-loop trials saw it, made fit for the queue.

While a trial runs the number of connections in use wanders, and its time and releases in each
state give X(n) = C(n) / T(n) (see `states`). Those are the very rates of the chain that `queueing`
solves, and an open loop at the target rate sees just the states that matter at that rate. What
they lack is length: the states that decide are the rare ones. So neighbours are pooled, and each X
is lowered by part of its own standard error: sampled on 82 simulated upstreams of fourteen kinds, 12
s of load each, that moved the sizes below the need from 26 % of the cases to 16 % and left 65 %
right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poolkit.analysis.curve import ENOUGH_SERVED, Curve, Floats
from poolkit.analysis.noise import LEAST_ERROR
from poolkit.records import StatePoint, Trial

NEIGHBOURS = 0.12  # of n: states closer than this are pooled
FEWEST_RELEASES = 5  # of a group of states
# Releases follow each other, so so many are worth one independent look.
DESIGN = 2.0
AROUND = 0.25  # of n: the releases of these states stand behind the error of a group
MOST_LOWERED = 0.3  # of a throughput
CAUTION = 0.6  # standard errors by which each throughput is lowered
HELD = 1.25  # throughput is taken to stay up to so many times the most connections seen in use
# Checks whose failure leaves T(n) and C(n) as true as they were: what they doubt is one mean.
_HARMLESS = frozenset({"steady", "enough", "fair"})


def tells_states(trial: Trial) -> bool:
    """Whether an open-loop trial tells of the upstream in each of its states."""
    answered = sum(trial.outcomes.values()) - trial.outcomes.get("unfinished", 0)
    return (
        trial.loop == "open"
        and trial.stopped is None
        and bool(trial.in_use)
        and {check.name for check in trial.failed_checks} <= _HARMLESS
        and trial.outcomes.get("ok", 0) >= ENOUGH_SERVED * max(answered, 1)
    )


def open_loops(trials: Sequence[Trial]) -> list[Trial]:
    """Those of the trials that tell of the upstream in each of its states."""
    return [trial for trial in trials if tells_states(trial)]


def strained(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the climb to the target rate that ended early; None: it got there.

    A climb is cut short for one reason: calls in use kept growing, or were held far longer than
    at a light load.
    """
    return next((trial for trial in trials if trial.cut_short is not None), None)


def grouped(states: Sequence[StatePoint], dispersion: float) -> tuple[Floats, Floats, Floats]:
    """Connections in use, X (calls/s) and its relative standard error, neighbours pooled.

    `states` are in order, 1 connection and more. `dispersion` of the times between releases, 1 for
    a Poisson stream: releases from a state are as random as holds are.
    """
    groups: list[list[StatePoint]] = []
    for state in states:
        if groups and state.in_use < groups[-1][0].in_use + max(
            1, round(NEIGHBOURS * groups[-1][0].in_use)
        ):
            groups[-1].append(state)
        else:
            groups.append([state])
    rows = []
    for group in groups:
        seconds, releases = sum(s.seconds for s in group), sum(s.releases for s in group)
        if releases >= FEWEST_RELEASES and seconds > 0:
            middle = round(sum(s.in_use * s.seconds for s in group) / seconds)
            rows.append((middle, releases / seconds, releases))
    sizes, rates, releases = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return sizes, rates, np.maximum(np.sqrt(DESIGN * dispersion / releases), LEAST_ERROR)


def fit(states: Sequence[StatePoint], dispersion: float) -> Curve:
    """The curve through the states seen (one group at least), lowered by `CAUTION`."""
    sizes, rates, errors = grouped(states, dispersion)
    # What a group alone does not know its neighbours do: the curve is smooth.
    weights = errors**-2.0
    around = np.abs(sizes[:, None] - sizes) <= AROUND * sizes[:, None]
    shared = (around @ weights) ** -0.5
    lowered = rates * (1.0 - np.minimum(CAUTION * shared, MOST_LOWERED))
    curve = Curve.through(sizes, lowered, errors)
    return curve.held_flat(int(HELD * curve.measured) + 1)
