"""Verification decides: up past sizes that fail, down where waits leave room, and says why."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.analysis.sizing import size
from poolkit.histogram import Histogram
from poolkit.measure.verify import chosen_size, failed_share, next_trial, verification
from poolkit.measure.verify.evidence import Tally, belief, latest, meets, p99_interval, tally
from poolkit.records import Distribution, PredictedWait, Sizing, Trial
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Workers, open_loop
from tests.analysis.synthetic import drawn_sweep, drawn_trial, workers_curve
from tests.simulated_service import BUDGET, verified

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
    late_by_size: dict[int, int], *, left: float = 60.0, gate: bool = False
) -> list[tuple[int, str]]:
    """The trials that verification asks for when a size shows this many late calls of 1000."""
    trials: list[Trial] = []
    steps = []
    while plan := next_trial(trials, ASKED, SIZING, left=left, gate=gate):
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
    assert walk({n - 1: 25}) == [(n, "verify"), (n - 1, "verify"), (n, "overload")]
    tried = [open_trial(n), open_trial(n - 1, late=25)]
    plan = next_trial(tried, ASKED, SIZING, left=60.0)
    assert plan is not None
    assert plan.rate == pytest.approx(480.0)
    assert plan.calm > 0
    alone = SIZING.model_copy(update={"size": 1})
    first = next_trial([], ASKED, alone, left=60.0)
    assert first is not None
    assert first.because == "verify: 1 connection at the target rate"


def predicted(*shares: float, first: int = 8) -> Sizing:
    """A sizing whose model says these P(wait > target) from size `first` on."""
    rows = tuple(
        PredictedWait(
            pool_size=first + index, exceedance=share, wait_p99=0.0, hold_time=0.02, utilisation=0.5
        )
        for index, share in enumerate(shares)
    )
    answer = next(row.pool_size for row in rows if (row.exceedance or 0.0) <= 0.0085)
    return SIZING.model_copy(update={"predictions": rows, "size": answer})


# Each further connection halves the late calls; 12 is the predicted size, with 0.6 % late.
HALVING = predicted(*(0.006 * 2.0 ** (12 - n) for n in range(8, 25)))


def search(
    late: dict[int, list[int]],
    sizing: Sizing = HALVING,
    *,
    asked: Objective = ASKED,
    left: float = 60.0,
    replies: dict[int, int] | None = None,
) -> tuple[int, list[int]]:
    """The size chosen and those tried, when sizes show so many late calls per 1000 in each trial.

    Sizes not in the table show none above it and 900 below. `replies`: the same of late replies.
    """
    trials: list[Trial] = []
    while plan := next_trial(trials, asked, sizing, left=left):
        if plan.purpose != "verify":
            break
        before = sum(trial.pool_size == plan.pool_size for trial in trials)
        known = late.get(plan.pool_size)
        shown = 900 if plan.pool_size < min(late, default=0) else 0
        if known:
            shown = known[min(before, len(known) - 1)]
        waited = waits(4 * shown, of=4000)
        slow = waits((replies or {}).get(plan.pool_size, 0))
        trials.append(open_trial(plan.pool_size, wait_time=waited, response_time=slow))
        left -= plan.seconds
        assert len(trials) < 20
    return chosen_size(trials, asked, sizing), [trial.pool_size for trial in trials]


@pytest.mark.parametrize(
    ("late", "chosen", "tried", "because"),
    [
        ({12: [6]}, 12, [12], "as predicted: one trial is enough"),
        ({12: [12, 5]}, 12, [12, 12], "a little over the limit is luck: tried again, and it holds"),
        ({12: [14, 14], 13: [5]}, 13, [12, 13, 12], "twice over the limit: it hovers, one more"),
        ({12: [30], 13: [5]}, 13, [12, 14, 13], "clearly over the limit, and past the answer"),
        ({12: [400], 15: [6]}, 15, [12, 15, 16], "far too many: a leap by what was seen"),
        ({12: [400], 15: [5]}, 15, [12, 15, 15], "few late at 15: trials may know better"),
        ({11: [3]}, 11, [12, 11], "nobody late at 12: 11 is tried, passes and is taken"),
        ({11: [3], 10: [9]}, 11, [12, 11], "10 passes by luck at best and is not tried"),
        ({11: [30]}, 12, [12, 11], "nobody late at 12, but 11 fails: 12 was needed"),
    ],
)
def test_it_ends_at_the_smallest_size_that_clearly_passes(
    late: dict[int, list[int]], chosen: int, tried: list[int], because: str
) -> None:
    """Up by what the late calls ask for, down where they leave room; few trials are spent."""
    assert search(late) == (chosen, tried), because


@pytest.mark.parametrize(
    ("rate", "left", "seconds"),
    [
        (400.0, 60.0, 5.0),  # 2,000 calls
        (400.0, -math.inf, 4.0),  # one trial in any case, and a brief one
        (100.0, 60.0, 12.0),
        (100.0, 10.0, 9.0),  # what is left beside the warm-up
        (100.0, -math.inf, 5.0),  # 500 calls
        (20.0, -math.inf, 12.0),
    ],
)
def test_a_trial_takes_what_is_left(rate: float, left: float, seconds: float) -> None:
    """A brief one still tells a size that is far too small."""
    asked = ASKED.model_copy(update={"target_rate": rate})
    trials = [] if math.isinf(left) else [open_trial(12, wait_time=waits(20))]
    plan = next_trial(trials, asked, HALVING, left=left)
    assert plan is not None
    assert plan.seconds - plan.warm_up == pytest.approx(seconds, abs=1.0)


def test_growth_ends_at_the_budget_and_at_the_largest_size() -> None:
    """What does not fit is not tried, and the size that came closest is recommended."""
    failing = {size: [400 - 10 * size] for size in range(12, 40)}
    assert max(search(failing, asked=ASKED.but(max_size=13))[1]) == 13
    assert search(failing, left=8.0)[1] == [12]
    assert search(failing, left=25.0)[0] == max(search(failing, left=25.0)[1])


def test_the_last_trials_keep_their_seconds() -> None:
    """The overload is paid for before a smaller size is tried, but not before one that holds."""
    n = SIZING.size or 0
    assert walk({}, left=13.0) == [(n, "verify"), (n, "overload")]
    assert walk({n: 400}, left=13.0)[:2] == [(n, "verify"), (n + 2, "verify")]


@pytest.mark.parametrize(
    ("asked", "limited_by"),
    [
        (Objective(target_rate=400.0, wait_p99=0.010, tasks=11, connections_per_task=2), "floor"),
        (Objective(target_rate=400.0, wait_p99=0.010), "cap"),
    ],
)
def test_a_size_that_is_not_there_for_the_load_is_not_shrunk(
    asked: Objective, limited_by: str
) -> None:
    """Nobody waits, but a floor or a cap asked for the size."""
    sizing = HALVING.model_copy(update={"limited_by": limited_by})
    assert search({1: [0]}, sizing, asked=asked) == (12, [12])


BY_RESPONSE = (
    Objective(target_rate=400.0, response_p99=0.015),
    Objective(target_rate=400.0, wait_p99=0.010, response_p99=0.015),
)


@pytest.mark.parametrize("asked", BY_RESPONSE)
@pytest.mark.parametrize(
    ("replies", "chosen", "tried", "because"),
    [
        ({12: 8}, 12, [12], "in time, with no room for less"),
        ({12: 2, 11: 30}, 12, [12, 11], "room for 11, whose replies are late"),
        ({12: 2, 11: 8}, 12, [12, 11], "11 is in time by luck at best"),
        ({12: 0, 11: 2, 10: 50}, 11, [12, 11, 10], "one at a time, as far as there is room"),
    ],
)
def test_a_size_that_the_response_time_asks_for_is_shrunk_too(
    asked: Objective, replies: dict[int, int], chosen: int, tried: list[int], because: str
) -> None:
    """Nobody waits, and replies are in time by far: a connection less is tried."""
    sizing = predicted(*(0.0001,) * 17).model_copy(update={"limited_by": "response", "size": 12})
    assert search({1: [0]}, sizing, asked=asked, replies=replies) == (chosen, tried), because


def test_headroom_is_kept() -> None:
    """Connections that were asked for on top are no waste that verification takes away."""
    assert search({1: [0]}, HALVING.model_copy(update={"headroom": 2})) == (12, [12])


@given(
    late=st.dictionaries(st.integers(6, 30), st.lists(st.integers(0, 1000), min_size=1)),
    left=st.floats(5.0, 60.0),
)
def test_any_outcomes_end_the_search_within_its_budget(
    late: dict[int, list[int]], left: float
) -> None:
    """Whatever trials show: it ends, at a size that was tried, and overspends by one trial."""
    chosen, tried = search(late, left=left)
    assert chosen in tried
    assert len(tried) <= max(1.0, left / 5.0)  # a warm-up and the shortest trial


def one(pool_size: int, late: float, looks: float = 50.0) -> Tally:
    return Tally(pool_size, share=late / 1000.0, observations=looks)


@given(late=st.floats(0.0, 1000.0), more=st.floats(0.0, 500.0), size=st.integers(8, 24))
def test_more_late_calls_never_make_a_size_better(late: float, more: float, size: int) -> None:
    """And a larger size is never less likely to be good."""
    shares = {row.pool_size: row.exceedance or 0.0 for row in HALVING.predictions}
    calm, busy = (belief(shares, [one(12, n)]) for n in (late, min(1000.0, late + more)))
    assert busy.holds(size, 0.01) <= calm.holds(size, 0.01) + 1e-9
    assert calm.holds(size, 0.01) <= calm.holds(size + 1, 0.01) + 1e-9
    assert 0.0 <= calm.holds(size, 0.01) <= 1.0 + 1e-9


def test_few_independent_looks_do_not_overrule_the_model() -> None:
    """The same share of late calls weighs more, the more looks stand behind it."""
    shares = {row.pool_size: row.exceedance or 0.0 for row in HALVING.predictions}
    few, many = (belief(shares, [one(12, 30.0, looks)]).holds(12, 0.01) for looks in (20.0, 2000.0))
    assert few > 0.3
    assert many < 0.1


@pytest.mark.parametrize(
    ("busy", "least", "most"), [(0.0, 1.0, 1.0), (0.6, 8.0, 9.0), (0.9, 150.0, 250.0)]
)
def test_late_calls_of_a_busy_upstream_come_in_clusters(
    busy: float, least: float, most: float
) -> None:
    """1000 calls are worth as many looks as there are clusters of this many."""
    assert least <= 1000.0 / tally([open_trial(12, late=10)], ASKED, busy).observations <= most


def test_what_the_batches_show_counts_where_it_is_worse() -> None:
    """A stall of the machine makes one cluster: its trial says less than busy spells would."""
    calm = open_trial(12, late=100)
    stalled = open_trial(12, late=100, late_interval95=(-0.3, 0.5))
    assert tally([stalled], ASKED, 0.5).observations < 0.2 * tally([calm], ASKED, 0.5).observations


def test_the_interval_of_a_trial_holds_the_long_run() -> None:
    """Batch means: most of 40 intervals of 4 s hold P(wait > target) of 100,000 calls.

    Not 95 %, as late calls come in so few clusters: the search goes by the larger of this and what
    busy spells lead one to expect. With calls counted as independent, most intervals miss it.
    """
    upstream, asked = Workers(24, 0.025, 0.5), Objective(target_rate=600.0, wait_p99=0.010)
    sizing = HALVING.model_copy(update={"size": 19})
    seen = [verified(upstream, asked, sizing, seed=n, budget=0.0)[1][0] for n in range(40)]
    truth = sum(failed_share(trial, 0.010) for trial in seen) / len(seen)
    intervals = [trial.late_interval95 for trial in seen if trial.late_interval95 is not None]
    assert len(intervals) == 40
    assert sum(low <= truth <= high for low, high in intervals) >= 25
    iid = [1.96 * math.sqrt(truth * (1 - truth) / trial.wait_time.count) for trial in seen]
    shares = [failed_share(trial, 0.010) for trial in seen]
    assert sum(abs(s - truth) <= w for s, w in zip(shares, iid, strict=True)) <= 15


@pytest.mark.parametrize(("rate", "pool_size"), [(200.0, 7), (280.0, 9)])
def test_the_p99_wait_s_interval_holds_the_truth(rate: float, pool_size: int) -> None:
    """Of 2000 calls each; where hardly one independent call lies beyond it nothing is said."""
    upstream = Workers(workers=8, service_time=0.02, cv=0.5)
    truth = float(np.quantile(open_loop(upstream, rate, pool_size, 100_000).waits, 0.99))
    intervals = []
    for seed in range(100, 150):
        histogram = Histogram()
        histogram.add(open_loop(upstream, rate, pool_size, 2500, seed).waits[500:])
        trial = open_trial(pool_size, wait_time=histogram.distribution(), late_interval95=None)
        found = p99_interval([trial], ASKED, rate * 0.02 / min(pool_size, 8))
        assert found is not None
        assert found[0] <= verification_p99(trial) <= found[1]
        intervals.append(found)
        assert p99_interval([trial], ASKED, 0.9) is None
    assert sum(low <= truth <= high for low, high in intervals) >= 45
    # Of two measurements of the same thing hardly any two are told apart.
    apart = sum(a[1] < b[0] or b[1] < a[0] for a, b in itertools.pairwise(intervals))
    assert apart <= 4


def verification_p99(trial: Trial) -> float:
    found = verification([trial], trial.pool_size, ASKED, SIZING)
    assert found is not None
    assert found.wait_p99 is not None
    return found.wait_p99


@pytest.mark.parametrize(
    ("wrong", "first", "within", "because"),
    [
        (0.0, 20, {20, 21}, "a right prediction stays, or grows by one where luck was bad"),
        (1.5, 22, {20, 21, 22}, "too dark a prediction: sizes shrink"),
        (-1.0, 19, {19, 20, 21}, "too bright a one: sizes grow"),
    ],
)
def test_verification_mends_a_wrong_prediction(
    wrong: float, first: int, within: set[int], because: str
) -> None:
    """Workers whose needed size is 20: twenty verifications, each within its seconds of load."""
    upstream, asked = Workers(24, 0.025, 0.5), Objective(target_rate=600.0, wait_p99=0.010)
    right = {18: 0.055, 19: 0.020, 20: 0.0075, 21: 0.0028, 22: 0.0010, 23: 0.0004, 24: 0.0001}
    sizing = predicted(*(min(1.0, p * math.exp(wrong)) for p in right.values()), first=18)
    assert sizing.size == first
    found = [verified(upstream, asked, sizing, seed=n) for n in range(20)]
    sizes = [chosen for chosen, _, _ in found]
    assert set(sizes) <= within, because
    assert all(seconds <= BUDGET for _, _, seconds in found)
    assert abs(sum(sizes) / 20 - 20) <= max(0.3, abs(first - 20) - 0.3), because


def test_a_gate_is_shown_with_and_without() -> None:
    """More callers than connections, once each way."""
    n = SIZING.size or 0
    assert walk({n - 1: 25}, gate=True)[3:] == [(n, "fairness"), (n, "fairness")]


def test_nothing_is_verified_without_a_size() -> None:
    """'Cannot say' stays so."""
    unknown = SIZING.model_copy(update={"size": None})
    assert next_trial([], ASKED, unknown, left=60.0) is None


@pytest.mark.parametrize(("late", "passes"), [(0, True), (10, True), (11, False), (1000, False)])
def test_at_most_one_per_cent_may_wait_longer(late: int, passes: bool) -> None:
    """Exactly 1 % still meets a p99; one call more does not."""
    assert meets([open_trial(12, late=late)], ASKED) is passes


def test_calls_that_never_got_a_connection_count_as_late() -> None:
    """Giving up and being cut off are not a way to a good p99."""
    trial = open_trial(12, outcomes={"ok": 980, "pool_timeout": 10, "unfinished": 10})
    assert failed_share(trial, 0.010) == pytest.approx(20 / 1020)
    assert not meets([trial], ASKED)


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


def test_a_p99_of_few_calls_says_so() -> None:
    """At low rates a trial ends before it holds enough calls."""
    few = verification([open_trial(12, wait_time=waits(0, of=240))], 12, ASKED, SIZING)
    enough = verification([open_trial(12, wait_time=waits(0, of=2000))], 12, ASKED, SIZING)
    assert few is not None
    assert enough is not None
    assert "240 calls only, so the p99 rests on a handful of waits" in few.signals[0].seen
    assert "only" not in enough.signals[0].seen


def test_waiting_calls_of_an_overload_are_no_failures() -> None:
    """Above the target rate a queue may be left at the end; that is no collapse."""
    assert signals(GOOD, above(outcomes={"ok": 90, "unfinished": 10}))["graceful_plateau"]


def test_trials_of_one_size_are_judged_together() -> None:
    """15 and 3 late of 1000 are 0.9 % of 2000."""
    pair = [open_trial(12, late=15), open_trial(12, late=3)]
    assert not meets(pair[:1], ASKED)
    assert meets(pair, ASKED)
    assert signals(*pair, ABOVE, AFTER)["wait_near_zero"]


def test_the_latest_overload_of_a_size_counts() -> None:
    """A resumed run may hold two trials of one size."""
    first, second = open_trial(12, late=50), open_trial(12, late=0)
    assert latest([first, second, ABOVE], 12, "verify") == second
    assert latest([first, second], 12, "overload") is None


def test_a_response_target_is_verified_too() -> None:
    """Where response_p99 is asked, waits alone do not pass."""
    asked = Objective(target_rate=400.0, wait_p99=0.010, response_p99=0.015, max_size=64)
    slow = open_trial(12, response_time=waits(50))
    fast = open_trial(12, response_time=waits(0))
    assert not meets([slow], asked)
    assert meets([fast], asked)
    made = verification([fast, ABOVE], 12, asked, SIZING)
    assert made is not None
    names = [signal.name for signal in made.signals]
    assert "response_in_time" in names
