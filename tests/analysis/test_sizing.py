"""From a sweep and an objective to a size, or to why none can be named."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from poolkit.analysis.sizing import size
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Check, Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis import simulate
from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers
from tests.analysis.synthetic import (
    drawn_sweep,
    drawn_trial,
    simulated_open_trial,
    simulated_trial,
    workers_curve,
)

SIZES = (1, 2, 4, 8, 12, 16, 18, 20, 22, 24, 28, 32, 48, 64)
WORKERS = drawn_sweep(workers_curve(24, 0.025), SIZES, dispersion=0.25)
OBJECTIVE = Objective(target_rate=600.0, wait_p99=0.010)


def _check(name: str) -> Check:
    return Check(name=name, passed=False, seen="", why="", next="")


@pytest.mark.parametrize(
    ("upstream", "rate", "sizes"),
    [
        (Workers(24, 0.025, 0.5), 600.0, (1, 2, 4, 8, 16, 18, 20, 22, 24, 32, 48)),
        (CpuBound(0.015, 0.00127, 0.3), 630.0, (1, 2, 4, 8, 12, 14, 16, 18, 20, 32)),
        (Contended(0.009, 0.1, 0.001, 0.3), 500.0, (1, 2, 4, 8, 12, 14, 16, 18, 24, 32)),
        (Workers(40, 0.008, 0.3, 0.1, 6.0), 2000.0, (1, 4, 8, 16, 24, 28, 32, 36, 40, 48, 64)),
    ],
)
def test_survives_brute_force(upstream: Upstream, rate: float, sizes: tuple[int, ...]) -> None:
    """The size read off one simulated sweep passes a long open loop; a tenth less does not."""
    trials = tuple(simulated_trial(upstream, n, seconds=2.5, seed=3) for n in sizes)
    found = size(
        Sweep(target="simulated", trials=trials), Objective(target_rate=rate, wait_p99=0.010)
    )
    assert found.size is not None

    def late(pool_size: int) -> float:
        waits = simulate.open_loop(upstream, rate, pool_size, 200_000, seed=5).waits
        return float((waits[4000:] > 0.010).mean())

    assert late(found.size) <= 0.0115
    assert late(min(found.size - 2, int(found.size / 1.1))) > 0.01


def test_says_what_it_rests_on() -> None:
    """A sizing carries its knees, plateau, predictions around the answer, and reasons."""
    found = size(WORKERS, OBJECTIVE)
    assert found.size in (20, 21)
    assert found.limited_by == "wait"
    assert not found.out_of_reach
    assert found.verdict.name == "server_bound"
    assert "960" in found.verdict.evidence
    assert {knee.rule for knee in found.knees} == {"littles_law", "plateau95", "usl_peak"}
    assert found.hold_at_one == pytest.approx(0.025, rel=0.01)
    assert "600 calls/s" in found.because
    assert "longer than 10 ms" in found.because
    around = [prediction.pool_size for prediction in found.predictions]
    assert around[0] <= found.size / 2 + 1
    assert around[-1] >= 2 * found.size
    by_size = {prediction.pool_size: prediction for prediction in found.predictions}
    assert by_size[found.size].exceedance is not None
    assert by_size[found.size].exceedance <= 0.01
    assert by_size[14].exceedance is None  # 14 connections carry 560 calls/s


def _rejecting(first: int, kind: str) -> Sweep:
    """24 workers that shed calls from `first` connections on."""
    trials: list[Trial] = []
    for n in SIZES:
        if n < first:
            trials.append(drawn_trial(n, n / 0.025))
        else:
            trials.append(
                drawn_trial(
                    n,
                    (first - 1) / 0.025,
                    hold=0.02,
                    outcomes={"ok": 500, "rejected": 400},
                    error_kinds={kind: 400},
                )
            )
    return Sweep(target="drawn", trials=tuple(trials))


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("http_429", "rate_limited"),
        ("http_503", "refused"),
        ("too_many_connections", "refused"),
    ],
)
def test_a_shedding_server_never_gets_a_bigger_pool(kind: str, verdict: str) -> None:
    """Where calls are shed from 12 connections on, no size of 12 or more is ever answered."""
    beyond = size(_rejecting(12, kind), OBJECTIVE)
    assert beyond.verdict.name == verdict
    assert beyond.size is None
    assert beyond.out_of_reach
    assert beyond.reachable_rate is not None
    assert beyond.reachable_rate < 440
    below = size(_rejecting(12, kind), Objective(target_rate=150.0, wait_p99=0.010))
    assert below.size is not None
    assert below.size < 12


@pytest.mark.parametrize(("kind", "outcome"), [("http_403", "error"), ("http_429", "rejected")])
@pytest.mark.parametrize("rate", [120.0, 200.0, 240.0, 400.0])
def test_a_few_refusals_are_no_part_of_the_curve(kind: str, outcome: str, rate: float) -> None:
    """2.6 % of the calls refused from 6 connections on: no size is read off there or beyond."""
    lost: dict[str, Any] = {"outcomes": {"ok": 400, "error": 1}, "error_kinds": {"disconnected": 1}}
    trials = [drawn_trial(n, n / 0.02, **lost) for n in (1, 2, 3, 4)]
    for n in (6, 8, 12, 16, 24):
        refused: dict[str, Any] = {"outcomes": {"ok": 974, outcome: 26}, "error_kinds": {kind: 26}}
        trials.append(drawn_trial(n, 240.0, hold=0.02, window=4.0, **refused))
    found = size(
        Sweep(target="t", trials=tuple(trials)),
        Objective(target_rate=rate, wait_p99=0.010, headroom=1.0),
    )
    assert found.verdict.name == "rate_limited"
    assert found.size is None or found.size <= 4
    assert max(point.pool_size for point in found.points) == 4
    assert max((one.pool_size for one in found.predictions), default=0) <= 4


def _with_figures(hold_mean: float | None = None, **figures: Any) -> Sweep:
    """A sweep whose figures no measurement would write; the records' own checks are gone round."""
    trials = []
    for trial in WORKERS.trials:
        changes = dict(figures)
        if hold_mean is not None:
            changes["hold_time"] = trial.hold_time.model_copy(update={"mean": hold_mean})
        trials.append(trial.model_copy(update=changes))
    return Sweep.model_construct(target="t", trials=tuple(trials))


