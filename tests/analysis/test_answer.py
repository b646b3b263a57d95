"""The search for a size where a larger one need not be better: falling curves, refusals, fleets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poolkit.analysis.model import Fitted
from poolkit.analysis.sizing import size
from poolkit.analysis.smallest import find
from poolkit.analysis.what_if import Planner, Question, what_if
from poolkit.records import Sweep
from poolkit.targets.objective import Objective
from tests.analysis.synthetic import drawn_sweep, law_curve, workers_curve

SIZES = (1, 2, 4, 8, 12, 16, 18, 20, 24, 32, 48, 64)
# Highest at 18 connections (735 calls/s); 458 calls/s at 60.
FALLING = drawn_sweep(law_curve(0.00947, 0.04, 0.00296), SIZES)
WORKERS = drawn_sweep(workers_curve(24, 0.025), SIZES, dispersion=0.25)
ASKED = Objective(target_rate=560.0, wait_p99=0.010)


def test_a_falling_curve_is_answered_before_its_peak() -> None:
    """The size of the load alone: what is asked on top of it below would leave it."""
    found = size(FALLING, ASKED)
    assert found.size is not None
    assert 8 <= found.size <= 18


@pytest.mark.parametrize(
    ("asked", "limited_by", "said"),
    [
        (ASKED.but(headroom=4.5), "plateau", "the headroom asked is not available: 450 %"),
        (
            ASKED.but(tasks=59, connections_per_task=2),
            "floor",
            "a pool needs 60 connections so that its tasks",
        ),
    ],
)
def test_what_is_asked_on_top_must_meet_the_times_too(
    asked: Objective, limited_by: str, said: str
) -> None:
    """60 connections carry 458 of 560 calls/s: named and out of reach, with what would do."""
    found = size(FALLING, asked)
    assert (found.size, found.out_of_reach, found.limited_by) == (None, True, limited_by)
    assert said in found.because
    assert "560 calls/s are not carried any more" in found.because
    needed = size(FALLING, ASKED).size
    assert f"{needed} connections" in found.because
    # What is called reachable is reached, the same on top.
    assert found.reachable_rate is not None
    assert found.reachable_rate < 458
    reached = asked.but(target_rate=0.99 * found.reachable_rate)
    assert size(FALLING, reached).size is not None


def test_a_larger_pool_is_not_taken_for_better() -> None:
    """A size beyond the peak is asked about: every call waits too long, so it does not meet."""
    planner = Planner.of(FALLING, ASKED)
    beyond = what_if(planner, Question(pool_size=60))
    assert beyond.late == 1.0
    assert not beyond.meets
    assert what_if(planner, Question(pool_size=size(FALLING, ASKED).size)).meets
    assert not what_if(planner, Question(pool_size=60, headroom=4.5)).meets
    # The floor is asked for too.
    assert not what_if(
        Planner.of(WORKERS, ASKED.but(tasks=29, connections_per_task=2)), Question(pool_size=24)
    ).meets


def test_a_size_holds_in_every_case_or_is_none() -> None:
    """Pools that carry the rate after a loss, but all of them together are beyond the peak."""
    fleet = Objective(target_rate=540.0, wait_p99=0.080, replicas=4, lost_replicas=3, max_size=64)
    found = find(Fitted.of(FALLING), fleet)
    assert (found.needed, found.size) == (None, None)
    assert found.tried is not None
    sizing = size(FALLING, fleet)
    assert sizing.out_of_reach
    assert f"a pool needs {found.tried} connections while replicas are lost" in sizing.because
    assert "together they ask too much of the upstream" in sizing.because
    # With one loss less there are sizes that hold with all of them up as well.
    fewer = size(FALLING, fleet.but(target_rate=300.0, lost_replicas=1))
    assert fewer.size is not None
    for lost in (0, 1):
        case = fleet.but(target_rate=300.0, lost_replicas=lost)
        at = what_if(Planner.of(FALLING, case), Question(pool_size=fewer.size))
        assert at.late is not None
        assert at.late <= 0.01


@pytest.mark.parametrize("max_size", [64, 128])
def test_no_cap_is_in_the_way_where_throughput_falls(max_size: int) -> None:
    """725 of 735 calls/s: more connections than the peak's do not help, whatever the cap."""
    found = size(FALLING, Objective(target_rate=725.0, wait_p99=0.002, max_size=max_size))
    assert (found.size, found.limited_by) == (None, "plateau")
    assert "is so near the plateau" in found.because
    assert re.search(r"throughput is highest at 1\d connections and falls beyond", found.because)
    assert "connections in all" not in found.raised_by


def test_a_cap_below_the_peak_is_in_the_way() -> None:
    """The same curve with room for 8 connections, where the rate needs more."""
    found = size(FALLING, ASKED.but(max_size=8))
    assert (found.size, found.limited_by) == (None, "cap")


def test_a_cap_that_leaves_the_plateau_is_not_in_the_way() -> None:
    """950 of 960 calls/s with waits of 1 ms: four times the connections would not do it either."""
    found = size(WORKERS, Objective(target_rate=959.0, wait_p99=0.001, max_size=64))
    assert (found.size, found.limited_by) == (None, "plateau")


def test_headroom_beyond_refusals_is_not_answered() -> None:
    """Nothing is known beyond the sizes at which calls are turned away."""
    upstream = replace(Fitted.of(WORKERS), ending="refused")
    upstream = replace(upstream, curve=upstream.curve.held_flat(0))
    asked = Objective(target_rate=600.0, wait_p99=0.010, max_size=256)
    needed = find(upstream, asked).size
    assert needed is not None
    assert find(upstream, asked.but(headroom=0.2)).size is not None
    spoilt = find(upstream, asked.but(headroom=4.0))
    assert (spoilt.size, spoilt.spoilt_by, spoilt.needed) == (None, "headroom", needed)


