"""From what the generator recorded to a Trial: one pass, nothing is summed up twice."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from poolkit.analysis.checks import (
    Cores,
    Evidence,
    fairness_check,
    jains_index,
    longest_ratio,
    run_checks,
)
from poolkit.analysis.noise import BATCH_HOLDS, dispersion, mser5, rate_interval
from poolkit.analysis.states import batches
from poolkit.drivers.base import DialTimes
from poolkit.histogram import Histogram, value_of
from poolkit.load.measurement import Floats, Measurement, Segment, together
from poolkit.records import BudgetPart, DialParts, Purpose, TimeBudget, Trial

MSER_VALUES = 200  # the timeline is averaged to about this many values before the cut is looked for


class _Window(NamedTuple):
    """The measured part of a trial: from `start` s (a segment's edge) to `end` s."""

    start: float
    end: float
    segments: tuple[Segment, ...]
    settled: bool


def summarise(
    measurement: Measurement,
    *,
    target: str,
    driver: str,
    fingerprint: str,
    purpose: Purpose,
    pools: int = 1,
    gate: int | None = None,
) -> Trial:
    """The record of one measured trial, checks included; `pools` and `gate` say how it ran."""
    window = _window(measurement)
    seconds = window.end - window.start
    whole = together(window.segments)
    calls = whole.outcomes.total()
    first_bin = round(window.start / measurement.bin_seconds)
    completions = measurement.completions[first_bin:].astype(np.float64)
    throughput = float(completions.sum()) / seconds
    waits, holds, lag = (one.distribution() for one in (whole.wait, whole.hold, whole.lag))
    mean_hold = holds.mean or 0.0
    interval = rate_interval(completions, measurement.bin_seconds, BATCH_HOLDS * mean_hold)
    change = _changes(measurement, window)
    crowded = (measurement.callers or 0) > measurement.pool_size * pools
    lags = measurement.samples.loop_lag[measurement.samples.at >= window.start]
    closed = measurement.loop == "closed"
    evidence = Evidence(
        calls=whole.outcomes["ok"],
        concurrency=change.concurrency,
        littles_law=throughput * ((waits.mean or 0.0) + mean_hold) if holds.count else None,
        edges=_edges(whole.response, change.concurrency, seconds),
        cpu_share=change.cpu_share,
        loop_lag_p90=float(np.quantile(lags, 0.9)) if lags.size else None,
        halves=_halves(completions, measurement.bin_seconds),
        # The whole's standard error is about half width / 2; a half's is sqrt(2) times it, the
        # difference of two halves twice it.
        half_error=None if interval is None else (interval[1] - interval[0]) / 2,
        settled=window.settled,
        in_system_halves=None if closed else change.halves,
        throughput=throughput,
        interval=interval,
        mean_lag=None if closed else lag.mean,
        lag_p99=lag.p99,
        # With a caller for each connection there is no queue to be fair.
        fair=fairness_check(waits, hold=mean_hold, crowded=crowded)
        if crowded or not closed
        else None,
        cores=change.cores,
    )
    return Trial(
        target=target,
        driver=driver,
        fingerprint=fingerprint,
        purpose=purpose,
        loop=measurement.loop,
        pool_size=measurement.pool_size,
        pools=pools,
        gate=gate,
        callers=measurement.callers,
        arrival_rate=measurement.arrival_rate,
        seed=measurement.seed,
        started=measurement.started,
        warm_up=window.start,
        window=seconds,
        outcomes=dict(whole.outcomes),
        error_kinds=dict(whole.error_kinds),
        throughput=throughput,
        throughput_interval95=interval,
        response_time=whole.response.distribution(),
        wait_time=waits,
        hold_time=holds,
        lag=lag,
        dial_time=whole.dial.distribution(),
        service_time=whole.service.distribution(),
        release_time=whole.release.distribution(),
        budget=_budget(whole),
        dial_parts=_dial_parts(measurement.dial_times),
        concurrency=change.concurrency,
        utilisation=whole.held_seconds / (measurement.pool_size * pools * seconds),
        connections_opened=change.opened,
        disconnects=change.disconnects,
        wait_is_exact=measurement.wait_is_exact,
        reuse_ratio=max(0.0, 1.0 - change.opened / calls) if calls else None,
        dispersion=dispersion(completions, measurement.bin_seconds, mean_hold),
        cpu_share=change.cpu_share,
        loop_lag_p99=float(np.quantile(lags, 0.99)) if lags.size else None,
        others_cpu=None if change.cores is None else change.cores.others,
        in_use=batches(window.segments),
        longest_wait_ratio=longest_ratio(waits),
        fairness=jains_index(waits.buckets),
        checks=run_checks(evidence),
        stopped=measurement.stopped,
    )


def _dial_parts(times: DialTimes | None) -> DialParts | None:
    if times is None or not times.dials:
        return None
    n = times.dials
    return DialParts(dials=n, dns=times.dns / n, tcp=times.tcp / n, tls=times.tls / n)


def _budget(whole: Segment) -> TimeBudget | None:
    """The parts of the successful calls' times; None where there are none."""
    parts = {
        "lag": whole.lag.without(whole.lost_lag),
        "wait": whole.wait.without(whole.lost_wait),
        "dial": whole.dial,
        "service": whole.service,
        "release": whole.release,
    }
    if not all(part.count for part in parts.values()):
        return None
    figures = set(BudgetPart.model_fields)
    return TimeBudget.model_validate(
        {name: part.distribution().model_dump(include=figures) for name, part in parts.items()}
    )


def _window(measurement: Measurement) -> _Window:
    """Leave out the planned warm-up, and more where MSER-5 finds that it lasted longer.

    An open loop's completions come as its arrivals do, so they say nothing of a warm-up: there the
    planned one is cut. So is a closed loop that plans none, to look at its calls from the first on.
    Of a trial that a brake stopped nothing is left out: a server that sheds calls does so at once,
    and the calls that the brake saw are the finding.
    """
    planned = 0.0 if measurement.stopped is not None else measurement.warm_up
    least = math.ceil(planned / measurement.segment_seconds - 1e-9)
    least = min(least, len(measurement.segments) - 1)
    first_bin = round(least * measurement.segment_seconds / measurement.bin_seconds)
    timeline = measurement.completions[first_bin:].astype(np.float64)
    per_value = max(1, timeline.size // MSER_VALUES)
    values = timeline[: timeline.size // per_value * per_value].reshape(-1, per_value).mean(axis=1)
    is_searched = measurement.loop == "closed" and planned > 0
    cut = mser5(values) * per_value * measurement.bin_seconds if is_searched else 0.0
    settled = cut < 0.4 * (timeline.size * measurement.bin_seconds)
    # A process that never settles is measured whole, and its check fails.
    extra = math.ceil(cut / measurement.segment_seconds - 1e-9) if settled else 0
    first = min(least + extra, len(measurement.segments) - 1)
    return _Window(
        start=first * measurement.segment_seconds,
        end=len(measurement.segments) * measurement.segment_seconds,
        segments=measurement.segments[first:],
        settled=settled,
    )


class _Changes(NamedTuple):
    """What the samples say of the window."""

    concurrency: float | None = None
    halves: tuple[float, float] | None = None  # mean calls in the system, first and second half
    cpu_share: float = 0.0
    opened: int = 0
    disconnects: int = 0
    cores: Cores | None = None


def _changes(measurement: Measurement, window: _Window) -> _Changes:
    samples = measurement.samples
    if samples.at.size < 2:
        return _Changes()
    first = min(int(np.searchsorted(samples.at, window.start)), samples.at.size - 2)
    last = max(first + 1, min(int(np.searchsorted(samples.at, window.end)), samples.at.size - 1))
    seconds = float(samples.at[last] - samples.at[first])
    if seconds <= 0:
        return _Changes()

    def change(column: Floats) -> float:
        return float(column[last] - column[first])

    def mean_in_system(begin: int, end: int) -> float:
        passed = float(samples.at[end] - samples.at[begin])
        return float(samples.area[end] - samples.area[begin]) / passed if passed > 0 else 0.0

    middle = (first + last) // 2
    return _Changes(
        concurrency=max(0.0, mean_in_system(first, last)),
        halves=(mean_in_system(first, middle), mean_in_system(middle, last)),
        cpu_share=change(samples.cpu) / seconds,
        opened=round(change(samples.opened)),
        disconnects=round(change(samples.disconnects)),
        cores=_cores(
            change(samples.others),
            change(samples.stolen),
            change(samples.cpu),
            change(samples.capacity),
            change(samples.waited) / seconds,
        ),
    )


def _cores(
    others: float, stolen: float, own: float, capacity: float, waited: float
) -> Cores | None:
    """The shares of the cores' time, of CPU seconds; None where the system does not tell."""
    if not capacity > 0:
        return None
    # Seconds of the scheduler's clock less those of its ticks: a hair below 0 is 0.
    others, stolen, own = (min(1.0, max(0.0, s / capacity)) for s in (others, stolen, own))
    return Cores(others, stolen, own, None if math.isnan(waited) else min(1.0, waited))


def _edges(response: Histogram, concurrency: float | None, seconds: float) -> float:
    """Standard error of X (W + S) / L that a window of `seconds` s leaves where nothing is wrong.

    The calls in the system at its begin are in L and not in the sum of times, those at its end in
    the sum for longer than they are in L. Each of the L calls at an edge has a residual time r with
    E[r^2] = E[R^3] / (3 E[R]) (renewal theory, Cox 1962), so the share is sqrt(2 E[r^2] / L) / T.
    """
    if not concurrency or response.total <= 0.0:
        return 0.0
    values = np.array([value_of(bucket) for bucket in np.flatnonzero(response.counts).tolist()])
    cubes = float(response.counts[response.counts > 0] @ values**3)
    return math.sqrt(2.0 * cubes / (3.0 * response.total) / concurrency) / seconds


def _halves(completions: Floats, bin_seconds: float) -> tuple[float, float] | None:
    half = completions.size // 2
    if half < 2:
        return None
    length = half * bin_seconds
    return float(completions[:half].sum()) / length, float(completions[half:].sum()) / length
