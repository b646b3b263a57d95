"""Knees by their rules: right in the median, their intervals hold the truth, none where none is."""

from __future__ import annotations

import numpy as np
import pytest
from kneed import KneeLocator  # type: ignore[import-untyped]

from poolkit.analysis.curve import points
from poolkit.analysis.knee import (
    ScalabilityLaw,
    _interval_of_peaks,
    knees,
    littles_law,
    plateau,
    plateau95,
    usl_peak,
)
from poolkit.records import Interval
from tests.analysis.known_knees import KNOWN, Known, measured, seen
from tests.analysis.synthetic import drawn_sweep, law_curve, workers_curve

SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64)


def _holds(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval[0] <= truth <= interval[1]


@pytest.mark.parametrize(("workers", "hold"), [(8, 0.01), (16, 0.02), (24, 0.025), (32, 0.01)])
def test_littles_law_on_workers(workers: int, hold: float) -> None:
    """Within 5 % of the workers in the median; 90 % of the intervals or more hold the truth."""
    found = [
        littles_law(points(drawn_sweep(workers_curve(workers, hold), SIZES, seed=seed).trials))
        for seed in range(20)
    ]
    sizes = [knee.size for knee in found if knee.size is not None]
    assert len(sizes) == len(found)
    assert np.median(sizes) == pytest.approx(workers, rel=0.05)
    held = sum(_holds(knee.interval95, workers) for knee in found)
    assert held >= 0.9 * len(found) - 1


def test_plateau_height() -> None:
    """The plateau's throughput is right to 1 % in the median, its interval holds it."""
    found = [
        plateau(points(drawn_sweep(workers_curve(24, 0.025), SIZES, seed=seed).trials))
        for seed in range(30)
    ]
    heights = [one.throughput for one in found if one is not None]
    assert np.median(heights) == pytest.approx(960.0, rel=0.01)
    assert sum(_holds(one.interval95, 960.0) for one in found if one is not None) >= 26


def test_plateau95_on_workers() -> None:
    """95 % of the plateau of 24 workers is reached at 22.8 connections."""
    found = plateau95(points(drawn_sweep(workers_curve(24, 0.025), SIZES).trials))
    assert found.size == pytest.approx(22.8, abs=0.5)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1, 2, 4, 8, 16), "widen the range: throughput still rises at 16"),
        ((4,), "one size is not a curve"),
    ],
)
def test_no_knee_where_none_was_seen(sizes: tuple[int, ...], said: str) -> None:
    """A curve that still rises has no plateau and no knee, and the note says what to do."""
    measured = points(drawn_sweep(workers_curve(24, 0.025), sizes).trials)
    assert plateau(measured) is None
    for knee in (littles_law(measured), plateau95(measured)):
        assert knee.size is None
        assert knee.interval95 is None
        assert said in knee.note


def test_soft_curves_say_so() -> None:
    """Where the asymptotes meet far below the plateau's throughput, the note warns."""
    curve = law_curve(0.01, 0.08, 0.0008)
    found = littles_law(points(drawn_sweep(curve, (1, 2, 4, 8, 16, 24, 32, 48, 64)).trials))
    assert found.size is not None
    assert "soft" in found.note


def test_usl_peak_where_throughput_falls() -> None:
    """A curve of the law's own form gives its peak, and the interval holds it."""
    truth = ((1 - 0.05) / 0.002) ** 0.5
    sweep = drawn_sweep(law_curve(0.01, 0.05, 0.002), (1, 2, 4, 8, 16, 24, 32, 48, 64), seed=3)
    found = usl_peak(points(sweep.trials))
    assert found.size == pytest.approx(truth, rel=0.1)
    assert _holds(found.interval95, truth)


@pytest.mark.parametrize(
    "curve", [workers_curve(24, 0.025), law_curve(0.01, 0.05, 0.0), law_curve(0.01, 0.0, 0.0)]
)
def test_no_usl_peak_without_a_fall(curve: object) -> None:
    """A plateau, a slow rise and a straight line have no peak, whatever the law would fit."""
    assert callable(curve)
    for seed in range(5):
        assert usl_peak(points(drawn_sweep(curve, SIZES, seed=seed).trials)).size is None


def test_law_is_recovered_without_noise() -> None:
    """Three figures from exact points are exact."""
    sizes = np.array([1.0, 4.0, 16.0, 64.0])
    true = law_curve(0.01, 0.03, 0.0007)
    law = ScalabilityLaw.fit(sizes, np.array([true(int(n)) for n in sizes]), np.full(4, 0.01))
    assert tuple(law) == pytest.approx((100.0, 0.03, 0.0007), rel=1e-6)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_intervals_hold_the_truth(known: Known) -> None:
    """On curves with known knees; `tests.bench.coverage` counts the share with many more draws."""
    found = [seen(measured(known, seed)) for seed in range(4)]
    held = sum(one[rule].holds(truth) for one in found for rule, truth in known.truth.items())
    assert held >= 0.66 * len(found) * len(known.truth)


def test_kneed_finds_the_same_corner() -> None:
    """A second opinion where there is a sharp corner (Satopaa et al. 2011, "Kneedle")."""
    for workers in (12, 24):
        trials = drawn_sweep(workers_curve(workers, 0.02), range(1, 3 * workers, 2)).trials
        curve = points(trials)
        other = KneeLocator(
            [point.pool_size for point in curve],
            [point.throughput for point in curve],
            curve="concave",
            direction="increasing",
        )
        ours = littles_law(curve)
        assert ours.size == pytest.approx(other.knee, abs=1.5)


def test_same_data_same_knees() -> None:
    """The bootstrap is seeded."""
    measured = points(drawn_sweep(workers_curve(24, 0.025), SIZES, seed=1).trials)
    assert knees(measured) == knees(measured)


def test_draws_without_a_peak_are_not_taken_for_the_largest_size() -> None:
    """They rise for ever, so they lie beyond every peak and never pull the interval in."""
    seen: list[float | None] = [float(peak) for peak in range(20, 215)]
    low, high = _interval_of_peaks([*seen, *[None] * 5])
    assert (low, high) == (24.0, 214.0)
