"""The smallest pool with which callers are served as soon, against an exact simulation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from poolkit.analysis.sizing import size
from poolkit.analysis.what_if import Planner, Question, what_if
from poolkit.records import Pooler, Sizing, Sweep
from poolkit.targets.objective import Objective
from tests.analysis import simulate
from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers
from tests.analysis.synthetic import drawn_sweep, simulated_trial, workers_curve

SIZES = (1, 2, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48)
SAME = 1.02


@cache
def swept(upstream: Upstream, sizes: tuple[int, ...], seed: int = 3) -> Sweep:
    trials = tuple(simulated_trial(upstream, n, seconds=2.5, seed=seed) for n in sizes)
    return Sweep(target="simulated", trials=trials)


@cache
def served(upstream: Upstream, rate: float, pool_size: int) -> tuple[float, float]:
    """The mean and p99 response time (s) of a long open loop."""
    calls = simulate.open_loop(upstream, rate, pool_size, 150_000, seed=5)
    times = (calls.released - calls.arrived)[5000:]
    return float(times.mean()), float(np.quantile(times, 0.99))


def is_as_fast(upstream: Upstream, rate: float, pool_size: int, roomy: int) -> bool:
    """Whether mean and p99 are within 2 % of those with a roomy pool."""
    pairs = zip(served(upstream, rate, pool_size), served(upstream, rate, roomy), strict=True)
    return all(seen <= SAME * best for seen, best in pairs)


@pytest.mark.parametrize(
    ("upstream", "rate", "serving"),
    [
        (Workers(7, 0.025, 0.5), 224.0, 7),  # a service that runs 7 calls at a time
        (Workers(7, 0.025, 0.05), 252.0, 7),
        (Workers(5, 0.010, 1.0), 425.0, 5),  # behind a pooler with 5 servers
    ],
)
def test_both_sizes_where_the_queue_only_moves(
    upstream: Workers, rate: float, serving: int
) -> None:
    """A wait that is asked needs many; the size beside it serves callers as soon in truth."""
    sweep = swept(upstream, SIZES)
    found = size(sweep, Objective(target_rate=rate, wait_p99=0.010))
    few = found.smallest_as_fast
    assert found.size is not None
    assert few is not None
    assert serving <= few <= serving + 1 < found.size / 1.5
    assert is_as_fast(upstream, rate, few, found.size)
    assert not is_as_fast(upstream, rate, serving - 1, found.size)
    assert found.only_moves_queue is not None
    for said in (
        f"{few} connections serve callers as soon as {found.size}",
        "the queue only moves into the server",
        f"{found.size} are needed only for the p99 wait asked, 10 ms",
    ):
        assert said in found.only_moves_queue


@pytest.mark.parametrize("pooler", ["transaction", "session", "unknown", None])
@pytest.mark.parametrize("rate", [425.0, 480.0], ids=["two sizes", "out of reach"])
def test_behind_a_pooler_its_own_setting_is_named(pooler: Pooler | None, rate: float) -> None:
    """5 servers behind PgBouncer: what keeps the others waiting, and what would raise the rate."""
    sweep = swept(Workers(5, 0.010, 1.0), SIZES)
    trials = tuple(trial.model_copy(update={"pooler": pooler}) for trial in sweep.trials)
    found = size(
        sweep.model_copy(update={"trials": trials}), Objective(target_rate=rate, wait_p99=0.010)
    )
    assert found.out_of_reach == (rate > 450.0)
    said = found.raised_by if found.out_of_reach else found.only_moves_queue
    assert said
    assert ("PgBouncer: default_pool_size" in said) == (pooler is not None)


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize(
    ("upstream", "rate", "sizes", "few", "roomy"),
    [
        (Workers(7, 0.025, 0.5), 224.0, SIZES, 7, 32),
        (Workers(5, 0.010, 1.0), 425.0, SIZES, 5, 32),
        (Workers(24, 0.025, 0.5), 600.0, (1, 2, 4, 8, 16, 18, 20, 22, 24, 32, 48), 21, 32),
        (CpuBound(0.015, 0.00127, 0.3), 630.0, (1, 2, 4, 8, 12, 14, 16, 18, 20, 32), 15, 32),
        (Contended(0.009, 0.1, 0.001, 0.3), 500.0, (1, 4, 8, 12, 14, 16, 18, 24, 32), 14, 18),
    ],
)
def test_nothing_asked_of_the_times(
    upstream: Upstream, rate: float, sizes: tuple[int, ...], few: int, roomy: int, seed: int
) -> None:
    """The size is the smallest that serves callers as soon: `few` in a long simulation, or near."""
    found = size(swept(upstream, sizes, seed), Objective(target_rate=rate))
    assert found.size is not None
    assert (found.limited_by, found.smallest_as_fast) == ("response", None)
    assert few - 1 <= found.size <= few + 3
    means = [served(upstream, rate, n)[0] for n in (found.size, roomy)]
    assert means[0] <= 1.04 * means[1]  # the curve is known to a few per cent
    assert not is_as_fast(upstream, rate, few - 1, roomy)
    assert "serve callers as soon as any number can: mean response" in found.because


def test_one_size_where_a_larger_pool_serves_sooner() -> None:
    """Calls that do not meet in the server: whoever waits in the pool would be served sooner."""
    sweep = drawn_sweep(workers_curve(24, 0.025), SIZES, dispersion=0.25)
    found = size(sweep, Objective(target_rate=600.0, wait_p99=0.010))
    assert found.size is not None
    assert (found.smallest_as_fast, found.only_moves_queue) == (None, None)


def _nothing_asked(curve_of: int, sizes: tuple[int, ...], **asked: float) -> Sizing:
    sweep = drawn_sweep(workers_curve(curve_of, 0.020), sizes)
    return size(sweep, Objective.model_validate({"target_rate": 600.0, **asked}))


def test_rising_throughput_cannot_say() -> None:
    """16 of 40 workers measured, 12 of them busy: more would serve callers sooner."""
    found = _nothing_asked(40, (1, 2, 4, 8, 12, 16))
    assert found.size is None
    assert (
        "might be served sooner by more: measure larger sizes, which a larger budget allows"
        in found.because
    )
    calm = _nothing_asked(40, (1, 2, 4, 8, 12, 16), target_rate=300.0)
    assert calm.size in (9, 10, 11)


def test_the_cap_is_told() -> None:
    """Where the cap is what keeps callers waiting, the size is the largest, and that is said."""
    found = _nothing_asked(40, (1, 2, 4, 8, 12, 14), max_size=14)
    assert found.size == 14
    assert "as any number that max_size = 14 leaves" in found.because


def test_beyond_the_plateau() -> None:
    """No size: what is within reach is what the upstream carries."""
    found = _nothing_asked(12, (1, 2, 4, 8, 12, 16, 24), target_rate=660.0)
    assert found.size is None
    assert found.out_of_reach
    assert found.reachable_rate == pytest.approx(600.0, rel=0.02)


def test_a_fleet_and_a_floor() -> None:
    """Pools that share an upstream of 24; tasks that hold two connections set a floor."""
    fleet = _nothing_asked(24, SIZES, target_rate=900.0, replicas=4, max_size=64)
    assert fleet.size is not None
    assert 7 <= fleet.size <= 12  # three are left, of 24 that work at a time
    tied = _nothing_asked(24, SIZES, tasks=29, connections_per_task=2)
    assert (tied.size, tied.limited_by, tied.smallest_as_fast) == (30, "floor", None)


def test_what_if_has_both() -> None:
    """The same two sizes, and with another question one."""
    sweep = drawn_sweep(workers_curve(7, 0.025), SIZES, dispersion=0.3)
    planner = Planner.of(sweep, Objective(target_rate=240.0, wait_p99=0.005))
    answer = what_if(planner, Question())
    assert answer.smallest_as_fast in (7, 8)
    assert what_if(planner, Question(target_rate=100.0)).smallest_as_fast is None