def _shed_from_two() -> Sweep:
    shed = {"outcomes": {"ok": 50, "rejected": 40}, "error_kinds": {"http_503": 40}}
    trials = [drawn_trial(1, 40.0), *(drawn_trial(n, 45.0, hold=0.02, **shed) for n in (2, 4, 8))]
    return Sweep(target="t", trials=tuple(trials))


NONSENSE: dict[str, tuple[Sweep, str]] = {
    "no trial": (Sweep(target="t", trials=()), "no pool size was measured"),
    "one size only": (drawn_sweep(workers_curve(24, 0.025), (8,), repeats=3), "only one size"),
    "all trials failed their checks": (
        drawn_sweep(workers_curve(24, 0.025), SIZES, checks=[_check("steady")]),
        "passed its checks (steady failed)",
    ),
    "zero successes": (
        drawn_sweep(lambda n: 0.0, SIZES, outcomes={"error": 50}),
        "calls succeeded",
    ),
    "hold times of zero": (
        drawn_sweep(workers_curve(24, 0.025), SIZES, hold=0.0),
        "every hold time is zero",
    ),
    "no trial ran to its end": (
        drawn_sweep(workers_curve(24, 0.025), SIZES, stopped="error_share"),
        "too many calls failed in every trial",
    ),
    "hold times that are no numbers": (
        _with_figures(hold_mean=math.nan),
        "no numbers",
    ),
    "throughputs that are no numbers": (_with_figures(throughput=math.nan), "no numbers"),
    "endless throughput": (_with_figures(throughput=math.inf), "no numbers"),
    "intervals that are no numbers": (
        _with_figures(throughput_interval95=(math.nan, math.nan)),
        "no numbers",
    ),
    "shed from the second connection on": (
        _shed_from_two(),
        "the server turns calls away at 2 connections already",
    ),
    "throughput grows faster than the connections": (
        drawn_sweep(lambda n: 40.0 * n * n, (1, 2, 4, 8)),
        "became faster meanwhile",
    ),
    "only the largest size is usable": (
        Sweep(
            target="t",
            trials=tuple(
                drawn_trial(n, n / 0.025, checks=[] if n == 8 else [_check("steady")])
                for n in (1, 2, 4, 8)
            ),
        ),
        "only one size",
    ),
    "throughput falls and rises again": (
        drawn_sweep(lambda n: 200.0 if n == 12 else min(n, 24) / 0.025, SIZES),
        "rises again",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_cannot_say(name: str) -> None:
    """A curve that makes no sense gives a reason and never a number."""
    sweep, said = NONSENSE[name]
    found = size(sweep, OBJECTIVE)
    assert found.size is None
    assert not found.out_of_reach
    assert found.limited_by == "unknown"
    assert found.because.startswith("cannot say, because ")
    assert said in found.because
    assert (found.predictions, found.rules_of_thumb, found.plateau, found.knees) == (
        (),
        (),
        None,
        (),
    )
    assert (found.reachable_rate, found.dispersion, found.hold_at_one) == (None, None, None)


def test_shed_from_the_first_connection_on() -> None:
    """Nothing clean is left to read a size off."""
    found = size(_rejecting(2, "http_429"), OBJECTIVE)
    assert found.size is None
    assert found.verdict.name == "rate_limited"


def test_unusable_trials_are_not_fitted() -> None:
    """A flagged trial with a wild figure changes nothing but the verdict's evidence."""
    wild = drawn_trial(20, 5000.0, checks=[_check("steady")])
    with_it = Sweep(target="drawn", trials=(*WORKERS.trials, wild))
    assert size(with_it, OBJECTIVE) == size(WORKERS, OBJECTIVE)


def test_a_busy_client_is_named() -> None:
    """When the trials near the top failed the client check, the plateau is the client's own."""
    trials = tuple(
        drawn_trial(
            n,
            min(n, 16) / 0.025,
            checks=[_check("client_bound")] if n >= 16 else [],
            cpu_share=0.97 if n >= 16 else 0.3,
        )
        for n in SIZES
    )
    found = size(Sweep(target="drawn", trials=trials), OBJECTIVE)
    assert found.verdict.name == "client_bound"
    assert "97 % of a core" in found.verdict.evidence
    assert found.size is None
    assert not found.out_of_reach


def test_still_rising_asks_for_a_wider_range() -> None:
    """Sizes that end before the plateau and before the answer: pool_bound, no number."""
    sweep = drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12))
    found = size(sweep, OBJECTIVE)
    assert found.verdict.name == "pool_bound"
    assert found.size is None
    assert "larger budget" in found.because


