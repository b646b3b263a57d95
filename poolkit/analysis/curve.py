"""The measured throughput over pool size: points with their noise, and a smooth curve through them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from poolkit.records import CurvePoint, Interval, Trial

Floats = NDArray[np.float64]
Z95 = 1.96  # standard errors on either side of a mean that make a 95 % interval (normal)
# Batch means have 9 to 19 degrees of freedom, where Student's factor is 2.26 to 2.09.
BATCH_MEANS_FACTOR = 2.15
_FEWEST_REPEATS = 3  # degrees of freedom before the spread between runs is believed
# No trial of a second or two knows a shared machine's throughput better than this.
LEAST_ERROR = 0.003

# Failures are faster or slower than service, so a trial with more of them than this is not its curve.
ENOUGH_SERVED = 0.97


class BeyondMeasured(ValueError):
    """A size was asked for that is larger than the largest one measured."""

    def __init__(self, size: float, largest: float) -> None:
        super().__init__(f"nothing was measured beyond {largest:g} connections, asked for {size:g}")


def is_clean(trial: Trial) -> bool:
    """Whether a trial is part of the curve: closed loop, of the sweep, passed its checks, served."""
    calls = sum(trial.outcomes.values())
    return (
        trial.loop == "closed"
        and trial.purpose != "verify"
        and trial.is_usable
        and trial.throughput > 0
        and trial.window > 0
        and (trial.hold_time.mean or 0.0) > 0
        and trial.outcomes.get("ok", 0) >= ENOUGH_SERVED * calls
    )


def points(trials: Iterable[Trial]) -> tuple[CurvePoint, ...]:
    """The measured curve, repeats pooled by their windows, in order of size.

    The interval holds the larger of two spreads: that within the trials (batch means) and that
    between repeats, which is pooled over all sizes as a share of the throughput.
    """
    by_size: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        if is_clean(trial):
            by_size[trial.pool_size * trial.pools].append(trial)
    between = _between_runs(tuple(by_size.values()))
    return tuple(_pooled(size, by_size[size], between) for size in sorted(by_size))


def _pooled(size: int, trials: Sequence[Trial], between: float | None) -> CurvePoint:
    windows = np.array([trial.window for trial in trials])
    shares = windows / windows.sum()
    throughput = float(shares @ np.array([trial.throughput for trial in trials]))
    calls = np.array([max(1, trial.hold_time.count) for trial in trials])
    hold = float(calls @ np.array([trial.hold_time.mean or 0.0 for trial in trials]) / calls.sum())
    error = math.sqrt(sum((s * _error(t)) ** 2 for s, t in zip(shares, trials, strict=True)))
    if between is not None:
        error = max(error, between * throughput / math.sqrt(len(trials)))
    return CurvePoint(
        pool_size=size,
        throughput=throughput,
        interval95=(max(0.0, throughput - Z95 * error), throughput + Z95 * error),
        hold_time=hold,
        repeats=len(trials),
    )


def _error(trial: Trial) -> float:
    """Standard error of a trial's throughput (calls/s)."""
    interval = trial.throughput_interval95
    if interval is not None:
        error = (interval[1] - interval[0]) / 2 / BATCH_MEANS_FACTOR
    else:
        # Without batches: completions as random as a Poisson stream, the cautious side.
        error = math.sqrt(trial.throughput / trial.window)
    return max(error, LEAST_ERROR * trial.throughput)


def _between_runs(groups: Sequence[Sequence[Trial]]) -> float | None:
    """Standard deviation between repeats as a share of the throughput; None: too few repeats."""
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) < 2:
            continue
        rates = np.array([trial.throughput for trial in group])
        squares += float(((rates / rates.mean() - 1.0) ** 2).sum())
        freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom >= _FEWEST_REPEATS else None


def relative_error(point: CurvePoint) -> float:
    """Standard error of a point's throughput as a share of it."""
    if point.interval95 is None or point.throughput <= 0:
        return 0.1
    half = (point.interval95[1] - point.interval95[0]) / 2
    return max(half / Z95 / point.throughput, LEAST_ERROR)


