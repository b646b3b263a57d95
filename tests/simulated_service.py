"""Verification in virtual time: open-loop trials of simulated upstreams, and whole searches."""

from __future__ import annotations

import math

import numpy as np

from poolkit.histogram import Histogram
from poolkit.load.measurement import Measurement, Samples, Segment
from poolkit.measure import verify
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Sizing, Trial
from poolkit.targets.objective import Objective
from tests.analysis import simulate
from tests.analysis.synthetic import drawn_trial

SEGMENTS = 60
BUDGET = 25.0  # s of load that a sizing has left for its verification


def open_trial(
    upstream: simulate.Upstream, plan: TrialPlan, wait_target: float | None, seed: int
) -> Trial:
    """What one open-loop trial of the plan shows: its calls simulated one by one."""
    assert plan.rate is not None
    rng = np.random.default_rng(seed)
    rate = plan.rate / plan.pools
    arrived = np.sort(rng.uniform(0.0, plan.seconds, round(rate * plan.seconds)))
    calls = upstream.serve(arrived, plan.pool_size, rng)
    width = (plan.seconds - plan.warm_up) / SEGMENTS
    segments = []
    for index in range(SEGMENTS):
        begin = plan.warm_up + index * width
        inside = (arrived >= begin) & (arrived < begin + width)
        segment = Segment()
        segment.wait.add(calls.waits[inside])
        segments.append(segment)
    waits, responses, counted = Histogram(), Histogram(), arrived >= plan.warm_up
    waits.add(calls.waits[counted])
    responses.add((calls.released - arrived)[counted])
    nothing = np.zeros(0)
    measurement = Measurement(
        loop="open",
        pool_size=plan.pool_size,
        callers=None,
        arrival_rate=plan.rate,
        seed=seed,
        started="2026-01-02T03:04:05+00:00",
        warm_up=0.0,
        seconds=SEGMENTS * width,
        segment_seconds=width,
        segments=tuple(segments),
        bin_seconds=width,
        completions=np.zeros(SEGMENTS, dtype=np.int64),
        samples=Samples(nothing, nothing, nothing, nothing, nothing, nothing),
    )
    shown = drawn_trial(
        plan.pool_size,
        plan.rate,
        hold=float(calls.holds.mean()),
        window=SEGMENTS * width,
        purpose=plan.purpose,
    )
    return shown.model_copy(
        update={
            "loop": "open",
            "arrival_rate": plan.rate,
            "warm_up": plan.warm_up,
            "wait_time": waits.distribution(),
            "response_time": responses.distribution(),
            "late_interval95": verify.late_interval(measurement, wait_target),
        }
    )


def verified(
    upstream: simulate.Upstream,
    objective: Objective,
    sizing: Sizing,
    *,
    seed: int,
    budget: float = BUDGET,
    gate: bool = True,
) -> tuple[int, list[Trial], float]:
    """The size after verification, the trials at the target rate, and the seconds of load spent."""
    trials: list[Trial] = []
    spent = 0.0
    while True:
        plan = verify.next_trial(trials, objective, sizing, left=budget - spent, gate=gate)
        if plan is None or plan.purpose != "verify":
            break
        assert len(trials) < 50
        trials.append(open_trial(upstream, plan, objective.wait_p99, seed * 100 + len(trials)))
        spent += plan.seconds
    return verify.chosen_size(trials, objective, sizing), trials, spent


def share_of_passes(
    upstream: simulate.Upstream,
    objective: Objective,
    pool_size: int,
    *,
    trials: int = 60,
    seconds: float = 10.0,
    seed: int = 7,
) -> float:
    """In how many trials of so many seconds (0 to 1) a size meets the objective."""
    assert objective.wait_p99 is not None
    count = math.ceil(objective.rate * seconds)
    calls = simulate.open_loop(upstream, objective.rate, pool_size, count * (trials + 1), seed)
    late = (calls.waits[count:] > objective.wait_p99).reshape(trials, count).mean(axis=1)
    return float((late <= objective.allowance).mean())
