"""Which cold start comes next, by what those before it showed."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.measure.cold import SECONDS, limit, next_trial, reserve
from poolkit.records import Trial
from poolkit.targets.objective import Objective
from tests.analysis.test_cold import start
from tests.recommend.examples import times, verifying_trial

SIZE = 6
ONE = Objective(target_rate=500.0, wait_p99=0.010)
FOUR = Objective(target_rate=500.0, wait_p99=0.010, replicas=4)


def walk(
    asked: Objective,
    good_from: int | None,
    *,
    lazy: float = 0.05,
    has_min_size: bool = True,
    left: float = 60.0,
) -> list[tuple[int, bool, bool]]:
    """The starts asked for: connections, warm, spread; `good_from` so many, warm, is in time."""
    trials: list[Trial] = [verifying_trial(pool_size=SIZE)]
    steps = []
    while plan := next_trial(trials, asked, SIZE, has_min_size=has_min_size, left=left):
        assert plan.cold is not None
        assert (plan.rate, plan.pools) == (asked.rate, asked.pools), "never above the target rate"
        assert (plan.pool_size, plan.purpose) == (SIZE, "cold")
        left -= plan.seconds
        how = plan.cold
        steps.append((how.min_size, how.is_warm, how.jitter > 0))
        is_good = how.is_warm and good_from is not None and how.min_size >= good_from
        wait = 0.002 if is_good else 0.05 if how.min_size else lazy
        rate = 60.0 if how.min_size and not how.jitter else None
        seen = start(
            min_size=how.min_size,
            is_warm=how.is_warm,
            jitter=how.jitter,
            wait_p99=wait,
            dial_rate=rate,
        )
        trials.append(verifying_trial(purpose="cold", pool_size=SIZE, pools=asked.pools, cold=seen))
    return steps


AT_ONCE = [(0, False, False), (3, False, False), (6, False, False)]


@pytest.mark.parametrize(
    ("asked", "good_from", "then"),
    [
        (FOUR, 3, [(3, True, False), (3, True, True)]),
        (FOUR, 6, [(3, True, False), (6, True, False), (6, True, True)]),
        (FOUR, None, [(3, True, False), (6, True, False), (6, True, True)]),
        (ONE, 3, [(3, True, False)]),  # one pool has nobody to be spread with
    ],
)
def test_first_what_happens_by_itself_then_what_helps(
    asked: Objective, good_from: int, then: list[tuple[int, bool, bool]]
) -> None:
    """None, half and all as calls come; then before the first call, the fewest that do."""
    assert walk(asked, good_from) == [*AT_ONCE, *then]


def test_empty_pools_that_are_in_time_end_it() -> None:
    """Nothing is to be mended; the login rate is known from the others."""
    assert walk(FOUR, 3, lazy=0.005) == AT_ONCE


def test_a_library_that_dials_nothing_by_itself() -> None:
    """HTTP clients have no min_size: it is none as calls come, or a warm-up of one's own."""
    assert walk(FOUR, 3, has_min_size=False) == [
        (0, False, False),
        (3, True, False),
        (3, True, True),
    ]


def test_the_budget_holds() -> None:
    """A trial that does not fit is not begun."""
    assert len(walk(FOUR, 3, left=2 * SECONDS + 0.1)) == 2
    assert walk(FOUR, 3, left=SECONDS - 0.1) == []
    assert reserve(60.0) == 15.0
    assert reserve(20.0) == pytest.approx(6.0)


def test_few_calls_get_more_time() -> None:
    """Five calls a second: 20 of them take 4 s."""
    slow: Any = next_trial([], ONE.but(target_rate=5.0), SIZE, has_min_size=True, left=60.0)
    assert slow.seconds == pytest.approx(4.0)


def test_what_may_be_waited_where_no_wait_is_asked() -> None:
    """Twice what verification saw, and never less than a few ms."""
    seen = [verifying_trial(pool_size=SIZE, wait_time=times(0.001, 0.020))]
    asked = Objective(target_rate=500.0, response_p99=0.1)
    assert limit(seen, asked, SIZE) == pytest.approx(0.040)
    assert limit([], asked, SIZE) == pytest.approx(0.005)
    assert limit(seen, ONE, SIZE) == 0.010
