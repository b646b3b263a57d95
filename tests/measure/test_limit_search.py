"""The search for a server's limit, on the real generator's trials of simulated servers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.analysis.limits import bracket, counted, limits, turned_away
from poolkit.analysis.sizing import size
from poolkit.analysis.summary import summarise
from poolkit.errors import CallFailed
from poolkit.load.generator import Plan
from poolkit.measure.at_limit import refused_at_open
from poolkit.measure.limit_search import (
    MOST_TRIALS,
    REFUSED_SECONDS,
    next_trial,
    refused_seconds,
)
from poolkit.measure.sweep import SweepLimits, TrialPlan
from poolkit.records import Limit, Sizing, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.limited_server import Server, run_trial

LIMITS = SweepLimits(max_size=64, budget=20.0)
BUDGET = 30.0  # s


def ramp(server: Server, *sizes: int) -> list[Trial]:
    """Closed loops at these sizes, up to the first that a brake stopped."""
    trials: list[Trial] = []
    for n in sizes or (1, 2, 4, 8, 16, 32, 64):
        seconds = 1.45
        trials.append(run_trial(server, TrialPlan("ramp", n, 0.25, seconds, "ramp", callers=n), n))
        if trials[-1].stopped:
            break
    return trials


def approach(server: Server, rate: float, seconds: float = 8.0) -> list[Trial]:
    """The target rate at a roomy pool."""
    return [run_trial(server, TrialPlan("approach", 64, 0.5, seconds, "approach", rate=rate))]


def search(server: Server, trials: list[Trial], objective: Objective) -> list[Trial]:
    """The search to its end; it must end and stay within what it may do to the server."""
    while (plan := next_trial(trials, objective, LIMITS, left=BUDGET)) is not None:
        assert plan.purpose == "limit"
        assert plan.rate is None or objective.push or plan.rate <= objective.rate
        trials.append(run_trial(server, plan, seed=len(trials) + 10))
        assert sum(trial.purpose == "limit" for trial in trials) <= MOST_TRIALS
    assert refused_seconds(trials) <= REFUSED_SECONDS + 1e-6
    return trials


def sized(trials: list[Trial], objective: Objective) -> Sizing:
    return size(Sweep(target="limited", trials=tuple(trials)), objective)


def asked(rate: float, **keys: Any) -> Objective:
    return Objective(target_rate=rate, wait_p99=0.010, **keys)


@pytest.mark.parametrize("kind", ["http_503", "http_429"])
@pytest.mark.parametrize("cv", [0.0, 0.5])
@pytest.mark.parametrize("most", [3, 12, 33])
def test_a_limit_on_calls_at_once_is_found_to_one(most: int, cv: float, kind: str) -> None:
    """Whatever status it answers with: half the rate at one call more is refused as well."""
    server = Server(hold=0.02, cv=cv, at_once=most, kind=kind)
    trials = search(server, ramp(server), asked(100.0))
    assert limits(trials) == (
        Limit(
            kind="at_once",
            value=most,
            interval95=(most, most),
            seen=f"no more than {most} calls at once were taken: not {most + 1} ({kind})",
        ),
    )
    assert counted(trials) == "at_once"


@pytest.mark.parametrize("depth", [5.0, 20.0])
@pytest.mark.parametrize(("kind", "outcome"), [("http_429", None), ("http_503", None)])
def test_a_quota_is_found_whatever_its_status(
    depth: float, kind: str, outcome: type[CallFailed] | None
) -> None:
    """200/s with a burst: as many calls at once as were refused get through at half the rate."""
    server = Server(hold=0.02, rate=200.0, depth=depth, kind=kind)
    (limit,) = limits(search(server, ramp(server), asked(100.0)))
    assert limit.kind == "rate"
    assert limit.value == pytest.approx(200.0, rel=0.05)
    assert limit.interval95 is not None
    assert limit.interval95[0] <= 200.0 <= limit.interval95[1]


def test_a_limit_on_connections_needs_no_paced_trial() -> None:
    """The server says itself what there is no room for."""
    server = Server(hold=0.02, room=20, kind="too_many_connections")
    trials = search(server, ramp(server), asked(500.0))
    (limit,) = limits(trials)
    assert (limit.kind, limit.value, limit.interval95) == ("connections", 20, (20, 20))
    assert all(trial.loop == "closed" for trial in trials)
    assert sized(trials, asked(500.0)).size in (14, 15)


@pytest.mark.parametrize(
    ("rate", "needed"),
    [(350.0, 11), (550.0, None)],
)
def test_a_target_below_the_limit_has_a_size(rate: float, needed: int | None) -> None:
    """12 calls at once of 20 ms: 350/s need 11; 550/s need more, and what fits is said."""
    server = Server(hold=0.02, cv=0.5, at_once=12)
    found = sized(search(server, ramp(server), asked(rate)), asked(rate))
    assert found.verdict.name == "refused"
    assert "the server takes 12 calls at once" in found.verdict.evidence
    assert found.out_of_reach is (needed is None)
    if needed is not None:
        assert found.size is not None
        assert needed - 1 <= found.size <= 12
    else:
        assert found.size is None
        assert found.reachable_rate is not None
        assert 350.0 <= found.reachable_rate < 500.0
        assert found.size_for_reachable == 12
        assert "within reach is at most" in found.because


def test_a_target_below_the_quota_has_a_size_and_one_above_the_rate_that_fits() -> None:
    """200/s: 120/s need 5 connections, and of 400/s at most 190/s are had, with 7 or so."""
    server = Server(hold=0.02, rate=200.0, depth=20.0, kind="http_429")
    trials = search(server, ramp(server), asked(120.0))
    below, above = sized(trials, asked(120.0)), sized(trials, asked(400.0))
    assert (below.verdict.name, below.out_of_reach) == ("rate_limited", False)
    assert below.size in (5, 6)
    assert (above.verdict.name, above.out_of_reach, above.size) == ("rate_limited", True, None)
    assert above.reachable_rate == pytest.approx(190.0, rel=0.05)
    assert above.size_for_reachable is not None
    assert 6 <= above.size_for_reachable <= 10


def test_without_pushing_nothing_above_the_target_rate_is_planned() -> None:
    """One trial at the target rate names the limit, paced trials prove it."""
    server = Server(hold=0.02, cv=0.3, at_once=12)
    objective = asked(350.0, push=False)
    trials = search(server, approach(server, objective.rate), objective)
    (limit,) = limits(trials)
    assert (limit.kind, limit.value, limit.interval95) == ("at_once", 12, (12, 12))
    assert len(trials) == 3


def test_without_pushing_a_quota_is_told_from_a_limit() -> None:
    """As many calls at once as were in use when calls were refused get through."""
    server = Server(hold=0.02, rate=200.0, depth=20.0, kind="http_503")
    objective = asked(240.0, push=False)
    (limit,) = limits(search(server, approach(server, objective.rate), objective))
    assert limit.kind == "rate"
    assert limit.value == pytest.approx(200.0, rel=0.06)


@settings(max_examples=12, deadline=None)
@given(
    most=st.integers(1, 40),
    hold=st.sampled_from([0.004, 0.02, 0.08]),
    cv=st.sampled_from([0.0, 0.5, 1.0]),
    first=st.sampled_from([(1, 2, 4, 8, 16, 32, 64), (1, 64), (3, 48)]),
)
def test_no_limit_is_named_below_a_size_that_was_clean(
    most: int, hold: float, cv: float, first: tuple[int, ...]
) -> None:
    """And none above one that was refused; the search ends within its 2 s of refused load."""
    server = Server(hold=hold, cv=cv, at_once=most)
    trials = search(server, ramp(server, *first), asked(50.0))
    for limit in limits(trials):
        assert limit.interval95 is not None
        low, high = limit.interval95
        assert low <= most <= high, limit
        clean = [t.connections for t in trials if t.is_of_curve and t.outcomes.keys() == {"ok"}]
        assert all(n <= low for n in clean if not _was_stopped(trials, n))


def _was_stopped(trials: list[Trial], size: int) -> bool:
    return any(t.stopped for t in trials if t.connections == size)


@settings(max_examples=6, deadline=None)
@given(before=st.integers(10, 30), after=st.integers(2, 40), calls=st.integers(1500, 3000))
def test_a_limit_that_changes_meanwhile_ends_the_search_all_the_same(
    before: int, after: int, calls: int
) -> None:
    """The latest trials count: the limit named is not above what the server takes at the end."""

    def change(server: Server, so_far: int) -> None:
        server.at_once = before if so_far < calls else after

    server = Server(hold=0.02, cv=0.3, at_once=before, changes=change)
    trials = search(server, ramp(server), asked(50.0))
    seen = bracket(trials)
    assert seen.refused is None or seen.clean < seen.refused


def test_a_limit_that_falls_is_searched_for_below_what_was_clean() -> None:
    """16 at once at first, 6 from the first refusal on."""

    def change(server: Server, _calls: int) -> None:
        if server.refused:
            server.at_once = 6

    server = Server(hold=0.02, at_once=16, changes=change)
    (limit,) = limits(search(server, ramp(server), asked(50.0)))
    assert limit.value == 6
    assert "changed" in limit.seen


def test_refusals_everywhere_are_no_limit_and_nothing_more_is_sent() -> None:
    """A server that takes nothing: no number, and no trial beyond the one that saw it."""
    server = Server(at_once=0)
    trials = ramp(server)
    assert len(trials) == 1
    assert next_trial(trials, asked(50.0), LIMITS, left=BUDGET) is None
    assert limits(trials) == ()
    assert sized(trials, asked(50.0)).size is None


def test_sizes_that_the_user_named_are_measured_and_no_others() -> None:
    """--sizes 2,8: no search."""
    server = Server(at_once=3)
    trials = ramp(server, 2, 8)
    named = SweepLimits(max_size=64, budget=20.0, sizes=(2, 8))
    assert next_trial(trials, asked(50.0), named, left=BUDGET) is None


def test_a_pool_that_the_server_has_no_room_for_is_a_refused_trial() -> None:
    """It did not open, so no call was sent; the trial says why and counts as refused."""
    load = Plan(seconds=1.0, warm_up=0.1, seed=1, callers=4)
    plan = TrialPlan("ramp", 4, 0.1, 1.0, "", callers=4)
    trial = summarise(
        refused_at_open(plan, load), target="t", driver="asyncpg", fingerprint="", purpose="ramp"
    )
    assert trial.stopped == "rejected"
    assert turned_away([trial]) == [trial]