@pytest.mark.parametrize(("noisy", "told"), [(1, "larger budget"), (2, "this machine is quiet")])
def test_what_repeats_used_up_is_not_asked_for_again(noisy: int, told: str) -> None:
    """With more than one in five trials disturbed a larger budget goes the same way."""
    sweep = drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12))
    loud = Check(name="machine_quiet", passed=False, seen="others", why="", next="")
    spoilt = [t.model_copy(update={"checks": (loud,)}) for t in sweep.trials[-noisy:]]
    trials = (*spoilt, *sweep.trials)  # each was measured again
    found = size(sweep.model_copy(update={"trials": trials}), OBJECTIVE)
    assert found.size is None
    assert told in found.because


def test_the_cap_is_named() -> None:
    """max_size below what the rate needs: out of reach by the cap, with the rate that fits."""
    sweep = drawn_sweep(workers_curve(24, 0.025), (1, 2, 4, 8, 12))
    found = size(sweep, Objective(target_rate=600.0, wait_p99=0.010, max_size=12))
    assert found.out_of_reach
    assert found.limited_by == "cap"
    assert found.reachable_rate is not None
    assert 250 < found.reachable_rate < 480
    reached = size(
        sweep, Objective(target_rate=0.99 * found.reachable_rate, wait_p99=0.010, max_size=12)
    )
    assert reached.size is not None


