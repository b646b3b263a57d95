"""What bounds the throughput: each verdict with the figures that show it."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.analysis.curve import points
from poolkit.analysis.sizing import size
from poolkit.analysis.verdict import judge, why_not
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Check, Sweep, Trial, Verdict
from poolkit.targets.objective import Objective
from tests.analysis.simulate import Workers
from tests.analysis.synthetic import (
    drawn_sweep,
    drawn_trial,
    law_curve,
    simulated_open_trial,
    workers_curve,
)

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48)
BUSY = Check(name="client_bound", passed=False, seen="", why="", next="")


def verdict(*trials: Trial, stopped: str | None = None) -> Verdict:
    return judge(Sweep(target="t", trials=trials, stopped=stopped), points(trials))


def limited(kind: str, outcome: str, *, hold: float = 0.02, clean: int = 4) -> tuple[Trial, ...]:
    """A limit of 300 calls/s over calls of 20 ms: clean up to 4 connections, failing from 8 on."""
    trials = [drawn_trial(n, n / 0.02) for n in (1, 2, 4) if n <= clean]
    for n in (8, 16):
        served, failed = 300, 40 * n
        changes: dict[str, Any] = {
            "outcomes": {"ok": served, outcome: failed},
            "error_kinds": {kind: failed},
        }
        trials.append(drawn_trial(n, 300.0, hold=hold, window=1.0, **changes))
    return tuple(trials)


@pytest.mark.parametrize(
    ("trials", "stopped", "name", "evidence"),
    [
        (drawn_sweep(workers_curve(16, 0.02), SIZES).trials, None, "server_bound", "800 calls/s"),
        (
            drawn_sweep(workers_curve(64, 0.02), SIZES).trials,
            None,
            "pool_bound",
            "still rises at 48",
        ),
        (
            tuple(
                drawn_trial(n, min(n, 8) / 0.02, checks=[BUSY] if n >= 8 else [], cpu_share=0.95)
                for n in SIZES
            ),
            None,
            "client_bound",
            "95 % of a core",
        ),
        (limited("http_429", "rejected"), None, "rate_limited", "the server shed"),
        (limited("http_429", "rejected"), "rejected: 9 of 20", "rate_limited", "(http_429)"),
        (limited("http_503", "rejected"), None, "refused", "(http_503)"),
        (limited("too_many_connections", "rejected"), None, "refused", "too_many_connections"),
        # Quotas that answer with another status: right calls, only too many of them.
        (limited("http_403", "error"), "error_share: many", "rate_limited", "end with http_403"),
        # An error of the server's own is none, and nor are calls that were wrong from the start.
        (limited("http_500", "error"), "error_share: many", "stopped", "error_share"),
        (limited("http_404", "error", clean=0), "error_share: all", "stopped", "error_share"),
        ((), "silence: no call ended", "stopped", "no call ended"),
        ((), None, "stopped", "no trial passed"),
    ],
)
def test_the_verdict_and_its_evidence(
    trials: tuple[Trial, ...], stopped: str | None, name: str, evidence: str
) -> None:
    """One row a verdict; the figures that decided stand in the sentence."""
    found = verdict(*trials, stopped=stopped)
    assert found.name == name
    assert evidence in found.evidence


def test_a_loop_that_something_blocks_is_told_from_a_busy_one() -> None:
    """The client is at fault either way, and what to look for is not the same."""
    curve = workers_curve(8, 0.02)
    late = [
        drawn_trial(n, curve(n), checks=[BUSY], cpu_share=0.2, loop_lag_p99=0.08) for n in (8, 16)
    ]
    said = verdict(*(drawn_trial(n, curve(n)) for n in (1, 2, 4)), *late)
    assert said.name == "client_bound"
    assert "up to 80 ms late (p99), though it used no more than 20 % of a core" in said.evidence


def test_beyond_a_size_where_the_machine_was_full_nothing_is_known() -> None:
    """It is not the pool that bounds what was seen, nor the client."""
    curve = workers_curve(16, 0.02)
    full = Check(name="machine_quiet", passed=False, seen="others took 96%", why="", next="")
    trials = [drawn_trial(n, curve(n)) for n in (1, 2, 4)]
    trials += [drawn_trial(n, 0.7 * curve(n), checks=[full]) for n in (8, 16)]
    said = verdict(*trials)
    assert said.name == "stopped"
    assert said.evidence.startswith("from 8 connections on this machine was not quiet")
    assert "others took 96%" in said.evidence
    # A plateau that was seen stands, whatever became of a larger size.
    trials = [drawn_trial(n, curve(n)) for n in (1, 2, 4, 8, 16, 24, 32)]
    said = verdict(*trials, drawn_trial(48, 500.0, checks=[full]))
    assert said.name == "server_bound"


def test_a_dip_that_a_second_trial_shows_too_is_the_endpoints_own() -> None:
    """To measure again is no remedy there."""
    curve = {1: 50.0, 4: 200.0, 8: 400.0, 12: 300.0, 16: 400.0, 32: 400.0}
    once = [drawn_trial(n, rate) for n, rate in curve.items()]
    asked = Objective(target_rate=250.0, wait_p99=0.010)
    for trials, said in (
        (once, "measure again when it is quiet"),
        ([*once, drawn_trial(12, 301.0)], "2 trials there say so"),
    ):
        found = size(Sweep(target="t", trials=tuple(trials)), asked)
        assert found.size is None
        assert said in found.because


def test_one_point_is_not_seen_to_stay() -> None:
    """The last step gained little: that is told, and no plateau from a size to the same size."""
    curve = {1: 40.0, 2: 80.0, 4: 160.0, 8: 300.0, 16: 480.0, 32: 530.0}
    said = verdict(*drawn_sweep(lambda n: curve[n], curve).trials).evidence
    assert "from 32 connections to 32" not in said
    assert "from 16 to 32 connections, the largest size measured, throughput rises" in said


def in_service(rate: float) -> Trial:
    """A little of a server's load at a rate (calls/s)."""
    plan = TrialPlan("approach", pool_size=32, warm_up=0.2, seconds=1.4, because="test", rate=rate)
    return simulated_open_trial(Workers(8, 0.02), plan, 1, None)


