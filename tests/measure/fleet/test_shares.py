"""A trial divided over generators asks of the server what the whole would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.measure.fleet.shares import shares
from poolkit.measure.generating import Load
from poolkit.measure.sweep import TrialPlan

SIZES = st.integers(1, 300)


def of(plan: TrialPlan, generators: int, most: int = 100_000) -> list[Load]:
    return shares(Load(plan, seed=7, grace=5.0, max_calls=most), generators)


@given(size=SIZES, callers_each=st.integers(1, 4), generators=st.integers(1, 20), most=SIZES)
def test_a_closed_loop_is_divided_connections_and_callers_alike(
    size: int, callers_each: int, generators: int, most: int
) -> None:
    """As many connections, callers and calls in all, and no generator without any connection."""
    plan = TrialPlan("ramp", size, 0.25, 2.0, "a test", callers=callers_each * size)
    each = of(plan, generators, most)
    assert len(each) == min(size, generators)
    assert sum(load.plan.pool_size for load in each) == size
    assert sum(load.plan.callers or 0 for load in each) == callers_each * size
    assert all(load.plan.callers == callers_each * load.plan.pool_size for load in each)
    assert sum(load.max_calls for load in each) == most
    assert sum(load.share for load in each) == pytest.approx(1.0)
    assert len({load.seed for load in each}) == len(each)


@given(pools=st.integers(2, 100), size=SIZES, generators=st.integers(1, 20))
def test_pools_of_an_open_loop_are_given_out_whole(pools: int, size: int, generators: int) -> None:
    """Each pool keeps its size and its rate, whoever owns it."""
    plan = TrialPlan("verify", size, 0.4, 5.0, "a test", pools=pools, rate=10.0 * pools)
    each = of(plan, generators)
    assert len(each) == min(pools, generators)
    assert sum(load.plan.pools for load in each) == pools
    assert all(load.plan.pool_size == size for load in each)
    assert all(load.plan.rate == pytest.approx(10.0 * load.plan.pools) for load in each)


def test_the_one_pool_of_an_open_loop_stays_whole() -> None:
    """A pool is one process's: another answer would be for a service that is not there."""
    plan = TrialPlan("verify", 8, 0.4, 5.0, "a test", rate=100.0)
    (alone,) = of(plan, 4)
    assert alone.plan == plan


def test_arrivals_of_the_readers_own_cannot_be_divided() -> None:
    """They are a sequence that has one order."""
    plan = TrialPlan("verify", 8, 0.4, 5.0, "a test", pools=4)
    with pytest.raises(ValueError, match="cannot be divided"):
        shares(Load(plan, 7, 5.0, 100, arrivals=[0.1, 0.2]), 2)