def test_beyond_the_plateau_is_out_of_reach() -> None:
    """More than the upstream can do: no pool helps, and the reachable rate is below the plateau."""
    found = size(WORKERS, Objective(target_rate=1200.0, wait_p99=0.010))
    assert found.size is None
    assert found.out_of_reach
    assert found.limited_by == "plateau"
    assert found.reachable_rate is not None
    assert 800 < found.reachable_rate < 960


def test_beyond_the_sizes_measured_it_says_so() -> None:
    """On a plateau the curve is held flat beyond the largest size, and the reason tells."""
    sweep = drawn_sweep(workers_curve(8, 0.010), (1, 2, 4, 6, 8, 11, 16), dispersion=1.0)
    found = size(sweep, Objective(target_rate=650.0, wait_p99=0.010))
    assert found.size is not None
    assert found.size > 16
    assert "nothing was measured beyond 16" in found.because


def test_a_stop_is_the_verdict() -> None:
    """What was measured before a brake is still read, under the verdict `stopped`."""
    sweep = WORKERS.model_copy(update={"stopped": "errors: 60 % of the calls failed"})
    found = size(sweep, OBJECTIVE)
    assert found.verdict.name == "stopped"
    assert "60 %" in found.verdict.evidence
    assert found.size == size(WORKERS, OBJECTIVE).size


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_a_server_that_died_is_no_server_that_takes_so_many(connections: int) -> None:
    """It had more in use during the climb: what that saw stands, and no number is its limit."""
    plan = TrialPlan("approach", pool_size=24, warm_up=0.2, seconds=4.0, because="test")
    upstream = Workers(workers=6, service_time=0.02, cv=0.5)
    climb = [
        simulated_open_trial(upstream, replace(plan, rate=rate), 1, None, 0.02)
        for rate in (75.0, 150.0)
    ]
    dead = drawn_trial(connections, 40.0).model_copy(
        update={"stopped": "refused", "outcomes": {"rejected": 40}}
    )
    sweep = Sweep(target="drawn", trials=(*climb, dead), stopped="refused: no connection")
    found = size(sweep, Objective(target_rate=150.0, max_size=24, wait_p99=0.020))
    assert found.size is None or found.size >= 4
    assert found.states
    assert "takes" not in found.because
    assert "budget" not in found.because


def test_a_slow_upstream_that_was_full_in_service_is_no_matter_of_the_cap() -> None:
    """Two workers of 60 ms: the sweep ended at 3 connections, the climb had all 16 in use."""
    upstream = Workers(workers=2, service_time=0.06, cv=0.5)
    plan = TrialPlan("approach", pool_size=16, warm_up=0.2, seconds=6.0, because="test")
    climb = [
        simulated_open_trial(upstream, replace(plan, rate=rate), 1, None, 0.06)
        for rate in (15.0, 25.0, 45.0)
    ]
    swept = drawn_sweep(workers_curve(2, 0.06), (1, 3))
    found = size(
        swept.model_copy(update={"trials": (*climb, *swept.trials)}),
        Objective(target_rate=60.0, max_size=16),
    )
    assert found.size is None
    assert found.limited_by == "plateau"
    assert found.because.startswith("60 calls/s is beyond the ")
    assert "with up to 16 connections in use" in found.because


def test_a_stopped_sweep_is_not_told_to_go_on_to_larger_pools() -> None:
    """Where a brake ended the ramp, the range is not what was too narrow."""
    sweep = drawn_sweep(workers_curve(64, 0.02), (1, 2))
    stopped = sweep.model_copy(update={"stopped": "refused: no connection"})
    found = size(stopped, Objective(target_rate=400.0, wait_p99=0.010))
    assert found.size is None
    assert "the measurement was stopped there" in found.because
    assert "widen" not in found.because


