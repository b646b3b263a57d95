"""Curves whose knees are known, measured with noise: is the truth inside the intervals?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from poolkit.analysis.curve import points
from poolkit.analysis.knee import knees, plateau
from poolkit.records import Interval, Trial
from tests.analysis.synthetic import drawn_trial, law_curve, workers_curve

SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64)
BATCHES = 14  # behind a trial's own interval


@dataclass(frozen=True, slots=True)
class Known:
    """A curve X(n) (calls/s) and what the rules should find on it, `plateau` in calls/s."""

    name: str
    curve: Callable[[int], float]
    truth: Mapping[str, float]
    sizes: tuple[int, ...] = SIZES


@dataclass(frozen=True, slots=True)
class Seen:
    """One rule on one measured curve; value None: not seen."""

    value: float | None
    interval95: Interval | None

    def holds(self, truth: float) -> bool:
        """Whether the truth is inside the interval."""
        return self.interval95 is not None and self.interval95[0] <= truth <= self.interval95[1]


def cpu_curve(delay: float, burn: float) -> Callable[[int], float]:
    """X(n) of calls that wait side by side, then burn `burn` s each on one thread.

    Exact mean value analysis (Reiser and Lavenberg 1980), exponential times.
    """
    queue, rates = 0.0, [0.0]
    for n in range(1, 257):
        response = burn * (1.0 + queue)
        rates.append(n / (delay + response))
        queue = rates[-1] * response
    return lambda n: rates[n]


def _workers(workers: int, hold: float) -> Known:
    return Known(
        f"{workers} workers",
        workers_curve(workers, hold),
        {"littles_law": workers, "plateau95": 0.95 * workers, "plateau": workers / hold},
    )


def _cpu(delay: float, burn: float) -> Known:
    curve = cpu_curve(delay, burn)
    near = 0.95 / burn
    size = next(n for n in range(1, 256) if curve(n) >= near)
    exact = size - (curve(size) - near) / (curve(size) - curve(size - 1))
    truth = {"littles_law": 1.0 + delay / burn, "plateau95": exact, "plateau": 1.0 / burn}
    return Known(f"one thread, {1 + delay / burn:.0f} calls", curve, truth)


def _law(alpha: float, beta: float) -> Known:
    peak = math.sqrt((1.0 - alpha) / beta)
    return Known(f"law with peak {peak:.0f}", law_curve(0.01, alpha, beta), {"usl_peak": peak})


KNOWN = (
    _workers(8, 0.01),
    _workers(16, 0.02),
    _workers(24, 0.025),
    _workers(32, 0.01),
    _cpu(0.015, 0.0015),
    _cpu(0.010, 0.0005),
    _law(0.05, 0.002),
    _law(0.02, 0.001),
)


def measured(known: Known, seed: int, *, dispersion: float = 0.5, repeats: int = 1) -> list[Trial]:
    """Trials of 1.2 s at each size; their intervals and dispersions are estimates, too."""
    rng = np.random.default_rng([seed, *known.name.encode()])
    trials = []
    for size in known.sizes * repeats:
        trial = drawn_trial(size, known.curve(size), dispersion=dispersion, noise=rng)
        assert trial.throughput_interval95 is not None
        low, high = trial.throughput_interval95
        half = (high - low) / 2 * math.sqrt(float(rng.chisquare(BATCHES)) / BATCHES)
        windows = max(2.0, trial.window / (5.0 * size / known.curve(size)))
        found = dispersion * float(rng.chisquare(windows)) / windows
        interval = (trial.throughput - half, trial.throughput + half)
        changes = {"throughput_interval95": interval, "dispersion": found}
        trials.append(trial.model_copy(update=changes))
    return trials


def seen(trials: list[Trial]) -> dict[str, Seen]:
    """All rules and the plateau's height on these trials."""
    curve = points(trials)
    found: dict[str, Seen] = {}
    for knee in knees(curve):
        found[knee.rule] = Seen(knee.size, knee.interval95)
    height = plateau(curve)
    flat = Seen(None, None) if height is None else Seen(height.throughput, height.interval95)
    return found | {"plateau": flat}
