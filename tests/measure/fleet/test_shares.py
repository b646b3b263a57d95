"""A trial divided over generators asks of the server what the whole would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.analysis.replicas import Change
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


@given(before=st.integers(1, 40), after=st.integers(1, 40), generators=st.integers(1, 12))
def test_pools_that_come_or_go_are_the_last_ones(before: int, after: int, generators: int) -> None:
    """Before the change and after it the load is that of the whole, each pool with its share."""
    change = Change(2.0, 2.5, before, after, (300.0, 300.0), 0.01)
    pools = max(before, after)
    plan = TrialPlan("surge", 4, 1.0, 5.0, "a test", pools=pools, rate=300.0, change=change)
    each = of(plan, generators)
    changes = [load.plan.change for load in each if load.plan.change is not None]
    assert len(changes) == len(each)
    assert sum(one.before for one in changes) == before
    assert sum(one.after for one in changes) == after
    for one in changes:
        assert one.rates == pytest.approx((300.0 * one.before / before, 300.0 * one.after / after))
    assert sum(load.plan.rate or 0.0 for load in each) == pytest.approx(300.0)
    assert all(
        max(one.rates) <= 300.0 * load.share + 1e-9 for one, load in zip(changes, each, strict=True)
    )
    if before > after:  # whole generators go first
        served = [one.after for one in changes]
        assert sorted(served, key=lambda count: count == 0) == served


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
