"""What-ifs: the same search as a sizing, with one thing changed, and fast enough for a slider."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.analysis.sizing import size
from poolkit.analysis.what_if import Answer, Planner, Question, asked, grid, what_if
from poolkit.targets.objective import Objective
from tests.analysis.synthetic import drawn_sweep, law_curve, workers_curve

SIZES = (1, 2, 4, 8, 12, 16, 18, 20, 22, 24, 28, 32, 48, 64)
SWEEP = drawn_sweep(workers_curve(24, 0.025), SIZES, dispersion=0.25)
PLANNER = Planner.of(SWEEP, Objective(target_rate=600.0, wait_p99=0.010))

QUESTIONS = {
    "as it is": (Question(), Objective(target_rate=600.0, wait_p99=0.010)),
    "another rate": (Question(target_rate=800.0), Objective(target_rate=800.0, wait_p99=0.010)),
    "growth": (Question(growth=1.3), Objective(target_rate=600.0, wait_p99=0.010, growth=1.3)),
    "a stricter wait": (Question(wait_p99=0.002), Objective(target_rate=600.0, wait_p99=0.002)),
    "a response too": (
        Question(response_p99=0.08),
        Objective(target_rate=600.0, wait_p99=0.010, response_p99=0.08),
    ),
    "headroom": (
        Question(headroom=0.25),
        Objective(target_rate=600.0, wait_p99=0.010, headroom=0.25),
    ),
    "a fleet": (
        Question(replicas=3, workers=2, max_connections=90),
        Objective(target_rate=600.0, wait_p99=0.010, replicas=3, workers=2, max_size=90),
    ),
    "two lost": (
        Question(replicas=4, lost_replicas=2, max_connections=128),
        Objective(target_rate=600.0, wait_p99=0.010, replicas=4, lost_replicas=2, max_size=128),
    ),
    "a zone lost": (
        Question(replicas=5, zones=3, max_connections=128),
        Objective(target_rate=600.0, wait_p99=0.010, replicas=5, lost_replicas=2, max_size=128),
    ),
    "a deploy that rolls": (
        Question(replicas=4, surge=4, max_connections=90),
        Objective(
            target_rate=600.0,
            wait_p99=0.010,
            replicas=4,
            surge=4,
            max_size=90,
            max_connections=90,
        ),
    ),
    "no room": (
        Question(max_connections=12),
        Objective(target_rate=600.0, wait_p99=0.010, max_size=12),
    ),
    "too much": (Question(target_rate=2000.0), Objective(target_rate=2000.0, wait_p99=0.010)),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_the_sizing_of_the_changed_objective(name: str) -> None:
    """Asked again of the same sweep, a full sizing comes to the same size and reason."""
    question, objective = QUESTIONS[name]
    answer, sizing = what_if(PLANNER, question), size(SWEEP, objective)
    assert (answer.size, answer.because) == (sizing.size, sizing.because)
    assert (answer.limited_by, answer.headroom) == (sizing.limited_by, sizing.headroom)
    assert (answer.out_of_reach, answer.reachable_rate) == (
        sizing.out_of_reach,
        sizing.reachable_rate,
    )
    assert answer.pools == objective.pools
    if answer.size is not None:
        assert answer.meets
        assert answer.connections == answer.size * objective.pools


@pytest.mark.parametrize("factor", [0.5, 1.5, 3.0])
def test_a_slower_upstream_is_the_same_queue_in_slower_time(factor: float) -> None:
    """Calls that take f times as long ask for what an upstream measured like that would ask for."""
    slower = drawn_sweep(workers_curve(24, 0.025 * factor), SIZES, dispersion=0.25)
    rate, wait = 600.0 / factor, 0.010 * factor
    question = Question(target_rate=rate, wait_p99=wait, hold_factor=factor)
    answer = what_if(PLANNER, question)
    assert answer.size == size(SWEEP, Objective(target_rate=600.0, wait_p99=0.010)).size
    assert answer.hold_time == pytest.approx(0.025 * factor, rel=0.02)
    assert answer.plateau == pytest.approx(960.0 / factor, rel=0.01)
    assert answer.plateau_margin == pytest.approx(0.375, abs=0.01)
    measured = what_if(
        Planner.of(slower, Objective(target_rate=rate, wait_p99=wait)),
        Question(response_p99=0.08 * factor),
    )
    asked_for = what_if(PLANNER, question | {"response_p99": 0.08 * factor})
    assert asked_for.size == measured.size
    assert asked_for.response_p99 == pytest.approx(measured.response_p99 or 0.0, rel=0.06)


def test_figures_of_a_size_that_was_not_asked_for() -> None:
    """A slider over sizes: what callers meet at each, and whether that is good enough."""
    few, enough, many = (what_if(PLANNER, Question(pool_size=n)) for n in (17, 20, 30))
    assert (few.pool_size, enough.pool_size, many.pool_size) == (17, 20, 30)
    assert few.size == enough.size == many.size == 20
    assert (few.meets, enough.meets, many.meets) == (False, True, True)
    waits = [answer.wait_p99 or 0.0 for answer in (few, enough, many)]
    assert waits == sorted(waits, reverse=True)
    busy = [answer.utilisation or 0.0 for answer in (few, enough, many)]
    assert busy == pytest.approx([15 / 17, 15 / 20, 15 / 30], rel=0.02)
    assert all(answer.wait_p50 == 0.0 for answer in (enough, many))
    starved = what_if(PLANNER, Question(pool_size=14))
    assert (starved.wait_p50, starved.wait_p99, starved.response_p99) == (None, None, None)
    assert (starved.late, starved.utilisation) == (1.0, 1.0)


def test_out_of_reach_says_what_is_within_reach() -> None:
    """The rate that would do, and a negative margin to the plateau."""
    answer = what_if(PLANNER, Question(target_rate=1200.0))
    assert answer.out_of_reach
    assert answer.limited_by == "plateau"
    assert answer.plateau_margin == pytest.approx(-0.25, abs=0.01)
    assert answer.reachable_rate is not None
    assert what_if(PLANNER, Question(target_rate=0.99 * answer.reachable_rate)).size is not None


def test_growth_is_part_of_the_reachable_rate() -> None:
    """The rate within reach is one to ask for: with its growth the plateau still carries it."""
    answer = what_if(PLANNER, Question(target_rate=900.0, growth=2.0))
    assert answer.reachable_rate is not None
    assert answer.reachable_rate < 480
    fits = Question(target_rate=0.99 * answer.reachable_rate, growth=2.0)
    assert what_if(PLANNER, fits).size is not None


def test_a_grid_is_a_table_of_answers() -> None:
    """Rows are rates, columns hold factors; sizes grow along both."""
    table = grid(PLANNER, (300.0, 500.0, 700.0), (1.0, 1.2, 4.0))
    assert (table.rates, table.hold_factors) == ((300.0, 500.0, 700.0), (1.0, 1.2, 4.0))
    assert table.answers[1][0] == what_if(PLANNER, Question(target_rate=500.0, hold_factor=1.0))
    assert table.sizes[2][2] is None  # 700/s of calls that take 100 ms, over 24 workers
    for row in table.sizes:
        known = [n for n in row if n is not None]
        assert known == sorted(known)
    for column in zip(*table.sizes, strict=True):
        known = [n for n in column if n is not None]
        assert known == sorted(known)


def test_a_curve_that_makes_no_sense_gives_no_number() -> None:
    """Whatever is asked, the answer is why nothing can be said."""
    planner = Planner.of(
        drawn_sweep(workers_curve(24, 0.025), (8,)), Objective(target_rate=600.0, wait_p99=0.010)
    )
    answer = what_if(planner, Question(target_rate=5.0, pool_size=8))
    assert answer.because.startswith("cannot say, because only one size was measured")
    figures = (answer.size, answer.pool_size, answer.wait_p99, answer.utilisation, answer.plateau)
    assert figures == (None,) * 5
    assert not answer.out_of_reach


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(target_rate=0.0), "target_rate must be more than 0"),
        (Question(target_rate=float("nan")), "target_rate must be a finite number"),
        (Question(hold_factor=0.0), "hold_factor must be more than 0"),
        (Question(hold_factor=float("nan")), "hold_factor must be more than 0"),
        (Question(hold_factor=float("inf")), "hold_factor must be more than 0 and finite"),
        (Question(zones=1), "zones must be 2 or more"),
        (Question(pool_size=0), "pool_size must be 1 or more"),
        (Question(max_connections=0), "max_size must be 1 or more"),
        (Question(headroom=-0.1), "headroom must be 0 or more"),
        (Question(lost_replicas=-1), "lost_replicas must be 0 or more"),
        (Question(colour=1), "colour is nothing that can be asked for"),
    ],
)
def test_what_cannot_be_meant(question: Question, told: str) -> None:
    """A ValueError names the key and the rule."""
    with pytest.raises(ValueError, match=told):
        what_if(PLANNER, question)


@pytest.mark.parametrize("question", [Question(target_rate=1e12), Question(hold_factor=1e12)])
def test_absurd_values_are_answered_in_silence(question: Question) -> None:
    """Out of reach by far is out of reach; no warning about numbers that nobody reads."""
    answer = what_if(PLANNER, question)
    assert answer.size is None
    assert answer.out_of_reach


def test_a_slider_may_leave_fewer_replicas_than_losses() -> None:
    """One is always left to carry the load."""
    left, _ = asked(
        Objective(target_rate=600.0, wait_p99=0.010, replicas=4, lost_replicas=3),
        Question(replicas=2),
    )
    assert (left.replicas, left.lost, left.pools_left) == (2, 1, 1)


CURVES = (
    workers_curve(24, 0.025),
    workers_curve(6, 0.010),
    law_curve(0.009, 0.1, 0.001),
    law_curve(0.005, 0.02, 0.0),
)
# Fitted once: whatever is asked later is in the question or the objective.
FITTED = [
    Planner.of(drawn_sweep(curve, SIZES, seed=seed), Objective(target_rate=600.0, wait_p99=0.010))
    for curve in CURVES
    for seed in range(3)
]
planners = st.sampled_from(FITTED)


def _needed(planner: Planner, objective: Objective, question: Question) -> tuple[float, Answer]:
    """Connections that one pool needs; more than any where there is no such size."""
    answer = what_if(replace(planner, objective=objective), question)
    return (float("inf") if answer.size is None else answer.size), answer


@settings(max_examples=25, deadline=None)
@given(planners, st.floats(20, 900), st.floats(1, 3), st.floats(1e-3, 0.05))
def test_a_slower_upstream_never_asks_for_less(
    planner: Planner, rate: float, factor: float, wait: float
) -> None:
    """Calls that take longer never need fewer connections."""
    objective = Objective(target_rate=rate, wait_p99=wait)
    today, _ = _needed(planner, objective, Question())
    slower, _ = _needed(planner, objective, Question(hold_factor=factor))
    assert slower >= today


@settings(max_examples=25, deadline=None)
@given(planners, st.floats(20, 900), st.integers(1, 5), st.floats(1e-3, 0.05))
def test_a_lost_replica_never_asks_for_less(
    planner: Planner, rate: float, replicas: int, wait: float
) -> None:
    """The more replicas may be lost, the more connections each pool needs."""
    objective = Objective(
        target_rate=rate, wait_p99=wait, replicas=replicas, max_size=64 * replicas
    )
    sizes = [
        _needed(planner, objective, Question(lost_replicas=lost))[0] for lost in range(replicas)
    ]
    assert sizes == sorted(sizes)


@settings(max_examples=25, deadline=None)
@given(planners, st.floats(20, 900), st.floats(1, 1.5), st.floats(0.01, 0.3), st.booleans())
def test_a_response_target_is_as_monotone(
    planner: Planner, rate: float, factor: float, response: float, with_wait: bool
) -> None:
    """With a response target too, more rate never asks for less and a laxer one never for more."""
    objective = Objective(
        target_rate=rate, wait_p99=0.010 if with_wait else None, response_p99=response
    )
    today, _ = _needed(planner, objective, Question())
    assert _needed(planner, objective, Question(target_rate=rate * factor))[0] >= today
    assert _needed(planner, objective, Question(response_p99=response * factor))[0] <= today


@settings(max_examples=25, deadline=None)
@given(planners, st.floats(20, 900), st.floats(0.2, 4), st.integers(1, 64), st.integers(1, 4))
def test_figures_are_what_they_are_called(
    planner: Planner, rate: float, factor: float, pool_size: int, replicas: int
) -> None:
    """Shares lie in 0 .. 1, times are not negative, a p50 is no longer than a p99."""
    question = Question(hold_factor=factor, replicas=replicas, pool_size=pool_size)
    _, answer = _needed(planner, Objective(target_rate=rate, wait_p99=0.010), question)
    for share in (answer.late, answer.utilisation):
        assert share is None or 0.0 <= share <= 1.0
    if answer.wait_p99 is not None:
        assert answer.wait_p50 is not None
        assert answer.response_p99 is not None
        assert 0.0 <= answer.wait_p50 <= answer.wait_p99 <= answer.response_p99 * 1.02
    assert answer.plateau_margin is None or answer.plateau_margin < 1.0