def test_response_time_as_an_objective() -> None:
    """A response limit that holds alone cannot meet is out of reach, whatever the pool."""
    lax = size(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, response_p99=0.5))
    assert lax.size == size(WORKERS, OBJECTIVE).size
    strict = size(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, response_p99=0.02))
    assert strict.size is None
    assert strict.limited_by == "response"
    assert strict.out_of_reach


def test_the_floor_lifts_the_size() -> None:
    """Tasks that hold several connections need the floor even where the load does not."""
    found = size(
        WORKERS, Objective(target_rate=600.0, wait_p99=0.010, tasks=29, connections_per_task=2)
    )
    assert found.size == 30
    assert found.limited_by == "floor"
    assert (
        size(
            WORKERS, Objective(target_rate=600.0, wait_p99=0.010, tasks=79, connections_per_task=2)
        ).size
        is None
    )


def test_headroom_is_named_and_never_hidden() -> None:
    """A share of connections on top of those needed, told apart from them."""
    needed = size(WORKERS, OBJECTIVE)
    assert needed.size is not None
    assert needed.headroom == 0
    asked = size(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, headroom=0.2))
    assert asked.headroom == math.ceil(0.2 * needed.size)
    assert asked.size == needed.size + asked.headroom
    assert asked.because.startswith(needed.because)
    said = f"{asked.headroom} connections of headroom on top of {needed.size} (20 % asked)"
    assert said in asked.because
    assert asked.limited_by == "wait"


def test_headroom_keeps_to_the_cap() -> None:
    """Where the cap leaves less, the size is at the cap and says so."""
    found = size(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, headroom=0.5, max_size=23))
    assert found.size == 23
    assert found.headroom < 10
    assert "(50 % asked, the cap leaves no more)" in found.because


def test_growth_is_sized_for_and_named() -> None:
    """The size carries the rate that is expected, and says that it does."""
    grown = size(WORKERS, Objective(target_rate=500.0, wait_p99=0.010, growth=1.2))
    assert grown.size == size(WORKERS, OBJECTIVE).size
    assert "600 calls/s (growth of 1.2 included)" in grown.because


def test_a_response_time_alone_may_be_asked() -> None:
    """Without a wait target the smallest size whose responses are in time is the answer."""
    found = size(WORKERS, Objective(target_rate=600.0, response_p99=0.080))
    assert found.size is not None
    assert found.limited_by == "response"
    assert "of the calls take longer than 80 ms in all" in found.because
    by_size = {prediction.pool_size: prediction for prediction in found.predictions}
    met, less = by_size[found.size], by_size[found.size - 1]
    assert met.exceedance is None  # of no wait target
    assert met.response_p99 is not None
    assert met.response_p99 <= 0.081
    assert less.response_p99 is None or less.response_p99 > met.response_p99
    assert size(WORKERS, Objective(target_rate=600.0, response_p99=0.2)).size <= found.size


@pytest.mark.parametrize(
    ("objective", "limited_by", "told"),
    [
        (Objective(target_rate=1200.0, wait_p99=0.010), "plateau", "calls that are 20 % shorter: "),
        (
            Objective(target_rate=600.0, wait_p99=0.010, max_size=12),
            "cap",
            "24 connections in all: ",
        ),
        (Objective(target_rate=600.0, wait_p99=0.010, max_size=12), "cap", "a wait of 20 ms: "),
        (
            Objective(target_rate=956.0, wait_p99=0.010, max_size=512),
            "plateau",
            "calls that are 20 % shorter: ",
        ),
        (
            Objective(target_rate=600.0, wait_p99=0.010, response_p99=0.02),
            "response",
            "only a faster upstream",
        ),
    ],
)
def test_out_of_reach_says_what_would_raise_it(
    objective: Objective, limited_by: str, told: str
) -> None:
    """Each remedy comes with the rate that it would bring."""
    found = size(WORKERS, objective)
    assert (found.size, found.out_of_reach, found.limited_by) == (None, True, limited_by)
    assert told in found.raised_by
    if found.reachable_rate is not None:
        rates = [float(rate) for rate in re.findall(r": ([\d.]+) calls/s", found.raised_by)]
        assert rates
        assert rates == sorted(rates, reverse=True)
        assert min(rates) > found.reachable_rate


