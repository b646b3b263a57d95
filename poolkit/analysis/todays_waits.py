"""Today's waits, as the model of the queue tells them and as the service's own histogram does.

A model that cannot tell today's waits says nothing about tomorrow's. With the size in production
and the rate of each window, `queueing` gives the share of calls that wait longer than each bound of
the histogram. Held against each other is the p99 wait, which is what sizes are asked for:

* observed: from the last bound that surely more than 1 % of the calls exceed to the first that
  surely fewer do (the resolution of the buckets), sure by two standard errors. The error is that of
  the difference between counted and predicted from one part of the time to the next (von Neumann
  1941), so that calls which wait because others did count as few, and a model that is wrong for
  hours adds nothing.
* predicted: with each throughput two standard errors higher, and lower.

Not trusted where these two part, nor where they could not: the first is `WRONG` times beyond the
bucket of the p99 that was counted, so that a model which is as wrong would have passed, and not all
of it within the wait asked. Of 60 s of the six simulated upstreams whose waits were made 8 to 10
times as long 11 of 33 passed without this rule, and none with it; 3 of 108 that are right do not
pass either, and none of 36 of 600 s (tests/bench/observe.py).

The test has seen only what production has: where hardly a call waited it holds the model to that,
and no further.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.curve import SharedCurve
from poolkit.analysis.queueing import P99, waits
from poolkit.analysis.state_curve import fit
from poolkit.analysis.states import state_points
from poolkit.analysis.windows import Windows, by_rate
from poolkit.records import TodaysWaits, Trial, WaitShare

Floats = NDArray[np.float64]

PARTS = 60  # of the time, for the error
FEWEST_PARTS = 5
SURE = 2.0  # standard errors
# Calls that wait do so in rows; without parts enough to see that, so many count as one.
IN_A_ROW = 8.0
FEWEST_CALLS = 1000
WRONG = 4.0  # times a p99 wait, by which a model must not be wrong unseen


def todays_waits(windows: Windows, trial: Trial, asked: float | None) -> TodaysWaits:
    """The waits of these windows as predicted and as counted, and whether the model is trusted.

    Args:
        windows: whole ones, one at least.
        trial: the same, made one (see `production.as_trial`), not slowed.
        asked: longest p99 wait (s) that is good enough; None: none is asked.
    """
    size = _size(windows)
    if isinstance(size, str):
        return TodaysWaits(is_trusted=False, because=size)
    times, bounds = windows.waits, [b for b in windows.waits.bounds if math.isfinite(b)]
    counted = times.counts[:, -1:] - times.counts[:, : len(bounds)]  # beyond each bound, by window
    calls = float(times.counts[:, -1].sum())
    low, middle, high = (_predicted(windows, trial, size, bounds, by) for by in (-SURE, 0.0, SURE))
    weights = times.counts[:, -1:]
    observed = counted.sum(axis=0) / calls
    shares = [(weights * one).sum(axis=0) / calls for one in (low, middle, high)]
    doubt = SURE * _errors(counted - weights * middle, observed, calls)
    least, most = _p99(bounds, observed - doubt, observed + doubt)
    quickest, slowest = _p99(bounds, shares[0], shares[2])
    is_told = quickest < most and least < slowest
    shortest, longest = _p99(bounds, observed, observed)  # the bucket
    is_within = asked is not None and most <= asked
    is_tested = is_within or (most <= WRONG * longest and shortest <= WRONG * least)
    seen = f"p99 wait {_between(least, most)} counted, {_between(quickest, slowest)} predicted"
    because = f"{seen} for the {units.plural(size, 'connection')} in production"
    if not is_told:
        way = "longer" if slowest <= least else "shorter"
        because += f": calls wait {way} than the model of these pools says"
    elif not is_tested:
        way = "look at a longer time (--since, --for)"
        because += f": too little was seen to hold the model against; {way}"
    elif observed[0] < P99:
        because += (
            f"; hardly a call waits longer than {units.milliseconds(bounds[0])} "
            f"({units.share(float(observed[0]), 2)}), so smaller sizes are put to no test"
        )
    rows = tuple(
        WaitShare(longer_than=bound, counted=float(seen), predicted=min(1.0, float(said)))
        for bound, seen, said in zip(bounds, observed, shares[1], strict=True)
    )
    return TodaysWaits(
        is_trusted=is_told and is_tested,
        because=because,
        pool_size=size,
        calls=round(calls),
        shares=rows,
    )


def _size(windows: Windows) -> int | str:
    """The size in production; or why the prediction cannot be held against anything."""
    least, most, times = windows.least_size, windows.limit, windows.waits
    if not times.bounds or len(times.bounds) < 2 or times.counts[:, -1].sum() < FEWEST_CALLS:
        return "the service exports no histogram of waits, or too few calls are in it"
    if not math.isinf(times.bounds[-1]):
        return "the histogram of waits has no bucket +Inf, so its calls cannot be counted"
    if least is None or most is None:
        return "the size of the pool in production is not exported"
    if least < 1:
        return f"the pools in production are told to have {least:g} connections, which is no size"
    if math.isinf(most):
        return "the pool in production has no limit, so nobody waits and nothing can be compared"
    if least != most:
        return f"the pools in production have from {least:g} to {most:g} connections, not one size"
    return int(most)


def _predicted(
    windows: Windows, trial: Trial, size: int, bounds: list[float], caution: float
) -> Floats:
    """P(W > bound), one row a window, with throughputs lowered by `caution` standard errors."""
    dispersion = 1.0 if trial.dispersion is None else trial.dispersion
    curve = fit(state_points([trial]), dispersion, caution)
    size = min(size, windows.roomy)
    shared = SharedCurve(curve.held_flat(max(curve.largest, size * trial.pools)), trial.pools)
    found = np.zeros((windows.ends.size, len(bounds)))
    for rows, rate in by_rate(windows):
        one = waits(shared, rate, (size,), dispersion)[0]
        found[rows] = [one.exceedance(bound) for bound in bounds]
    return found


def _errors(difference: Floats, observed: Floats, calls: float) -> Floats:
    """Standard errors of the shares counted."""
    parts = np.array_split(np.arange(len(difference)), min(PARTS, len(difference)))
    least = np.sqrt(np.maximum(observed, 1.0 / calls) / calls)
    if len(parts) < FEWEST_PARTS:
        return np.asarray(math.sqrt(IN_A_ROW) * least)
    sums = np.array([difference[part].sum(axis=0) for part in parts])
    variance = (np.diff(sums, axis=0) ** 2).mean(axis=0) / 2.0
    spread = np.sqrt(len(parts) * variance) / calls
    return np.asarray(np.maximum(spread, least))


def _p99(bounds: list[float], low: Floats, high: Floats) -> tuple[float, float]:
    """Between which bounds (s) the p99 lies, of shares beyond each bound that lie in between."""
    above = [bound for bound, share in zip(bounds, low, strict=True) if share > P99]
    below = [bound for bound, share in zip(bounds, high, strict=True) if share < P99]
    return max(above, default=0.0), min(below, default=math.inf)


def _between(low: float, high: float) -> str:
    if low == 0.0:
        return f"up to {units.milliseconds(high)}" if math.isfinite(high) else "of any length"
    if math.isinf(high):
        return f"of more than {units.milliseconds(low)}"
    return f"of {units.milliseconds(low)} to {units.milliseconds(high)}"
