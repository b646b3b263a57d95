"""The simulator against answers that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis import simulate
from tests.analysis.formulas import erlang_c
from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers


@pytest.mark.parametrize(
    ("arrived", "holds", "pool_size", "acquired"),
    [
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 1, [0.0, 1.0, 2.0]),  # one connection: in turn
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 2, [0.0, 0.0, 1.0]),  # exactly full, one waits
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 3, [0.0, 0.0, 0.0]),  # room for all
        ([0.0, 1.0, 2.5], [2.0, 0.5, 1.0], 1, [0.0, 2.0, 2.5]),  # released just in time
        ([0.0, 0.0, 0.1], [3.0, 1.0, 1.0], 2, [0.0, 0.0, 1.0]),  # the first free one is taken
        ([], [], 1, []),
    ],
)
def test_queue_serves_in_order(
    arrived: list[float], holds: list[float], pool_size: int, acquired: list[float]
) -> None:
    """Each call takes the connection that is free first, in order of arrival."""
    calls = simulate.queue(np.array(arrived), np.array(holds), pool_size)
    assert calls.acquired.tolist() == acquired
    assert np.array_equal(calls.released, calls.acquired + np.array(holds))


def test_exponential_times_give_erlang_c() -> None:
    """M/M/c: the share that waits and the mean wait are Erlang's."""
    rng = np.random.default_rng(3)
    arrived = simulate.poisson(400.0, 400_000, rng)
    waits = simulate.queue(arrived, rng.exponential(0.02, 400_000), 10).waits
    assert (waits > 0).mean() == pytest.approx(erlang_c(10, 8.0), rel=0.04)
    assert waits.mean() == pytest.approx(erlang_c(10, 8.0) / (10 / 0.02 - 400), rel=0.06)


def test_calls_of_equal_length_leave_together() -> None:
    """Two connections, six calls at once: a tie frees both, and nobody overtakes."""
    upstream = Contended(0.010, 0.0, 0.0)
    calls = upstream.serve(np.zeros(6), 2, np.random.default_rng(1))
    assert calls.acquired.tolist() == pytest.approx([0.0, 0.0, 0.01, 0.01, 0.02, 0.02])


UPSTREAMS = (
    Workers(4, 0.010, 0.5),
    Workers(4, 0.010, 0.5, slow_share=0.1, slow_factor=5.0),
    CpuBound(0.010, 0.002, 0.3),
    CpuBound(0.010, 0.002, 0.3, cpu_cv=0.5),
    Contended(0.010, 0.1, 0.001, 0.3),
    Contended(0.010, 0.0, 0.0),
)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("pool_size", [1, 2, 4, 9])
def test_pool_never_holds_more_than_its_size(upstream: Upstream, pool_size: int) -> None:
    """At most `pool_size` calls hold a connection, and none waits beside a free one."""
    calls = simulate.open_loop(upstream, 300.0, pool_size, 3000, seed=4)
    assert np.all(calls.waits >= 0)
    assert np.all(calls.holds > 0)
    assert np.all(np.diff(calls.acquired) >= 0)
    changes = np.concatenate((calls.acquired, calls.released))
    steps = np.concatenate((np.ones(3000), -np.ones(3000)))
    # A release and the acquisition it allows share a moment: the release comes first.
    held = np.cumsum(steps[np.lexsort((steps, changes))])
    assert held.max() <= pool_size
    waited = calls.waits > 0
    assert np.all(np.isin(calls.acquired[waited], calls.released))


@pytest.mark.parametrize(
    ("upstream", "callers", "throughput"),
    [
        (Workers(4, 0.010, 0.5), 1, 100.0),
        (Workers(4, 0.010, 0.5), 4, 400.0),
        (Workers(4, 0.010, 0.5), 9, 400.0),
        (CpuBound(0.010, 0.002), 1, 1 / 0.012),
        (CpuBound(0.010, 0.002, 0.3), 30, 500.0),
        (Contended(0.010, 0.1, 0.001), 5, 5 / (0.010 * (1 + 0.4 + 0.02))),
    ],
)
def test_closed_loops_reach_the_known_throughput(
    upstream: Upstream, callers: int, throughput: float
) -> None:
    """n callers without pauses: n / S until the upstream saturates, then its capacity."""
    calls = simulate.closed_loop(upstream, callers, 20_000, seed=2)
    middle = np.sort(calls.released)[2000:-2000]
    assert (middle.size - 1) / (middle[-1] - middle[0]) == pytest.approx(throughput, rel=0.02)


def test_insensitivity_of_many_connections() -> None:
    """With a connection for everyone, calls in the system are lambda * S whatever the spread."""
    for cv in (0.0, 2.0):
        calls = simulate.open_loop(Workers(1000, 0.010, cv), 500.0, 1000, 50_000, seed=6)
        mean = calls.holds.sum() / (calls.released.max() - calls.arrived[0])
        assert mean == pytest.approx(5.0, rel=0.05)
        assert calls.waits.max() == 0.0