@dataclass(frozen=True, slots=True)
class Curve:
    """Throughput over pool size, read between the sizes measured and never beyond the largest.

    What is smoothed is the cycle time H(n) = n / X(n) (s): more callers never make a call shorter,
    so H may only rise. Isotonic regression (Barlow et al. 1972; each point weighted by its
    precision) removes the noise that breaks this, and a monotone cubic (PCHIP, Fritsch and
    Butland 1984) joins the points.
    """

    sizes: tuple[int, ...]
    cycles: tuple[float, ...]  # s, H at `sizes`
    holds: tuple[float, ...]  # s, mean hold time at `sizes`
    _cycle: PchipInterpolator | None

    @classmethod
    def fit(cls, points: Sequence[CurvePoint]) -> Curve:
        """The curve through these points (one or more, ascending sizes, throughput above 0)."""
        if not points:
            raise ValueError("a curve needs one point or more, got none")
        sizes = np.array([point.pool_size for point in points], dtype=float)
        rates = np.array([point.throughput for point in points])
        holds = np.array([point.hold_time for point in points])
        errors = np.array([relative_error(point) for point in points])
        return cls.through(sizes, rates, errors, holds)

    @classmethod
    def through(
        cls, sizes: Floats, rates: Floats, errors: Floats, holds: Floats | None = None
    ) -> Curve:
        """The curve through throughputs (calls/s) with these relative standard errors."""
        cycles = smooth_cycles(sizes, sizes / rates, errors)
        if holds is None:
            overheads = np.zeros_like(cycles)
        else:
            # The client's own part of a cycle: what is not hold time.
            overheads = np.maximum(sizes / rates - holds, 0.0)
        smooth_holds = np.maximum(cycles - overheads, 0.0)
        return cls(
            tuple(int(size) for size in sizes),
            tuple(cycles.tolist()),
            tuple(smooth_holds.tolist()),
            PchipInterpolator(sizes, cycles) if sizes.size > 1 else None,
        )

    @property
    def largest(self) -> int:
        """The largest size measured."""
        return self.sizes[-1]

    @property
    def smallest(self) -> int:
        """The smallest size measured."""
        return self.sizes[0]

    def cycle_time(self, size: ArrayLike) -> Floats:
        """H at these sizes (s); below the smallest size measured it is taken as constant.

        Raises `BeyondMeasured` above the largest size: nothing is extrapolated.
        """
        wanted = np.asarray(size, dtype=float)
        if wanted.size and float(wanted.max()) > self.largest:
            raise BeyondMeasured(float(wanted.max()), self.largest)
        if self._cycle is None:
            return np.full(wanted.shape, self.cycles[0])
        return np.asarray(self._cycle(np.maximum(wanted, self.smallest)), dtype=np.float64)

    def throughputs(self, sizes: ArrayLike) -> Floats:
        """X at these sizes (calls/s)."""
        wanted = np.asarray(sizes, dtype=float)
        return np.asarray(wanted / self.cycle_time(wanted), dtype=np.float64)

    def throughput(self, size: float) -> float:
        """X at one size, whole or not (calls/s)."""
        return float(self.throughputs(size))

    def hold_time(self, size: float) -> float:
        """Mean hold time at one size with every connection busy (s)."""
        if size > self.largest:
            raise BeyondMeasured(size, self.largest)
        return float(np.interp(size, self.sizes, self.holds))


def smooth_cycles(sizes: Floats, cycles: Floats, errors: Floats) -> Floats:
    """Cycle times (s) made to rise with size: flat at the small sizes as far as the data allow.

    At small sizes few calls are seen, and isotonic regression alone would take the lowest of several
    noisy values for the first. So the sizes that do not differ by more than their noise from the
    mean of those before them share that mean.
    """
    weights = 1.0 / np.maximum(cycles * errors, 1e-12) ** 2
    flat = flat_start(cycles, weights)
    pooled = cycles.copy()
    pooled[:flat] = float(weights[:flat] @ cycles[:flat] / weights[:flat].sum())
    return np.asarray(isotonic_regression(pooled, weights=weights).x, dtype=np.float64)


def flat_start(cycles: Floats, weights: Floats) -> int:
    """How many of the first sizes have the same cycle time within their noise (1 or more).

    A size joins while it stays within 1.5 standard errors, and within 3 %, of the mean so far: the noise of a
    difference decides where data are few, the 3 % where they are so many that a slow rise shows.
    """
    total, mean = float(weights[0]), float(cycles[0])
    for index in range(1, cycles.size):
        weight, cycle = float(weights[index]), float(cycles[index])
        error = math.sqrt(1.0 / total + 1.0 / weight)
        if cycle - mean > min(1.5 * error, max(0.03 * mean, error)):
            return index
        mean = (total * mean + weight * cycle) / (total + weight)
        total += weight
    return cycles.size


def interval_of(samples: Floats) -> Interval:
    """The middle 95 % of bootstrap samples."""
    low, high = np.quantile(samples, (0.025, 0.975))
    return (float(low), float(high))


@dataclass(frozen=True, slots=True)
class SharedCurve:
    """What one of `pools` equal pools sees of an upstream that they share: X(pools * k) / pools."""

    whole: Curve
    pools: int

    @property
    def largest(self) -> int:
        """The largest size of one pool at which all of them together were measured; may be 0."""
        return self.whole.largest // self.pools

    def throughputs(self, sizes: ArrayLike) -> Floats:
        """Calls/s of one pool while each of them has this many connections busy."""
        return np.asarray(
            self.whole.throughputs(np.asarray(sizes, dtype=float) * self.pools) / self.pools
        )
