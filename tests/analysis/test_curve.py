"""The curve through measured points: convex in cycle time, honest about its end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.analysis.curve import BeyondMeasuredError, Curve, SharedCurve, points
from poolkit.records import Check
from tests.analysis.synthetic import drawn_sweep, drawn_trial, law_curve, workers_curve

FAILED = Check(name="steady", passed=False, seen="", why="", next="")


def test_only_good_closed_trials_are_points() -> None:
    """Open loops, verifications, stopped, failed, failing and empty trials are not fitted."""
    good = drawn_trial(4, 400.0)
    left_out = [
        drawn_trial(8, 800.0, checks=[FAILED]),
        drawn_trial(8, 800.0, stopped="errors"),
        drawn_trial(8, 800.0, purpose="verify"),
        drawn_trial(8, 800.0).model_copy(update={"loop": "open"}),
        drawn_trial(8, 0.0),
        drawn_trial(8, 800.0, hold=0.0),
        drawn_trial(8, 800.0, outcomes={"ok": 90, "error": 10}),
    ]
    assert [point.pool_size for point in points([*left_out, good])] == [4]


def test_repeats_are_pooled_by_window() -> None:
    """A trial of twice the length counts twice; the interval narrows with repeats."""
    found = points([drawn_trial(4, 400.0, window=1.0), drawn_trial(4, 430.0, window=2.0)])
    assert found[0].throughput == pytest.approx(420.0)
    assert found[0].repeats == 2


def test_spread_between_repeats_widens_the_interval() -> None:
    """When repeats differ by more than each trial's own noise, that is the noise."""
    rates = (380.0, 420.0, 390.0, 410.0)
    calm = points([drawn_trial(4, 400.0, dispersion=0.001) for _ in rates])[0]
    wild = points([drawn_trial(4, rate, dispersion=0.001) for rate in rates])[0]
    assert calm.interval95 is not None
    assert wild.interval95 is not None
    assert np.ptp(wild.interval95) > 3 * np.ptp(calm.interval95)


@pytest.mark.parametrize(
    ("true", "sizes"),
    [
        (workers_curve(24, 0.025), (1, 2, 4, 8, 16, 32, 64)),
        (law_curve(0.01, 0.1, 0.001), (1, 2, 4, 8, 16, 32)),
        (law_curve(0.01, 0.03, 0.0), (1, 4, 16, 64)),
    ],
)
def test_reads_between_the_sizes(true: object, sizes: tuple[int, ...]) -> None:
    """Without noise the points are met, and between them the curve is right to 8 %."""
    assert callable(true)
    curve = Curve.fit(points(drawn_sweep(true, sizes).trials))
    for size in range(1, sizes[-1] + 1):
        allowed = 0.005 if size in sizes else 0.08
        assert curve.throughput(size) == pytest.approx(true(size), rel=allowed)


def test_a_sharp_corner_is_found_between_points() -> None:
    """24 workers measured at 16 and 32: the corner between is not cut by more than 6 %."""
    curve = Curve.fit(points(drawn_sweep(workers_curve(24, 0.025), (8, 16, 32, 64)).trials))
    assert curve.throughput(24) >= 0.94 * 960


rates = st.lists(st.floats(50, 2000), min_size=1, max_size=9)


@given(rates)
def test_any_points_give_a_rising_cycle(found: list[float]) -> None:
    """Whatever was measured, the cycle time rises, and no throughput is 0 or less."""
    sizes = np.array([2.0**k for k in range(len(found))])
    curve = Curve.through(sizes, np.array(found), np.full(len(found), 0.02))
    cycles = curve.cycle_time(np.linspace(1, sizes[-1], 50))
    assert np.all(np.diff(cycles) >= -1e-9 * cycles[:-1])
    assert np.all(curve.throughputs(np.linspace(1, sizes[-1], 50)) > 0)


def test_nothing_is_extrapolated_unsaid() -> None:
    """Beyond the largest size it raises, unless throughput was said to stay."""
    curve = Curve.fit(points(drawn_sweep(workers_curve(8, 0.01), (1, 4, 8, 16)).trials))
    with pytest.raises(BeyondMeasuredError, match="beyond 16"):
        curve.throughput(17)
    flat = curve.held_flat(40)
    assert flat.throughput(40) == pytest.approx(flat.throughput(16))
    with pytest.raises(BeyondMeasuredError, match="beyond 40"):
        flat.throughput(41)


def test_noise_at_small_sizes_is_pooled() -> None:
    """S(1) of a flat start is nearer to the truth than the trial at size 1 alone."""
    errors, alone = [], []
    for seed in range(60):
        sweep = drawn_sweep(
            workers_curve(24, 0.025), (1, 2, 4, 8, 16, 24, 32), seed=seed, dispersion=1.0
        )
        measured = points(sweep.trials)
        errors.append(Curve.fit(measured).cycles[0] / 0.025 - 1)
        alone.append(1 / measured[0].throughput / 0.025 - 1)
    assert np.sqrt(np.mean(np.square(errors))) < 0.4 * np.sqrt(np.mean(np.square(alone)))
    assert abs(np.mean(errors)) < 0.03


def test_noise_is_no_fall() -> None:
    """A last point that is a little low leaves the plateau flat; a clear fall is followed."""
    sizes = np.array([1.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    errors = np.full(6, 0.02)
    flat = np.array([100.0, 400.0, 800.0, 800.0, 800.0, 800.0])
    noisy, falling = flat.copy(), flat.copy()
    noisy[-1], falling[-1] = 0.96 * 800, 0.75 * 800
    curve = Curve.through(sizes, noisy, errors)
    assert curve.throughput(64) >= curve.throughput(16) * (1 - 1e-9)
    assert Curve.through(sizes, falling, errors).throughput(64) == pytest.approx(600, rel=0.03)


@given(st.lists(st.floats(-0.05, 0.05), min_size=7, max_size=7))
def test_workers_with_noise_never_fall(noise: list[float]) -> None:
    """Noise of a few per cent around a row of workers gives a curve that does not fall."""
    sizes = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    rates = np.minimum(sizes, 12.0) * 100 * np.exp(np.array(noise) / 2)
    curve = Curve.through(sizes, rates, np.full(7, 0.025))
    found = curve.throughputs(np.arange(1, 65))
    assert np.all(np.diff(found) >= -1e-6 * found[1:])


def test_shared_by_a_fleet() -> None:
    """Each of four pools sees a quarter of what all their connections together reach."""
    curve = Curve.fit(points(drawn_sweep(workers_curve(24, 0.025), (1, 8, 16, 24, 32)).trials))
    shared = SharedCurve(curve, 4)
    assert shared.largest == 8
    assert shared.throughputs([4])[0] == pytest.approx(curve.throughput(16) / 4)
