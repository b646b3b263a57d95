"""Verification decides: it grows past sizes that fail, and its signals say what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.objective import Objective
from poolkit.analysis.sizing import size
from poolkit.histogram import Histogram
from poolkit.records import Distribution, Sizing, Trial
from poolkit.verify import (
    chosen_size,
    failed_share,
    latest,
    meets,
    next_trial,
    verification,
)
from tests.analysis.synthetic import drawn_sweep, drawn_trial, workers_curve

ASKED = Objective(target_rate=400.0, wait_p99=0.010, max_size=64)
CURVE = workers_curve(24, 0.02)
SIZING: Sizing = size(drawn_sweep(CURVE, [1, 2, 4, 8, 12, 16, 24, 32], repeats=2), ASKED)


def waits(late: int, of: int = 1000) -> Distribution:
    """`late` of the waits are 20 ms, the others 0."""
    histogram = Histogram()
    histogram.add(np.array([0.020] * late + [0.0] * (of - late)))
    return histogram.distribution()


def open_trial(
    pool_size: int, *, late: int = 0, purpose: str = "verify", **changes: object
) -> Trial:
    rate = {"verify": 400.0, "overload": 480.0, "recovery": 200.0, "fairness": 0.0}[purpose]
    changes = {
        "loop": "closed" if purpose == "fairness" else "open",
        "arrival_rate": rate or None,
        "wait_time": waits(late),
        "purpose": purpose,
        **changes,
    }
    return drawn_trial(pool_size, rate or 500.0, hold=0.02).model_copy(update=changes)


def walk(
    late_by_size: dict[int, int], *, most: int = 64, left: float = 60.0, gate: bool = False
) -> list[tuple[int, str]]:
    """The trials that verification asks for when a size shows this many late calls of 1000."""
    trials: list[Trial] = []
    steps = []
    while plan := next_trial(trials, ASKED, SIZING, most=most, left=left, gate=gate):
        steps.append((plan.pool_size, plan.purpose))
        late = late_by_size.get(plan.pool_size, 0)
        gated = plan.pool_size if plan.gated else None
        trials.append(open_trial(plan.pool_size, late=late, purpose=plan.purpose, gate=gated))
        if plan.calm:
            trials.append(open_trial(plan.pool_size, purpose="recovery"))
        left -= plan.seconds
        assert len(trials) < 20
    return steps


def test_there_is_a_size_to_verify() -> None:
    """The synthetic sweep asks for a size between the offered load of 8 and the plateau at 24."""
    assert SIZING.size is not None
    assert 9 <= SIZING.size <= 16


def test_a_size_that_passes_is_also_tried_above_the_target() -> None:
    """At the target rate, then at 1.2 times it and after that."""
    n = SIZING.size or 0
    assert walk({}) == [(n, "verify"), (n, "overload")]
    plan = next_trial([open_trial(n)], ASKED, SIZING, most=64, left=60.0)
    assert plan is not None
    assert plan.rate == pytest.approx(480.0)
    assert plan.calm > 0


def test_a_size_that_fails_grows_by_one_until_one_passes() -> None:
    """Prediction narrows the search, measurement decides."""
    n = SIZING.size or 0
    assert walk({n: 50, n + 1: 11}) == [
        (n, "verify"),
        (n + 1, "verify"),
        (n + 2, "verify"),
        (n + 2, "overload"),
    ]


def test_growth_ends_at_the_budget_and_at_the_largest_size() -> None:
    """What does not fit is not tried, and the size that came closest is recommended."""
    n = SIZING.size or 0
    failing = {size: 60 - size for size in range(n, n + 10)}
    assert walk(failing, most=n + 1)[-1][0] == n + 1
    assert walk(failing, left=7.0) == [(n, "verify"), (n, "overload")]
    trials = [open_trial(size, late=late) for size, late in failing.items()]
    assert chosen_size(trials, ASKED, SIZING) == n + 9


def test_a_gate_is_shown_with_and_without() -> None:
    """More callers than connections, once each way."""
    n = SIZING.size or 0
    assert walk({}, gate=True)[2:] == [(n, "fairness"), (n, "fairness")]


def test_nothing_is_verified_without_a_size() -> None:
    """'Cannot say' stays so."""
    unknown = SIZING.model_copy(update={"size": None})
    assert next_trial([], ASKED, unknown, most=64, left=60.0) is None


@pytest.mark.parametrize(("late", "passes"), [(0, True), (10, True), (11, False), (1000, False)])
def test_at_most_one_per_cent_may_wait_longer(late: int, passes: bool) -> None:
    """Exactly 1 % still meets a p99; one call more does not."""
    assert meets(open_trial(12, late=late), ASKED) is passes


def test_calls_that_never_got_a_connection_count_as_late() -> None:
    """Giving up and being cut off are not a way to a good p99."""
    trial = open_trial(12, outcomes={"ok": 980, "pool_timeout": 10, "unfinished": 10})
    assert failed_share(trial, 0.010) == pytest.approx(20 / 1020)
    assert not meets(trial, ASKED)


def signals(*trials: Trial) -> dict[str, bool]:
    made = verification(trials, 12, ASKED, SIZING)
    assert made is not None
    return {signal.name: signal.passed for signal in made.signals}


GOOD = open_trial(12)
ABOVE = open_trial(12, purpose="overload")
AFTER = open_trial(12, purpose="recovery")


def above(**changes: object) -> Trial:
    return open_trial(12, purpose="overload", **changes)


@pytest.mark.parametrize(
    ("trials", "failing"),
    [
        ((GOOD, ABOVE, AFTER), None),
        ((open_trial(12, late=50), ABOVE, AFTER), "wait_near_zero"),
        ((open_trial(12, throughput=300.0), ABOVE, AFTER), "wait_near_zero"),
        ((GOOD, above(throughput=200.0), AFTER), "graceful_plateau"),
        ((GOOD, above(outcomes={"ok": 90, "error": 10}), AFTER), "graceful_plateau"),
        ((GOOD, ABOVE, open_trial(12, late=50, purpose="recovery")), "recovers"),
        ((GOOD, above(disconnects=1), AFTER), "no_disconnects"),
        ((open_trial(12, error_kinds={"disconnected": 2}), ABOVE, AFTER), "no_disconnects"),
        ((open_trial(12, reuse_ratio=0.5), ABOVE, AFTER), "reuse_above_0.9"),
        ((open_trial(12, reuse_ratio=None), ABOVE, AFTER), "reuse_above_0.9"),
    ],
)
def test_each_signal_fails_for_its_own_reason(
    trials: tuple[Trial, ...], failing: str | None
) -> None:
    """A right size shows all signs together; each fault takes away one."""
    seen = signals(*trials)
    assert [name for name, passed in seen.items() if not passed] == ([failing] if failing else [])


def test_waiting_calls_of_an_overload_are_no_failures() -> None:
    """Above the target rate a queue may be left at the end; that is no collapse."""
    assert signals(GOOD, above(outcomes={"ok": 90, "unfinished": 10}))["graceful_plateau"]


def test_the_latest_trial_of_a_size_counts() -> None:
    """A resumed run may hold two trials of one size."""
    first, second = open_trial(12, late=50), open_trial(12, late=0)
    assert latest([first, second, ABOVE], 12, "verify") == second
    assert latest([first, second], 12, "overload") is None


def test_a_response_target_is_verified_too() -> None:
    """Where response_p99 is asked, waits alone do not pass."""
    asked = Objective(target_rate=400.0, wait_p99=0.010, response_p99=0.015, max_size=64)
    slow = open_trial(12, response_time=waits(50))
    fast = open_trial(12, response_time=waits(0))
    assert not meets(slow, asked)
    assert meets(fast, asked)
    made = verification([fast, ABOVE], 12, asked, SIZING)
    assert made is not None
    names = [signal.name for signal in made.signals]
    assert "response_in_time" in names