def test_no_size_is_answered_that_the_servers_budget_forbids() -> None:
    """The budget is the cap, and the reason spells it out."""
    found = size(
        WORKERS,
        Objective(
            target_rate=600.0,
            wait_p99=0.010,
            max_connections=100,
            reserved_connections=3,
            used_connections=85,
        ),
    )
    assert (found.size, found.limited_by) == (None, "cap")
    assert "budget of 12 connections (100 max_connections - 3 reserved - 85 used" in found.because


def test_every_loss_up_to_the_allowed_one_is_carried() -> None:
    """The size holds with all replicas up too, whichever case asks for most."""
    for rate in (300.0, 600.0):
        fleet = Objective(
            target_rate=rate, wait_p99=0.010, replicas=5, lost_replicas=3, max_size=320
        )
        found = size(WORKERS, fleet)
        assert found.size is not None
        for lost in range(4):
            alone = size(WORKERS, fleet.but(lost_replicas=lost))
            assert alone.size is not None
            assert alone.size <= found.size


@pytest.mark.parametrize(("surge", "has_room"), [(0, True), (4, True), (8, False)])
def test_a_rolling_deploy_leaves_less_for_each_pool(surge: int, has_room: bool) -> None:
    """A size that the usual pools may have is too large when more of them run side by side."""
    objective = Objective(
        target_rate=600.0,
        wait_p99=0.010,
        replicas=4,
        lost_replicas=0,
        max_size=60,
        max_connections=120,
        surge=surge,
    )
    found = size(WORKERS, objective)
    assert (found.size is not None) == has_room
    assert has_room or found.limited_by == "cap"
    assert has_room or "12 pools while a deploy rolls, leaves for one pool" in found.because


def test_fleets_share_the_upstream() -> None:
    """Four replicas carry the rate with one lost; the size is one pool's and keeps the cap."""
    alone = size(WORKERS, OBJECTIVE)
    fleet = size(WORKERS, Objective(target_rate=600.0, wait_p99=0.010, replicas=4, max_size=64))
    assert fleet.rate_per_pool == pytest.approx(200.0)
    assert fleet.size is not None
    assert alone.size is not None
    # Small pools cannot lend each other connections, so together they need more.
    assert alone.size / 3 < fleet.size <= 16


def test_same_sweep_same_sizing() -> None:
    """Nothing is drawn anew: a replay gives equal records."""
    sweep = drawn_sweep(workers_curve(24, 0.025), SIZES, seed=2)
    assert size(sweep, OBJECTIVE) == size(sweep, OBJECTIVE)


def test_fewer_connections_than_pools_tell_nothing() -> None:
    """4 connections measured, 6 pools: no size, and the reason asks for larger ones."""
    sweep = drawn_sweep(workers_curve(24, 0.025), (1, 2, 4))
    found = size(sweep, Objective(target_rate=100.0, replicas=6, max_size=12))
    assert (found.size, found.limited_by) == (None, "unknown")
    assert "4 connections measured are less than one for each of 5 pools" in found.because
    assert "netflix_gradient2" not in {rule.name for rule in found.rules_of_thumb}


def test_rules_of_thumb_stand_beside() -> None:
    """Each rule has a size and says where it fails here."""
    rules = {rule.name: rule for rule in size(WORKERS, OBJECTIVE).rules_of_thumb}
    assert rules["littles_law_x1.3"].size == pytest.approx(600 * 0.025 * 0.9 * 1.3, abs=2)
    assert rules["concurrent_x1.5"].size == 23
    assert rules["cores*2+spindles"].size == 9
    assert rules["small/medium/high table"].size == 20
    # 1.5 times as slow as usual is 36 calls over 24 workers; it rests where g * L + 4 = L.
    assert rules["netflix_gradient2"].size == 40
    assert "more than needed" in rules["netflix_gradient2"].fails
    assert "cannot carry" in rules["cores*2+spindles"].fails
    assert "too few" in rules["littles_law_x1.3"].fails
