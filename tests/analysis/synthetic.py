"""Trials of upstreams whose truth is known: simulated call by call, or drawn around a curve.

`simulated_trial` goes through the real recorder and summary, so it carries the same estimates that
a real trial would; `drawn_trial` is a shortcut for tests that only need a curve with noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from poolkit.analysis.noise import EARLY_BATCH_HOLDS, rate_interval
from poolkit.analysis.summary import summarise
from poolkit.histogram import Histogram
from poolkit.load.measurement import Floats, Measurement, Samples
from poolkit.load.recorder import OK, Recorder
from poolkit.load.stamps import CallStamps
from poolkit.measure.approach import Strain
from poolkit.measure.sweep import TrialPlan
from poolkit.measure.verify import late_interval
from poolkit.records import Check, Distribution, Outcome, Purpose, Sweep, Trial
from tests.analysis.simulate import Calls, Upstream

STARTED = "2026-01-02T03:04:05+00:00"
EMPTY = Distribution(count=0)
NARROW = 0.02  # half width of the throughput's interval at which a real trial ends early
STAGGER = 0.05  # s over which callers start
LOOK = 0.25  # s between two looks at it


def closed_calls(upstream: Upstream, callers: int, seconds: float, seed: int) -> Calls:
    """Everything that `callers` callers do within `seconds` s."""
    rng = np.random.default_rng([seed, callers])
    count = 64 * callers
    while True:
        # Callers that start as one would stay in step for ever where service times do not vary.
        starts = np.sort(rng.uniform(0.0, STAGGER, callers))
        arrivals = np.concatenate((starts, np.full(count - callers, starts[-1])))
        calls = upstream.serve(arrivals, callers, rng)
        if calls.acquired[-1] > seconds:
            inside = calls.acquired <= seconds
            return Calls(calls.acquired[inside], calls.acquired[inside], calls.released[inside])
        passed = max(float(calls.acquired[-1]), seconds / 64)
        count = math.ceil(count * 1.3 * seconds / passed)


def simulated_trial(
    upstream: Upstream,
    callers: int,
    *,
    warm_up: float = 0.25,
    seconds: float = 1.45,
    seed: int = 1,
    purpose: Purpose = "ramp",
    ends_early: bool = False,
) -> Trial:
    """The record of a closed-loop trial; it may end early as real trials do."""
    calls = closed_calls(upstream, callers, seconds, seed)
    recorder = recorded(calls, seconds, callers)
    end = _end(recorder, warm_up, seconds) if ends_early else seconds
    measurement = _measured(
        recorder,
        calls,
        end,
        loop="closed",
        pool_size=callers,
        callers=callers,
        arrival_rate=None,
        seed=seed,
        warm_up=warm_up,
    )
    return summarise(
        measurement, target="simulated", driver="memory", fingerprint="none", purpose=purpose
    )


def simulated_open_trial(
    upstream: Upstream,
    plan: TrialPlan,
    seed: int,
    wait_target: float | None,
    light: float | None = None,
) -> Trial:
    """The record of an open-loop trial as planned, of one pool of those planned.

    It arrives at its share of the rate. `light`: for a step of the climb, which ends early as a
    real one does (see `Strain`).
    """
    assert plan.rate is not None
    rng = np.random.default_rng(seed)
    rate = plan.rate / plan.pools
    arrived = np.sort(rng.uniform(0.0, plan.seconds, round(rate * plan.seconds)))
    calls = upstream.serve(arrived, plan.pool_size, rng)
    inside = calls.released <= plan.seconds
    calls = Calls(calls.arrived[inside], calls.acquired[inside], calls.released[inside])
    recorder = recorded(calls, plan.seconds, plan.pool_size)
    strain, end = Strain(plan, light), plan.seconds
    if plan.purpose == "approach":
        looks = np.arange(plan.warm_up + LOOK, plan.seconds, LOOK)
        end = next((at for at in looks.tolist() if strain(recorder, at)), end)
    measurement = _measured(
        recorder,
        calls,
        end,
        loop="open",
        pool_size=plan.pool_size,
        callers=None,
        arrival_rate=plan.rate,
        seed=seed,
        warm_up=plan.warm_up,
    )
    trial = summarise(
        measurement, target="simulated", driver="memory", fingerprint="none", purpose=plan.purpose
    )
    late = late_interval(measurement, wait_target)
    return trial.model_copy(update={"late_interval95": late, "cut_short": strain.seen})


def recorded(calls: Calls, seconds: float, connections: int) -> Recorder:
    """The real recorder, fed with these calls in the order in which they end."""
    segment = seconds / max(10, min(60, round(seconds / 0.1)))
    order = np.argsort(calls.released, kind="stable")

    def under_way() -> Floats:
        left = calls.arrived[order[recorder.finished :]]
        return left[left <= calls.released[order[recorder.finished - 1]]]

    bins = max(1, round(segment / 0.005))
    recorder = Recorder(
        seconds, segment, segment / bins, under_way=under_way, connections=connections
    )
    stamps = CallStamps(lambda: 0.0, 0.0)
    for at in order:
        due = float(calls.arrived[at])
        stamps.acquired_at = float(calls.acquired[at])
        recorder.add(due, due, stamps, float(calls.released[at]), OK)
    recorder.finish()
    return recorder


def _measured(recorder: Recorder, calls: Calls, end: float, **run: Any) -> Measurement:
    """What the recorder holds up to `end` s, with samples of the calls in the system."""
    segment = recorder.segment_seconds
    whole = max(1, int(end / segment + 1e-9))
    bins = min(recorder.completions.size, round(whole * segment / recorder.bin_seconds))
    at = np.arange(0.0, whole * segment + 0.01, 0.02)
    flat = np.zeros_like(at)
    # Call-seconds in the system so far: of those that have come less of those that have gone.
    area = _passed(np.sort(calls.arrived), at) - _passed(np.sort(calls.released), at)
    return Measurement(
        started=STARTED,
        seconds=whole * segment,
        segment_seconds=segment,
        segments=tuple(recorder.segments[:whole]),
        bin_seconds=recorder.bin_seconds,
        completions=recorder.completions[:bins],
        samples=Samples(
            at,
            area,
            at * 0.3,
            flat + 1e-4,
            flat + float(run["pool_size"]),
            flat,
            *[flat * np.nan] * 4,
        ),
        **run,
    )


def _passed(moments: Floats, at: Floats) -> Floats:
    """The seconds that have passed since those of the moments (s, ascending) that are over."""
    count = np.searchsorted(moments, at)
    return np.asarray(count * at - np.concatenate(([0.0], np.cumsum(moments)))[count])


def _end(recorder: Recorder, warm_up: float, seconds: float) -> float:
    """When a trial that ends as soon as its throughput is known well enough ends (s)."""
    at = warm_up + 0.6 * (seconds - warm_up)
    while at < seconds:
        bins = int(at / recorder.bin_seconds)
        first = min(bins, int(warm_up / recorder.bin_seconds))
        completions = recorder.completions[first:bins].astype(float)
        holds = sum(segment.hold.total for segment in recorder.segments)
        calls = sum(segment.hold.count for segment in recorder.segments)
        batch = EARLY_BATCH_HOLDS * holds / max(calls, 1)
        interval = rate_interval(completions, recorder.bin_seconds, batch)
        if interval is not None:
            middle = (interval[0] + interval[1]) / 2
            if middle > 0 and (interval[1] - interval[0]) / 2 <= NARROW * middle:
                return at
        at += LOOK
    return seconds


def distribution(mean: float, cv: float = 0.5, count: int = 400, seed: int = 1) -> Distribution:
    """Lognormal times (s) of this mean, folded as a trial folds them."""
    histogram = Histogram()
    variance = math.log1p(cv * cv)
    rng = np.random.default_rng(seed)
    times = rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), count)
    histogram.add(times * mean / times.mean())
    return histogram.distribution()


def drawn_trial(
    size: int,
    throughput: float,
    *,
    hold: float | None = None,
    window: float = 1.2,
    dispersion: float | None = 0.5,
    noise: np.random.Generator | None = None,
    checks: Sequence[Check] = (),
    outcomes: dict[Outcome, int] | None = None,
    **changes: Any,
) -> Trial:
    """A closed-loop trial at `size` connections around a true throughput (calls/s).

    With `noise`, completions vary as a stream of this dispersion does: variance = dispersion *
    mean.
    """
    spread = 0.0
    if throughput > 0:
        spread = math.sqrt((0.5 if dispersion is None else dispersion) * throughput / window)
    seen = throughput if noise is None else float(noise.normal(throughput, spread))
    seen = max(seen, 0.0)
    mean = hold if hold is not None else (size / seen if seen else None)
    calls = round(seen * window)
    return Trial(
        target="drawn",
        driver="memory",
        fingerprint="none",
        loop="closed",
        pool_size=size,
        callers=size,
        seed=1,
        started=STARTED,
        warm_up=0.25,
        window=window,
        outcomes={"ok": calls} if outcomes is None else outcomes,
        throughput=seen,
        throughput_interval95=(seen - 2.1 * spread, seen + 2.1 * spread),
        response_time=EMPTY,
        wait_time=EMPTY,
        hold_time=distribution(mean, count=max(20, calls))
        if mean
        else Distribution(count=calls, mean=0.0, p50=0.0),
        lag=EMPTY,
        concurrency=float(size),
        utilisation=1.0,
        connections_opened=0,
        disconnects=0,
        reuse_ratio=1.0,
        dispersion=dispersion,
        checks=tuple(checks),
        **{"purpose": "ramp", "cpu_share": 0.3, **changes},
    )


def drawn_sweep(
    curve: Callable[[int], float],
    sizes: Iterable[int],
    *,
    seed: int | None = None,
    repeats: int = 1,
    **options: Any,
) -> Sweep:
    """A sweep over a true curve X(n) (calls/s); without a seed there is no noise."""
    noise = None if seed is None else np.random.default_rng(seed)
    trials = [
        drawn_trial(size, curve(size), noise=noise, **options)
        for _ in range(repeats)
        for size in sizes
    ]
    return Sweep(target="drawn", trials=tuple(trials))


def workers_curve(workers: int, hold: float) -> Callable[[int], float]:
    """X(n) of `workers` servers that take `hold` s: exact."""
    return lambda n: min(n, workers) / hold


def law_curve(hold: float, alpha: float, beta: float) -> Callable[[int], float]:
    """X(n) of the Universal Scalability Law."""
    return lambda n: n / hold / (1 + alpha * (n - 1) + beta * n * (n - 1))
