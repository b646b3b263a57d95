"""The measured throughput over pool size: points with their noise, and a smooth curve through."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

from poolkit.analysis.noise import LEAST_ERROR, standard_errors
from poolkit.records import CurvePoint, Trial

Floats = NDArray[np.float64]
Z95 = 1.96  # standard errors on either side of a mean that make a 95 % interval (normal)
_FEWEST_REPEATS = 3  # degrees of freedom before the spread between runs is believed

# Failures are faster or slower than service: a trial with fewer successes than this is not fitted.
ENOUGH_SERVED = 0.97
BEND = 0.25  # where a convex curve runs between its least (0) and its chord (1)
SAME_LEVEL = 0.03  # throughputs further apart than this are not one plateau
UNKNOWN_ERROR = 0.1  # share of a throughput that has no interval
FALL_EVIDENCE = 9.0  # squared standard errors: three of them
# A point this far from the convex fit, in standard errors and as a share, contradicts it.
MISFIT_ERRORS, MISFIT = 5.0, 0.04


class BeyondMeasuredError(ValueError):
    """A size was asked for that is larger than the largest one measured."""

    def __init__(self, size: float, largest: float) -> None:
        super().__init__(f"nothing was measured beyond {largest:g} connections, asked for {size:g}")


def is_clean(trial: Trial) -> bool:
    """Whether a trial is part of the curve: a closed loop that passed and was served."""
    calls = sum(trial.outcomes.values())
    return (
        trial.is_of_curve
        and trial.is_usable
        and trial.throughput > 0
        and trial.window > 0
        and trial.mean_hold > 0
        and has_numbers(trial)
        and trial.outcomes.get("ok", 0) >= ENOUGH_SERVED * calls
    )


def has_numbers(trial: Trial) -> bool:
    """Whether every figure that the curve is made of is a finite number."""
    interval = trial.throughput_interval95 or ()
    figures = (trial.throughput, trial.window, trial.mean_hold, *interval)
    return all(math.isfinite(figure) for figure in figures)


def points(trials: Iterable[Trial]) -> tuple[CurvePoint, ...]:
    """The measured curve, repeats pooled by their windows, in order of size.

    The interval holds the larger of two spreads: that within the trials (see `noise`) and that
    between repeats, which is pooled over all sizes as a share of the throughput.
    """
    clean = [trial for trial in trials if is_clean(trial)]
    by_size: dict[int, list[tuple[Trial, float]]] = defaultdict(list)
    for trial, error in zip(clean, standard_errors(clean), strict=True):
        by_size[trial.connections].append((trial, error))
    between = _between_runs([[trial for trial, _ in group] for group in by_size.values()])
    return tuple(_pooled(size, by_size[size], between) for size in sorted(by_size))


def _pooled(
    size: int, measured: Sequence[tuple[Trial, float]], between: float | None
) -> CurvePoint:
    trials = [trial for trial, _ in measured]
    windows = np.array([trial.window for trial in trials])
    shares = windows / windows.sum()
    throughput = float(shares @ np.array([trial.throughput for trial in trials]))
    calls = np.array([max(1, trial.hold_time.count) for trial in trials])
    hold = float(calls @ np.array([trial.mean_hold for trial in trials]) / calls.sum())
    error = math.sqrt(sum((s * e) ** 2 for s, (_, e) in zip(shares, measured, strict=True)))
    if between is not None:
        error = max(error, between * throughput / math.sqrt(len(trials)))
    return CurvePoint(
        pool_size=size,
        throughput=throughput,
        interval95=(max(0.0, throughput - Z95 * error), throughput + Z95 * error),
        hold_time=hold,
        repeats=len(trials),
    )


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
        return UNKNOWN_ERROR
    half = (point.interval95[1] - point.interval95[0]) / 2
    return max(half / Z95 / point.throughput, LEAST_ERROR)


def as_arrays(points: Sequence[CurvePoint]) -> tuple[Floats, Floats, Floats]:
    """Sizes, throughputs (calls/s) and their relative standard errors."""
    return (
        np.array([point.pool_size for point in points], dtype=float),
        np.array([point.throughput for point in points]),
        np.array([relative_error(point) for point in points]),
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """Throughput over pool size, read between the sizes measured and not beyond the largest.

    What is smoothed is the cycle time H(n) = n / X(n) (s). More callers never make a call shorter,
    and each one adds at least as much to it as the one before (so it is in every closed network of
    queues with a product form, and in the Universal Scalability Law): H rises and is convex. Least
    squares under these two (Hildreth 1954), each point weighted by its precision, take the noise
    out; where the data contradict convexity, isotonic regression (Barlow et al. 1972) does.

    Between two points a convex H lies below their chord and above both neighbouring chords drawn
    on. It is read `BEND` of the way up from the latter: that finds the sharp corner of a row of
    workers, and errs by little on a soft one.
    """

    sizes: tuple[int, ...]
    cycles: tuple[float, ...]  # s, H at `sizes`
    hold: float  # s, mean hold time at the smallest size with every connection busy
    is_convex: bool
    error: float  # standard error of X at the largest sizes, as a share of it
    flat_to: int = 0  # beyond the largest size measured, throughput is held as there up to this

    @classmethod
    def fit(cls, points: Sequence[CurvePoint]) -> Curve:
        """The curve through these points (one or more, ascending sizes, throughput above 0)."""
        if not points:
            raise ValueError("a curve needs one point or more, got none")
        return cls.through(*as_arrays(points), points[0].hold_time)

    @classmethod
    def through(
        cls, sizes: Floats, rates: Floats, errors: Floats, hold: float | None = None
    ) -> Curve:
        """The curve through throughputs (calls/s) with these relative standard errors.

        `hold` is the mean hold time (s) measured at the smallest size; None: the whole cycle.
        """
        rates, error = level_end(rates, errors)
        measured = sizes / rates
        cycles, is_convex = smooth_cycles(sizes, measured, errors)
        # The client's own part of a cycle: what is not hold time.
        overhead = 0.0 if hold is None else max(float(measured[0]) - hold, 0.0)
        return cls(
            tuple(int(size) for size in sizes),
            tuple(cycles.tolist()),
            max(float(cycles[0]) - overhead, 0.0),
            is_convex,
            error,
        )

    def held_flat(self, to: int) -> Curve:
        """The same curve, with throughput beyond the largest size measured taken to stay."""
        return replace(self, flat_to=to)

    @property
    def measured(self) -> int:
        """The largest size measured."""
        return self.sizes[-1]

    @property
    def largest(self) -> int:
        """The largest size that may be asked for."""
        return max(self.measured, self.flat_to)

    @property
    def smallest(self) -> int:
        """The smallest size measured."""
        return self.sizes[0]

    def cycle_time(self, size: ArrayLike) -> Floats:
        """H at these sizes (s); below the smallest size measured it is taken as constant.

        Raises `BeyondMeasuredError` above `largest`: nothing is extrapolated without `held_flat`.
        """
        wanted = np.asarray(size, dtype=float)
        if wanted.size and float(wanted.max()) > self.largest:
            raise BeyondMeasuredError(float(wanted.max()), self.largest)
        inside = np.clip(wanted, self.smallest, self.measured)
        chord = np.interp(inside, self.sizes, self.cycles)
        cycles = chord
        if self.is_convex and len(self.sizes) > 1:
            least = self._least(inside)
            cycles = np.minimum(chord, least + BEND * (chord - least))
        # Flat throughput: the cycle grows in proportion to the size.
        return np.asarray(cycles * np.maximum(wanted / self.measured, 1.0), dtype=np.float64)

    def _least(self, size: Floats) -> Floats:
        """What a convex, rising H is at least: the neighbouring chords drawn on."""
        knots, cycles = np.array(self.sizes, dtype=float), np.array(self.cycles)
        slopes = np.diff(cycles) / np.diff(knots)
        # Before the first point H is flat; past the last, throughput does not rise.
        before = np.concatenate(([0.0], slopes[:-1]))
        after = np.append(slopes[1:], max(slopes[-1], cycles[-1] / knots[-1]))
        at = np.clip(np.searchsorted(knots, size, side="right") - 1, 0, slopes.size - 1)
        from_left = cycles[at] + before[at] * (size - knots[at])
        from_right = cycles[at + 1] - after[at] * (knots[at + 1] - size)
        return np.asarray(np.maximum(from_left, from_right), dtype=np.float64)

    def throughputs(self, sizes: ArrayLike) -> Floats:
        """X at these sizes (calls/s)."""
        wanted = np.asarray(sizes, dtype=float)
        return np.asarray(wanted / self.cycle_time(wanted), dtype=np.float64)

    def throughput(self, size: float) -> float:
        """X at one size, whole or not (calls/s)."""
        return float(self.throughputs(size))


def level_end(rates: Floats, errors: Floats) -> tuple[Floats, float]:
    """The same throughputs, with those at the upper end that do not differ given their mean.

    The second value is that mean's relative standard error.

    On a plateau every point measures the same figure, and the needed size hangs on it: near
    saturation one per cent more throughput is several connections less. From the largest size down
    a point joins while it differs from the mean so far by less than their noise, and by 3 % at
    most.
    """
    total, mean, first = 1.0 / errors[-1] ** 2, float(np.log(rates[-1])), rates.size - 1
    for index in range(rates.size - 2, -1, -1):
        weight, rate = 1.0 / errors[index] ** 2, float(np.log(rates[index]))
        noise = float(np.sqrt(1.0 / total + 1.0 / weight))
        if abs(rate - mean) > min(2.0 * noise, SAME_LEVEL):
            break
        mean = (total * mean + weight * rate) / (total + weight)
        total, first = total + weight, index
    level = rates.copy()
    level[first:] = np.exp(mean)
    return level, total**-0.5


def smooth_cycles(sizes: Floats, cycles: Floats, errors: Floats) -> tuple[Floats, bool]:
    """Cycle times (s) at the sizes measured, freed of noise; and whether they are convex.

    A rising convex function with its corners at the points is a constant plus a sum of hinges
    max(n - s, 0) with weights of 0 or more, so non-negative least squares find the closest one.
    Where throughput does not fall either, H(n) / n does not rise, and the hinges become max(n, s):
    each is the cycle time of a row of s workers. Noise at the end would else pass for a fall, so a
    fall is fitted only where it lowers the sum of squares by more than `FALL_EVIDENCE`.
    """
    scale = np.maximum(cycles * errors, 1e-12)
    knots = sizes[None, :-1]
    level, misfit = _closest(np.maximum(sizes[:, None], knots), cycles, scale)
    fitted, least = _closest(np.maximum(sizes[:, None] - knots, 0.0), cycles, scale)
    if misfit - least <= FALL_EVIDENCE:
        fitted = level
    apart = np.abs(fitted - cycles)
    if not np.any((apart > MISFIT_ERRORS * scale) & (apart > MISFIT * cycles)):
        return fitted, True
    rising = scipy.optimize.isotonic_regression(cycles, weights=1.0 / scale**2).x
    return np.asarray(rising, dtype=np.float64), False


def _closest(shapes: Floats, cycles: Floats, scale: Floats) -> tuple[Floats, float]:
    """The sum of a constant and these shapes, weights 0 or more, nearest to the cycle times (s).

    The second value is the sum of the squared distances in units of `scale`.
    """
    terms = np.column_stack((np.ones_like(cycles), shapes)) / scale[:, None]
    weights, distance = scipy.optimize.nnls(terms, cycles / scale)
    return np.asarray((terms @ weights) * scale, dtype=np.float64), float(distance) ** 2


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
