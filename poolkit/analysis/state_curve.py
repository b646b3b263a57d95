"""Throughput over connections in use, as open-loop trials saw it, made fit for the queue.

While a trial runs the number of connections in use wanders, and its time and releases in each
state give X(n) = C(n) / T(n) (see `states`). Those are the very rates of the chain that `queueing`
solves, and an open loop at the target rate sees just the states that matter at that rate. What it
lacks is length: the states that decide are the rare ones. So neighbours are pooled, and each X is
lowered by part of its own standard error: on 82 simulated upstreams of fourteen kinds, 12 s of load
each, that took the sizes below the need from 26 % of the cases to 16 % and left 65 % right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from poolkit.analysis.curve import ENOUGH_SERVED, Curve, Floats, as_arrays
from poolkit.analysis.limits import answered
from poolkit.analysis.noise import LEAST_ERROR
from poolkit.records import CurvePoint, Sizing, StatePoint, Trial

NEIGHBOURS = 0.12  # of n: states closer than this are pooled
FEWEST_RELEASES = 5  # of a group of states
# Releases follow each other, so so many are worth one independent look.
DESIGN = 2.0
AROUND = 0.25  # of n: the releases of these states stand behind the error of a group
MOST_LOWERED = 0.3  # of a throughput
CAUTION = 0.6  # standard errors by which each throughput is lowered
HELD = 1.5  # throughput is taken to stay up to so many times the most connections seen in use
# Checks whose failure leaves T(n) and C(n) as true as they were: what they doubt is one mean.
_HARMLESS = frozenset({"steady", "enough", "fair", "lag"})
# A failure of these says that it was this machine that was slow.
OF_THE_CLIENT = frozenset({"lag", "client_bound", "machine_quiet"})
MOST_CUT_SHORT = 2  # trials at one rate, before a strain that this machine may have made counts


def tells_states(trial: Trial) -> bool:
    """Whether an open-loop trial tells of the upstream in each of its states."""
    # Calls that were turned away are known by state, so the others tell as much as ever.
    tried = answered(trial) - trial.outcomes.get("rejected", 0)
    return (
        trial.loop == "open"
        # Of calls that begin together the most are in use while none ends.
        and trial.purpose != "limit"
        and trial.stopped in (None, "rejected")
        and bool(trial.in_use)
        and {check.name for check in trial.failed_checks} <= _HARMLESS
        and trial.outcomes.get("ok", 0) >= ENOUGH_SERVED * max(tried, 1)
    )


def open_loops(trials: Sequence[Trial]) -> list[Trial]:
    """Those of the trials that tell of the upstream in each of its states."""
    return [trial for trial in trials if tells_states(trial)]


def strained(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the climb to the target rate that ended early; None: it got there.

    A climb is cut short for one reason: calls in use kept growing, or were held far longer than
    at a light load.
    """
    for trial in trials:
        if trial.cut_short is None:
            continue
        same = [t for t in trials if t.cut_short and t.arrival_rate == trial.arrival_rate]
        is_doubtful = any(check.name in OF_THE_CLIENT for check in trial.failed_checks)
        if not is_doubtful or len(same) >= MOST_CUT_SHORT:
            return trial
    return None


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
        seconds, calls = sum(s.seconds for s in group), sum(s.releases for s in group)
        if calls >= FEWEST_RELEASES and seconds > 0:
            middle = round(sum(s.in_use * s.seconds for s in group) / seconds)
            rows.append((middle, calls / seconds, calls))
    sizes, rates, releases = np.array(rows, dtype=float).reshape(-1, 3).T
    return sizes, rates, np.maximum(np.sqrt(DESIGN * dispersion / releases), LEAST_ERROR)


def fit(states: Sequence[StatePoint], dispersion: float, caution: float = CAUTION) -> Curve:
    """The curve through the states seen (one group at least), lowered by `caution` errors."""
    sizes, rates, errors = _lowered(states, dispersion, caution)
    # The caution is in the curve: no error is left to be cautious of.
    curve = replace(Curve.through(sizes, rates, errors), error=0.0)
    return curve.held_flat(held(curve.measured))


def held(measured: int) -> int:
    """The most connections to which the throughput of so many in use is taken to stay."""
    return int(HELD * measured) + 1


def joint_curve(
    points: Sequence[CurvePoint], states: Sequence[StatePoint], dispersion: float, caution: float
) -> Curve:
    """One curve from closed loops by size and from open loops by state, each by what it knows."""
    by_size = as_arrays(points)
    by_state = _lowered(states, dispersion, caution)
    sizes, rates, errors = (np.concatenate(pair) for pair in zip(by_size, by_state, strict=True))
    known, place = np.unique(sizes, return_inverse=True)
    weights = (rates * errors) ** -2.0
    total = np.bincount(place, weights)
    mean = np.bincount(place, weights * rates) / total
    curve = Curve.through(known, mean, total**-0.5 / mean, points[0].hold_time)
    # How well the plateau is known: only closed loops go there.
    return replace(curve, error=Curve.fit(points).error)


def _lowered(
    states: Sequence[StatePoint], dispersion: float, caution: float
) -> tuple[Floats, Floats, Floats]:
    """The groups of states, each X lowered by `caution` standard errors."""
    sizes, rates, errors = grouped(states, dispersion)
    # What a group alone does not know its neighbours do: the curve is smooth.
    around = np.abs(sizes[:, None] - sizes) <= AROUND * sizes[:, None]
    shared = (around @ errors**-2.0) ** -0.5
    return sizes, rates * (1.0 - np.minimum(caution * shared, MOST_LOWERED)), errors


def curve_of(sizing: Sizing) -> Curve:
    """The curve of a sizing's closed loops, or without two sizes of them of its open ones."""
    if len(sizing.points) > 1 or not sizing.states:
        return Curve.fit(sizing.points)
    return fit(sizing.states, sizing.dispersion or 1.0)
