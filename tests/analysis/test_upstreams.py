"""The further upstreams are simulated exactly: against known answers and the simple ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis import simulate
from tests.analysis.simulate import Upstream, Workers
from tests.analysis.upstreams import HeavyTailed, Line, Pausing, Sharing, Split, Stage

ALL = (
    Sharing(0.010, 4, 1.0),
    Sharing(0.010, 100, 0.5, 0.05, 0.001),
    Line((Stage(0.01, 4, 0.5), Stage(0.002, 1, 1.0, 0.5))),
    Pausing(4, 0.010, 0.5, 0.010, 0.1),
    Split(6, 0.010, 0.5),
    HeavyTailed(6, 0.003, 1.6),
)


@pytest.mark.parametrize("upstream", ALL)
@pytest.mark.parametrize("pool_size", [1, 3, 9])
def test_pool_never_holds_more_than_its_size(upstream: Upstream, pool_size: int) -> None:
    """At most `pool_size` calls hold a connection, and whoever waited took a freed one."""
    calls = simulate.open_loop(upstream, 250.0, pool_size, 3000, seed=4)
    assert np.all(calls.waits >= 0)
    assert np.all(np.diff(calls.acquired) >= 0)
    changes = np.concatenate((calls.acquired, calls.released))
    steps = np.concatenate((np.ones(3000), -np.ones(3000)))
    held = np.cumsum(steps[np.lexsort((steps, changes))])
    assert held.max() <= pool_size
    assert np.all(np.isin(calls.acquired[calls.waits > 0], calls.released))


@pytest.mark.parametrize("pool_size", [2, 5, 12])
def test_one_stage_is_a_row_of_workers(pool_size: int) -> None:
    """A line of one stage and workers that never pause are `Workers`, call by call."""
    for same in (
        Line((Stage(0.010, 4, 0.5),)),
        Pausing(4, 0.010, 0.5, pause=0.0, every=1.0),
    ):
        expected = simulate.open_loop(Workers(4, 0.010, 0.5), 300.0, pool_size, 2000, seed=1)
        found = simulate.open_loop(same, 300.0, pool_size, 2000, seed=1)
        np.testing.assert_allclose(found.acquired, expected.acquired, atol=1e-9)
        np.testing.assert_allclose(found.released, expected.released, atol=1e-9)


def test_pauses_stop_everyone() -> None:
    """With a pause in every 0.1 s of work, capacity is 0.1 / (0.1 + pause) of the workers'."""
    calls = simulate.closed_loop(Pausing(4, 0.010, 0.5, 0.020, 0.1), 8, 40_000, seed=2)
    ends = np.sort(calls.released)[2000:-2000]
    rate = (ends.size - 1) / (ends[-1] - ends[0])
    assert rate == pytest.approx(400.0 / 1.2, rel=0.03)


@pytest.mark.parametrize("cv", [0.0, 1.0, 2.0])
def test_sharing_does_not_mind_the_spread(cv: float) -> None:
    """M/G/1 processor sharing: the mean time in service is S / (1 - rho) whatever the spread."""
    calls = simulate.open_loop(Sharing(0.01, 1, cv), 60.0, 10_000, 150_000, seed=3)
    assert calls.holds[5000:].mean() == pytest.approx(0.01 / 0.4, rel=0.06)


def test_split_is_many_queues_of_one() -> None:
    """Calls sent to a server at random wait as in M/G/1: rho S (1 + cv^2) / 2 / (1 - rho)."""
    calls = simulate.open_loop(Split(5, 0.01, 1.0), 300.0, 10_000, 150_000, seed=3)
    queued = calls.holds[5000:].mean() - 0.01
    assert queued == pytest.approx(0.6 * 0.01 / 0.4, rel=0.08)


def test_stages_in_a_row_of_exponential_like_times() -> None:
    """Plenty of servers: the hold is the sum of the stages, a share stops at the second."""
    line = Line((Stage(0.01, None, 0.5), Stage(0.02, None, 0.5, 0.25)))
    calls = simulate.open_loop(line, 100.0, 1000, 50_000, seed=1)
    assert calls.holds.mean() == pytest.approx(0.015, rel=0.03)


def test_heavy_tails_have_their_mean() -> None:
    """One connection, no load: the mean of a bounded Pareto distribution."""
    alpha, ratio = 1.6, 200.0
    mean = 0.003 * alpha / (alpha - 1) * (1 - ratio ** (1 - alpha)) / (1 - ratio**-alpha)
    calls = simulate.closed_loop(HeavyTailed(6, 0.003, alpha), 1, 200_000, seed=1)
    assert calls.holds.mean() == pytest.approx(mean, rel=0.03)