def test_a_busy_machine_is_not_answered_with_a_larger_budget() -> None:
    """What did not pass is named, with what helps against it; few calls alone ask for more."""
    busy = Check(name="machine_quiet", passed=False, seen="busy", why="", next="close others")
    light = in_service(45.0)
    assert "give it --budget" in (why_not(Sweep(target="t", trials=(light,)), ()) or "")
    left_out = [in_service(rate).model_copy(update={"checks": (busy,)}) for rate in (90.0, 135.0)]
    said = why_not(Sweep(target="t", trials=(light, *left_out)), ()) or ""
    assert "2 of 3 trials at a set rate did not pass (machine quiet failed: close others)" in said
    assert "--budget" not in said


def test_a_falling_curve_is_not_said_to_stay() -> None:
    """Where it is highest, and what is left at the end."""
    said = verdict(*drawn_sweep(law_curve(0.00947, 0.04, 0.00296), SIZES).trials).evidence
    assert "throughput is highest at 16 connections" in said
    assert "more connections bring less" in said


def test_flat_throughput_with_short_holds_is_told() -> None:
    """A limit by rate: calls get through as fast as ever, and keep few connections busy."""
    said = verdict(*limited("http_429", "rejected")).evidence
    assert "as fast as with 1 (20 ms)" in said
    assert "kept 6 of 16 connections busy" in said
    slow = verdict(*limited("http_429", "rejected", hold=0.05)).evidence
    assert "as fast as" not in slow


@pytest.mark.parametrize("rate", [150.0, 250.0, 400.0, 2000.0])
@pytest.mark.parametrize(("kind", "outcome"), [("http_429", "rejected"), ("http_403", "error")])
def test_a_rate_limit_is_never_answered_with_a_bigger_pool(
    kind: str, outcome: str, rate: float
) -> None:
    """No size at which calls were refused is recommended, whatever is asked."""
    sweep = Sweep(target="t", trials=limited(kind, outcome))
    found = size(sweep, Objective(target_rate=rate, wait_p99=0.010))
    assert found.size is None or found.size < 8
    if rate >= 250:
        assert found.size is None
        assert "larger pool" in found.because or "larger pool" in found.raised_by


@pytest.mark.parametrize(
    ("rejected", "unfinished", "kind", "name", "share"),
    [
        # A brake stops after a few refusals, with more calls under way than were refused.
        (3, 8, "http_429", "rate_limited", "12.0 % of the calls (http_429)"),
        (4, 60, "http_503", "refused", "16.0 % of the calls (http_503)"),
        (1, 400, "http_429", "rate_limited", "4.0 % of the calls (http_429)"),
    ],
)
def test_calls_that_a_stop_cuts_hide_no_shedding(
    rejected: int, unfinished: int, kind: str, name: str, share: str
) -> None:
    """The share, and the kind of the refusal, are those of the calls that the server answered."""
    stopped = drawn_trial(
        8,
        200.0,
        outcomes={"ok": 25 - rejected, "rejected": rejected, "unfinished": unfinished},
        error_kinds={kind: rejected, "unfinished": unfinished},
        stopped="rejected",
    )
    clean = (drawn_trial(1, 50.0), drawn_trial(2, 100.0), drawn_trial(4, 200.0))
    found = verdict(*clean, stopped, stopped="rejected: some of 25")
    assert found.name == name
    assert share in found.evidence
