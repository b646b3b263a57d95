"""A saturated upstream: Cd2 pooled over trials, and v told from the hold times of closed loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from poolkit.analysis.queueing import waits
from poolkit.analysis.saturation import LEAST_FACTOR, plateau_factor, pooled_dispersion
from poolkit.records import Distribution
from tests.analysis import simulate
from tests.analysis.simulate import CpuBound, Upstream, Workers
from tests.analysis.synthetic import drawn_trial, simulated_trial, workers_curve
from tests.analysis.upstreams import Line, Sharing, Stage


@pytest.mark.parametrize(
    ("upstream", "low", "high"),
    [
        (Workers(16, 0.01, 0.5), 0.15, 0.35),  # cv^2 = 0.25
        (Workers(16, 0.01, 1.0), 0.65, 1.2),  # cv^2 = 1
        (CpuBound(0.01, 0.001, 0.3), 0.0, 0.12),  # one thread, constant work
        (CpuBound(0.01, 0.001, 0.3, 1.0), 0.6, 1.3),  # one thread, random work
    ],
)
def test_known_upstreams(upstream: Upstream, low: float, high: float) -> None:
    """A few short trials near saturation tell how random the departures are."""
    trials = [simulated_trial(upstream, n, seconds=2.0, seed=n) for n in (1, 8, 16, 20, 24, 32)]
    found = pooled_dispersion(trials)
    assert found is not None
    assert low <= found <= high


def test_trials_far_from_saturation_say_little() -> None:
    """Only trials with most of the top throughput count."""
    trials = [drawn_trial(1, 40.0, dispersion=9.0), drawn_trial(24, 960.0, dispersion=0.2)]
    assert pooled_dispersion(trials) == pytest.approx(0.2, abs=0.05)


def test_the_interval_stands_in() -> None:
    """A trial too short for a dispersion gives the one that its throughput's interval implies."""
    drawn = drawn_trial(24, 960.0, dispersion=0.5)
    without = drawn.model_copy(update={"dispersion": None})
    assert pooled_dispersion([without]) == pytest.approx(0.37, abs=0.1)


def test_nothing_seen() -> None:
    """No usable trial, no figure."""
    assert pooled_dispersion([]) is None
    assert pooled_dispersion([drawn_trial(8, 300.0, stopped="errors")]) is None


SIZES = (1, 2, 4, 8, 16, 32)


def _factor(upstream: Upstream, dispersion: float) -> float:
    trials = [simulated_trial(upstream, size, seconds=4.25, seed=5) for size in SIZES]
    # Short trials may fail a check by chance; here only their hold times matter.
    passed = [trial.model_copy(update={"checks": ()}) for trial in trials]
    return plateau_factor(passed, dispersion)


@pytest.mark.parametrize(
    ("upstream", "dispersion", "expected", "why"),
    [
        (Workers(8, 0.010, 0.0), 0.0, 0.5, "clockwork in order"),
        (Workers(8, 0.010, 1.0), 1.0, 1.0, "exponential-like in order"),
        (Workers(8, 0.010, 2.0), 3.0, 2.0, "very varied, in order: queues are longer"),
        (CpuBound(0.010, 0.0015, 0.3, 0.5), 0.25, 0.625, "one thread takes calls in order"),
        (Sharing(0.010, 8, 0.5), 0.25, 1.0, "shared: the spread of the work does not matter"),
        (Sharing(0.010, 8, 2.0), 3.0, 2.0, "shared and very varied: the safe side"),
        (Line((Stage(0.01, None, 0.3), Stage(0.005, 1, 0.5, 0.3))), 2.9, 0.8, "a lock for 30 %"),
    ],
)
def test_how_calls_queue(upstream: Upstream, dispersion: float, expected: float, why: str) -> None:
    """(1 + Cd2) / 2 in order; 1 or more where calls share; towards p times it where most pass."""
    assert _factor(upstream, dispersion) == pytest.approx(expected, rel=0.2), why


def test_nothing_beyond_saturation_says_nothing() -> None:
    """While holds do not grow, the factor is that of calls served in order."""
    curve = workers_curve(64, 0.01)
    trials = [drawn_trial(size, curve(size)) for size in (1, 4, 16)]
    assert plateau_factor(trials, 0.4) == pytest.approx(0.7)
    assert plateau_factor([], 3.0) == pytest.approx(2.0)


def test_holds_without_buckets_say_nothing() -> None:
    """Records without distributions are read as calls served in order."""
    bare = Distribution(count=100, mean=0.02, p50=0.02)
    trial = drawn_trial(8, 400.0).model_copy(update={"hold_time": bare})
    assert plateau_factor([trial], 1.0) == pytest.approx(1.0)


def test_never_less_than_clockwork() -> None:
    """However the holds look, v stays at 0.5 or more."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        trials = [
            drawn_trial(size, float(rng.uniform(50, 400)), noise=rng) for size in (1, 4, 16, 64)
        ]
        assert plateau_factor(trials, float(rng.uniform(0, 5))) >= LEAST_FACTOR


def test_a_lock_that_some_take_queues_less() -> None:
    """With the factor the prediction is nearer to the exact simulation than without."""
    upstream = Line((Stage(0.012, None, 0.5), Stage(0.005, 1, 0.5, 0.4)))
    rate, limit, pool_size, dispersion = 400.0, 0.008, 24, 2.2

    class Curve:
        def throughputs(self, sizes: ArrayLike) -> NDArray[np.float64]:
            return np.asarray(np.interp(np.asarray(sizes, dtype=float), known, rates))

    known = np.array([1, 2, 4, 6, 8, 10, 12, 16, 24, 32])
    rates = []
    for size in known:
        ends = np.sort(simulate.closed_loop(upstream, int(size), 15_000, seed=3).released)
        rates.append((ends.size - 3001) / (ends[-1] - ends[3000]))
    calls = simulate.open_loop(upstream, rate, pool_size, 200_000, seed=4)
    truth = float((calls.waits[10_000:] > limit).mean())
    factor = _factor(upstream, dispersion)
    plain, better = (
        waits(Curve(), rate, (pool_size,), dispersion, one)[0].exceedance(limit)
        for one in (None, factor)
    )
    assert abs(np.log(better / truth)) < abs(np.log(plain / truth))