@pytest.mark.parametrize("pool_size", [200, 64])
def test_figures_beyond_the_sizes_measured_say_so(pool_size: int) -> None:
    """On a plateau throughput is taken to stay; the answer is flagged and its words tell."""
    planner = Planner.of(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, max_size=256))
    answer = what_if(planner, Question(pool_size=pool_size))
    assert answer.pool_size == pool_size
    assert answer.is_extrapolated is (pool_size > 64)
    told = "the figures are those of 200 connections: nothing was measured beyond 64"
    assert (told in answer.because) is (pool_size > 64)


def test_what_a_wider_cap_brings_is_flagged_where_nobody_measured_it() -> None:
    """A remedy that rests on throughput staying, and predictions beyond the largest size."""
    sweep = drawn_sweep(workers_curve(8, 0.010), (1, 2, 4, 6, 8, 11, 16), dispersion=1.0)
    found = size(sweep, Objective(target_rate=740.0, wait_p99=0.010, max_size=16))
    assert found.limited_by == "cap"
    assert (
        "32 connections in all (beyond the 16 measured, if throughput stays): " in found.raised_by
    )
    answered = size(sweep, Objective(target_rate=650.0, wait_p99=0.010))
    assert answered.size is not None
    assert answered.is_extrapolated
    flags = {one.pool_size: one.is_extrapolated for one in answered.predictions}
    assert (flags[16], flags[17]) == (False, True)


def test_nothing_is_guessed_below_the_smallest_size() -> None:
    """Sizes from 16 on tell nothing of a call that is alone, so there is no knee and no hold."""
    curve = law_curve(0.0165, 0.02, 0.0008)
    found = size(
        drawn_sweep(curve, (16, 20, 24, 32, 40, 48, 64)),
        Objective(target_rate=450.0, wait_p99=0.010),
    )
    knee = next(one for one in found.knees if one.rule == "littles_law")
    assert (knee.size, knee.interval95) == (None, None)
    assert "measure 1 connection" in knee.note
    assert found.hold_at_one is None
    assert found.size is not None
    assert "nothing was measured below 16" in found.because
    assert found.is_extrapolated is (found.size < 16)
    rule = next(one for one in found.rules_of_thumb if one.name == "littles_law_x1.3")
    assert "the p50 at 16 connections" in rule.fails


curves = st.sampled_from(
    [
        workers_curve(24, 0.025),
        workers_curve(8, 0.010),
        law_curve(0.009, 0.1, 0.001),
        law_curve(0.00947, 0.04, 0.00296),
    ]
)
objectives = st.builds(
    Objective,
    target_rate=st.floats(20, 900),
    wait_p99=st.floats(1e-3, 0.05),
    response_p99=st.one_of(st.none(), st.floats(0.02, 0.2)),
    headroom=st.sampled_from([0.0, 0.2, 0.6, 2.0]),
    tasks=st.sampled_from([1, 9, 29]),
    connections_per_task=st.sampled_from([1, 2]),
    max_size=st.sampled_from([24, 64, 160]),
    replicas=st.sampled_from([1, 3]),
)


def _size(sweep: Sweep, objective: Objective) -> float:
    """The size answered; more than any where there is none."""
    return find(Fitted.of(sweep), objective).size or float("inf")


@settings(max_examples=40, deadline=None)
@example(
    workers_curve(24, 0.025),
    1,
    Objective(target_rate=249.0, wait_p99=0.03125, response_p99=0.06574818543789251, max_size=24),
    1.25,
)
@given(curves, st.integers(0, 5), objectives, st.floats(1, 1.4))
def test_more_rate_never_asks_for_less(
    curve: Callable[[int], float], seed: int, asked: Objective, factor: float
) -> None:
    """Whatever is asked on top: more calls/s never get a smaller pool."""
    sweep = drawn_sweep(curve, SIZES, seed=seed)
    more = asked.but(target_rate=factor * asked.target_rate)
    assert _size(sweep, more) >= _size(sweep, asked)


@settings(max_examples=40, deadline=None)
@given(curves, st.integers(0, 5), objectives, st.floats(1, 5))
def test_laxer_times_never_ask_for_more(
    curve: Callable[[int], float], seed: int, asked: Objective, factor: float
) -> None:
    """A longer good wait, or a longer good response, never gets a larger pool."""
    sweep, strict = drawn_sweep(curve, SIZES, seed=seed), asked
    lax = asked.but(wait_p99=factor * (asked.wait_p99 or 1.0))
    assert _size(sweep, lax) <= _size(sweep, strict)
    if asked.response_p99 is not None:
        lax = asked.but(response_p99=factor * asked.response_p99)
        assert _size(sweep, lax) <= _size(sweep, strict)


def test_headroom_and_a_response_time_together_never_shrink_the_pool() -> None:
    """A contended upstream, 80 ms and 60 % on top: where the headroom does not hold, it is said."""
    upstream = Fitted.of(drawn_sweep(law_curve(0.012, 0.03, 0.0012), SIZES))
    asked = Objective(target_rate=400.0, wait_p99=0.010, response_p99=0.080, headroom=0.6)
    found = [find(upstream, asked.but(target_rate=float(r))) for r in range(400, 760, 30)]
    sizes = [one.size or float("inf") for one in found]
    assert sizes == sorted(sizes)
    spoilt = [one for one in found if one.spoilt_by == "headroom"]
    assert spoilt
    assert all(one.size is None and one.needed is not None for one in spoilt)
