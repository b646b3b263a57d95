"""What a cold start was like, read from calls that were made up, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.analysis.cold import Opening, advise, cold_start, login_rate, spread
from poolkit.load.starting import Seen, all_seen, conditions
from poolkit.records import ColdStart
from tests.recommend.examples import verifying_trial

LIMIT = 0.010
AT_ONCE = Opening(min_size=4, is_warm=False, jitter=0.0, wait_limit=LIMIT)


def seen(waited: Any, **changes: Any) -> Seen:
    """3 s of calls, evenly spaced, that waited like this; 8 dials in 50 ms, half a core busy."""
    waited = np.asarray(waited, dtype=float)
    given = {
        "due": np.linspace(0.0, 3.0, waited.size, endpoint=False),
        "waited": waited,
        "load_from": 0.0,
        "load_until": 3.0,
        "at_once": 8,
        "ready": 0.05,
        "first_reply": 0.06,
        "dialled": [(0.0, 0, 1.0), (0.02, 3, 1.01), (0.05, 8, 1.025), (0.25, 9, 1.5)],
        "refused": 0,
        "failed": 0,
    }
    given |= changes
    return Seen(**given | {"dialled": np.array(given["dialled"], dtype=float).reshape(-1, 3)})


def start(**changes: Any) -> ColdStart:
    given: dict[str, Any] = {
        "min_size": 0,
        "is_warm": False,
        "wait_limit": LIMIT,
        "ready": 0.1,
        "first_reply": 0.1,
        "steady": 0.2,
        "wait_p99": 0.050,
        "dials": 24,
        "dial_rate": None,
        "refused": 0,
        "failed": 0,
        "cpu_share": None,
    }
    return ColdStart(**(given | changes))


def advice(*starts: ColdStart, pools: int = 4, size: int = 6) -> Any:
    trials = [verifying_trial(purpose="cold", pool_size=size, pools=pools, cold=s) for s in starts]
    return advise([verifying_trial(pool_size=size), *trials], size, pools)


def test_the_first_callers_are_told_from_the_later_ones() -> None:
    """Those of the first 300 ms wait 80 ms, the others not: steady from there on."""
    found = cold_start(AT_ONCE, seen([0.080] * 30 + [0.001] * 270))
    assert found.wait_p99 == 0.080
    assert found.steady == pytest.approx(0.3)
    assert found.waits[:4] == (0.080, 0.080, 0.080, 0.001)
    assert len(found.waits) == 30
    assert not found.holds


def test_one_late_burst_takes_nothing_back_but_many_late_calls_do() -> None:
    """A slice has few calls; what counts is whether those that are left keep to the limit."""
    burst = [0.001] * 300
    burst[200:202] = [0.050] * 2
    assert cold_start(AT_ONCE, seen(burst)).steady == 0.0
    late = [0.001] * 300
    late[280:290] = [0.050] * 10
    assert cold_start(AT_ONCE, seen(late)).steady == pytest.approx(2.9)
    assert cold_start(AT_ONCE, seen([0.050] * 300)).steady is None
    # A size that is just large enough: 2 % of these few calls, here and there, are chance.
    edgy = [0.001] * 300
    edgy[25::50] = [0.050] * 6
    assert cold_start(AT_ONCE, seen(edgy)).steady == 0.0


def test_a_call_without_a_connection_waits_for_ever() -> None:
    """More than one in a hundred leave no p99, and the start does not hold."""
    lost = cold_start(AT_ONCE, seen([np.inf] * 4 + [0.001] * 296, refused=4))
    assert lost.wait_p99 is None
    assert lost.waits[0] is None
    assert not lost.holds
    assert not cold_start(AT_ONCE, seen([0.001] * 300, failed=1)).holds
    assert cold_start(AT_ONCE, seen([0.001] * 300)).holds


def test_the_login_rate_is_that_of_the_dials_made_at_once() -> None:
    """8 in 50 ms at half a core; the ninth came when a call asked for it."""
    found = cold_start(AT_ONCE, seen([0.001] * 300))
    assert found.dial_rate == pytest.approx(160.0)
    assert found.cpu_share == pytest.approx(0.5)
    assert (found.dials, found.dials_by_slice) == (9, (8, 0, 1))
    lazy = Opening(min_size=0, is_warm=False, jitter=0.0, wait_limit=LIMIT)
    assert cold_start(lazy, seen([0.001] * 300, at_once=0)).dial_rate is None


def test_few_calls_and_none() -> None:
    """Less than a call a second: the trial's own calls stand for the first second's."""
    rare = seen([0.020], due=np.array([1.5]), dialled=[])
    assert cold_start(AT_ONCE, rare).wait_p99 == 0.020
    nothing = cold_start(AT_ONCE, seen([], dialled=[], ready=None, first_reply=None))
    assert (nothing.wait_p99, nothing.steady, nothing.dials) == (None, None, 0)


@given(st.lists(st.floats(0.0, 1.0) | st.just(float("inf")), max_size=400))
def test_whatever_the_waits_steady_means_what_it_says(waits: list[float]) -> None:
    """From `steady` on no more calls are late than chance allows; no wait is endless."""
    given = seen(waits)
    found = cold_start(AT_ONCE, given)
    if found.steady is not None:
        rest = given.waited[given.due >= found.steady]
        expected = 0.01 * rest.size
        assert (rest > LIMIT).sum() <= expected + 3 * expected**0.5
    assert all(wait is None or wait < float("inf") for wait in found.waits)


def test_jitter_leaves_half_the_logins_free() -> None:
    """48 dials at 120/s take 0.4 s at full rate, 0.8 s at half; a burst of 80 ms needs none."""
    assert spread(48, 120.0) == pytest.approx(0.8)
    assert spread(8, 100.0) == 0.0
    assert spread(8, 0.0) == 0.0


def test_the_login_rate_of_several_starts() -> None:
    """Of those without jitter; one in which dials were refused only where there is no other."""
    calm = start(min_size=3, dials=24, dial_rate=100.0, jitter=2.0)
    stormy = start(min_size=6, dials=24, dial_rate=170.0, cpu_share=0.4)
    refused = start(min_size=6, dials=20, dial_rate=900.0, refused=4, cpu_share=0.95)
    assert login_rate([calm, stormy, refused]) == (170.0, False)
    assert login_rate([calm, refused]) == (900.0, True)
    assert login_rate([start(), calm]) is None


def test_empty_pools_that_hold_need_nothing() -> None:
    """No warm-up and no jitter where first callers are served in time."""
    found = advice(start(wait_p99=0.006), start(min_size=6, dial_rate=170.0))
    assert (found.min_size, found.warm_up, found.jitter, found.holds) == (0, False, 0.0, True)
    assert found.login_rate == 170.0
    assert "6 ms (p99)" in found.because


def test_the_fewest_connections_that_hold_before_the_first_call() -> None:
    """Half is not enough, all are; the dials are spread, and the tried spread is advised."""
    storm = start(min_size=6, dial_rate=60.0)
    half = start(min_size=3, is_warm=True, wait_p99=0.03)
    whole = start(min_size=6, is_warm=True, wait_p99=0.002, dial_rate=60.0)
    spread_out = start(min_size=6, is_warm=True, wait_p99=0.002, jitter=0.8)
    found = advice(start(), storm, half, whole, spread_out)
    assert (found.min_size, found.warm_up, found.jitter, found.holds) == (6, True, 0.8, True)
    assert "50 ms (p99)" in found.because
    # Without room for the last trial the spread is computed; with one replica there is none.
    assert advice(start(), storm, half, whole).jitter == pytest.approx(0.8)
    assert advice(start(), storm, half, whole, pools=1).jitter == 0.0


def test_where_nothing_held_it_is_said() -> None:
    """The whole pool before the first call is still the best that can be done."""
    found = advice(start(), start(min_size=3, is_warm=True, wait_p99=None, refused=3))
    assert (found.min_size, found.warm_up, found.holds) == (6, True, False)
    assert found.because.endswith("no start that was tried kept to that")
    assert advice() is None


@given(
    calls=st.lists(
        st.tuples(st.floats(0.0, 2.99), st.floats(0.0, 0.1) | st.just(np.inf), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    ),
    dials=st.lists(st.tuples(st.floats(0.001, 2.9), st.integers(0, 2)), max_size=30),
)
def test_generators_that_begin_together_saw_what_one_would_have(
    calls: list[tuple[float, float, int]], dials: list[tuple[float, int]]
) -> None:
    """Waits, slices, dials and the rate of logins, however calls and dials are divided."""

    def of(mine: set[int]) -> Seen:
        own = sorted((due, waited) for due, waited, who in calls if who in mine)
        at = sorted({0.0, *(when for when, who in dials if who in mine)})
        rows = [(t, sum(w <= t and who in mine for w, who in dials), 1.0) for t in at]
        return seen(
            [waited for _, waited in own],
            due=np.array([due for due, _ in own]),
            dialled=rows,
            at_once=rows[-1][1],
            refused=len(mine),
        )

    parts = [of({who}) for who in range(3)]
    assert all(holds for part in parts for _, holds in conditions(part))
    one, found = cold_start(AT_ONCE, of({0, 1, 2})), cold_start(AT_ONCE, all_seen(parts))
    assert found == one.model_copy(update={"generators": 3})


def test_the_time_in_which_all_sent_and_the_busiest_processor_count() -> None:
    """One pool that did not open is enough not to be ready; the first reply is anybody's."""
    early = seen([0.0] * 30, load_until=1.0, ready=None, first_reply=None)
    late = seen([0.0] * 30, dialled=[(0.0, 0, 5.0), (0.05, 8, 5.04)], first_reply=0.3)
    found = all_seen([early, late])
    assert (found.load_until, found.ready, found.first_reply) == (1.0, None, 0.3)
    assert found.due.size == 20
    assert found.dialled[-1].tolist() == [0.25, 17.0, 0.5]


@pytest.mark.parametrize(
    "changes",
    [
        {"ready": np.nan},
        {"load_until": -1.0},
        {"refused": -1},
        {"waited": np.array([np.nan])},
        {"due": np.zeros(2)},
        {"dialled": np.empty((0, 3))},
        {"dialled": np.array([(0.0, 5, 1.0), (0.1, 4, 1.1)])},
    ],
)
def test_notes_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    """They came over a network."""
    assert not all(holds for _, holds in conditions(replace(seen([0.0]), **changes)))
