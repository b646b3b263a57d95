"""What poolkit says of a target, whatever became of its measurement."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.analysis.checks import check as trial_check
from poolkit.recommend import failed, recommend, unreachable
from poolkit.recommend.assemble import nearest_trial
from poolkit.recommend.checks import over_trials
from poolkit.records import (
    Check,
    Pooler,
    Recommendation,
    RuleOfThumb,
    Signal,
    Trial,
    Verdict,
    Verification,
)
from poolkit.show import words
from poolkit.show.trust import was_too_busy
from tests.recommend.examples import (
    check,
    http_target,
    sizing,
    times,
    trial,
    verification,
    verifying_trial,
)


def checks_of(recommendation: Recommendation) -> dict[str, Check]:
    return {row.name: row for row in recommendation.checks}


def test_a_whole_measurement() -> None:
    """Everything that was found is in it, and every result check passes."""
    r = recommend(
        http_target(), sizing(), verification(), [trial(), verifying_trial()], "done", 31.2
    )
    assert (r.recommended_size, r.verdict, r.trials, r.seconds) == (14, "server_bound", 2, 31.2)
    assert r.hold_time is not None
    assert (r.hold_time.at_one, r.hold_time.at_recommended) == (0.0164, 0.0164)
    assert [row.name for row in r.checks] == ["sized", "reachable", "verified", "client_bound"]
    assert all(row.passed for row in r.checks)


@pytest.mark.parametrize(
    ("changes", "seen", "remedy"),
    [
        (
            {"reachable_rate": 410.0, "limited_by": "plateau"},
            "500 calls/s asked; 410 calls/s is the most that meets the objective",
            "make the upstream faster or add to it; more connections cannot",
        ),
        (
            {"reachable_rate": 410.0, "limited_by": "cap"},
            "500 calls/s asked; 410 calls/s is the most that meets the objective",
            "raise max_size (now 64), or lower target_rate",
        ),
        (
            {"limited_by": "unknown", "verdict": Verdict(name="client_bound", evidence="busy")},
            "500 calls/s asked; no rate that meets the objective was found",
            "spread the callers over more processes: raise workers or replicas",
        ),
    ],
)
def test_out_of_reach_says_what_is_reachable_and_what_raises_it(
    changes: dict[str, Any], seen: str, remedy: str
) -> None:
    """No size helps: the rate that can be had, and what would change it."""
    out = sizing(size=None, because="beyond the plateau", out_of_reach=True, **changes)
    r = recommend(http_target(), out, None, [trial()], "done", 20.0)
    row = checks_of(r)["reachable"]
    assert (row.passed, row.seen, row.next) == (False, seen, remedy)
    assert r.recommended_size is None
    assert r.parameters == ()
    assert "verified" not in checks_of(r)


def test_cannot_say_is_said() -> None:
    """Without a size that is not out of reach, the reason is passed on, and reach is left open."""
    because = "cannot say, because every trial was client-bound"
    unsure = sizing(size=None, because=because, limited_by="unknown")
    found = checks_of(recommend(http_target(), unsure, None, [trial()], "done", 5.0))
    assert found["sized"].seen == because
    assert not found["sized"].passed
    # The upstream is not blamed for what nobody could tell.
    assert found["sized"].next.startswith("run again")
    assert "reachable" not in found


def test_a_missed_signal_is_named() -> None:
    """The check `verified` fails with the signal that was not seen."""
    missed = verification(
        signals=(Signal(name="no_disconnects", passed=False, seen="7 calls met a closed one"),)
    )
    r = recommend(http_target(), sizing(), missed, [verifying_trial()], "done", 5.0)
    row = checks_of(r)["verified"]
    assert not row.passed
    assert row.seen == ("499 calls/s of 500 calls/s, p99 wait 6.1 ms; but 7 calls met a closed one")
    reasons = {p.name: p.because for p in r.parameters}["limit_per_host"]
    assert "in doubt at 499 calls/s: p99 wait 6.1 ms" in reasons
    assert "verified" not in reasons


def test_a_pool_that_only_moves_the_queue_is_doubted() -> None:
    """A larger pool that serves nobody sooner is not passed off as a gain."""
    moved = sizing(only_moves_queue="10 connections serve callers as soon", smallest_as_fast=10)
    found = recommend(http_target(), moved, verification(), [], "done", 5.0)
    doubt = checks_of(found)["serves_sooner"]
    assert (found.recommended_size, found.smallest_as_fast) == (moved.size, 10)
    assert doubt.seen == "10 connections serve callers as soon"
    assert not doubt.passed
    assert "take 10: leave wait_p99 out of targets.toml" in doubt.next
    assert words.size(found) == f"⚠ {moved.size}"
    said = "10 give the same response time (p99 wait under 10 ms decides)"
    assert said in words.outcome(found)
    assert "; 10 give the same response time" in words.finding(moved, found)
    # Verification moved it down to where there are no longer two sizes.
    lower = recommend(http_target(), moved, verification(), [], "done", 5.0, size=10)
    assert lower.smallest_as_fast is None
    assert "serves_sooner" not in checks_of(lower)


def test_where_nothing_is_asked_of_the_times() -> None:
    """The size is limited by the response itself, and the time limits follow what was seen."""
    target = http_target(wait_p99=None)
    found = recommend(
        target, sizing(limited_by="response"), verification(), [verifying_trial()], "done", 5.0
    )
    assert (found.wait_p99, found.response_p99) == (None, None)
    assert "with fewer connections callers would be served later" in checks_of(found)["sized"].seen
    gate = next(row for row in found.parameters if row.name == "gate_timeout")
    assert gate.value == 1
    assert gate.because.startswith("no wait is asked; response p99 at the target rate was 50 ms")


def test_trial_checks_are_folded_into_one_row() -> None:
    """One row a check: how many passed, and the worst that it saw at which size."""
    trials = [
        trial(pool_size=size, cpu_share=share, checks=(check(seen=f"{share:.2f} of a core"),))
        for size, share in ((1, 0.05), (64, 0.31), (32, 0.2))
    ]
    (row,) = over_trials(trials)
    assert row.seen == "3 of 3 trials; worst: 0.31 of a core at 64 connections"
    assert row.passed


@pytest.mark.parametrize(
    ("failing", "of", "passed"),
    [(0, 1, True), (1, 1, False), (1, 4, False), (1, 5, True), (2, 10, True), (3, 10, False)],
)
def test_one_trial_in_five_may_fail(failing: int, of: int, passed: bool) -> None:
    """Those trials are left out of the fit; more of them leave too little to trust."""
    trials = [
        trial(checks=(check("steady", passed=i >= failing, seen=f"trial {i}"),)) for i in range(of)
    ]
    (row,) = over_trials(trials)
    assert row.passed is passed
    count = f"{of - failing} of " if passed else f"failed in {failing} of "
    assert row.seen.startswith(count)


def test_a_failed_trial_is_worse_than_any_that_passed() -> None:
    """The row explains the failure, however large the numbers of the others."""
    good = trial(cpu_share=0.84, pool_size=64, checks=(check(seen="0.84 of a core"),))
    late = trial(cpu_share=0.1, pool_size=2, checks=(check(passed=False, seen="loop late"),))
    (row,) = over_trials([good, late])
    assert row.seen == "failed in 1 of 2 trials; worst: loop late at 2 connections"


LATE = check("lag", passed=False, seen="calls started 14.20 ms after they were due (p99)")
ON_TIME = check("lag", seen="calls started 0.10 ms after they were due (p99)")
MISSED = Signal(name="wait_near_zero", passed=False, seen="480 of 500 calls/s, wait p99 31 ms")


@pytest.mark.parametrize(
    ("signals", "late_at", "busy"),
    [
        ((MISSED,), 14, True),
        ((MISSED,), 12, False),  # a size that was tried on the way, and left
        ((), 14, False),  # all signs were seen, late or not: one trial in twelve is left out
    ],
)
def test_a_late_generator_is_no_reason_to_grow_the_pool(
    signals: tuple[Signal, ...], late_at: int, busy: bool
) -> None:
    """One late trial of many is a doubt where the missing sign rests on it, with its own remedy."""
    good = [trial(seed=seed, checks=(ON_TIME,)) for seed in range(10)]
    served = [
        verifying_trial(pool_size=size, checks=(LATE if size == late_at else ON_TIME,))
        for size in (12, 14)
    ]
    seen = verification(signals=signals or verification().signals)
    found = recommend(http_target(), sizing(), seen, [*good, *served], "done", 5.0)
    lag = checks_of(found)["lag"]
    assert lag.passed is not busy
    assert was_too_busy(found) is busy
    again = checks_of(found)["verified"].next
    assert ("a larger budget" in again) is (bool(signals) and not busy)
    if busy:
        assert again == lag.next
        assert lag.seen.startswith("failed in 1 of 12 trials; worst: calls started 14.20 ms")
        assert lag.next == "run again when this machine is quiet; another size is no remedy"
        assert "too busy to verify" in words.finding(sizing(), found)


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        # the target rate, not 1.2 times it
        ([verifying_trial(arrival_rate=600.0, seed=1), verifying_trial(seed=2)], 2),
        # the latest of two
        ([verifying_trial(seed=1), verifying_trial(seed=2)], 2),
        # ... while the machine was quiet, where there is such a one
        (
            [
                verifying_trial(seed=1, checks=(check("machine_quiet"),)),
                verifying_trial(seed=2, checks=(check("machine_quiet", passed=False),)),
            ],
            1,
        ),
        ([verifying_trial(seed=2, checks=(check("machine_quiet", passed=False),))], 2),
        # another size does not verify this one, and a closed loop of the same size is nearer
        ([verifying_trial(pool_size=13, seed=1), trial(seed=2)], 2),
        # the nearest size, the larger of two
        ([trial(pool_size=12, seed=1), trial(pool_size=16, seed=2)], 2),
        # what may not be fitted may not set limits either
        ([trial(pool_size=8, seed=1), trial(seed=2, stopped="error_share")], 1),
    ],
)
def test_the_nearest_trial(trials: list[Trial], expected: int) -> None:
    """Limits come from the trial closest to how the pool will run."""
    found = nearest_trial(trials, 14)
    assert found is not None
    assert found.seed == expected


def test_no_trial_is_near() -> None:
    """Nothing measured, nothing found."""
    assert nearest_trial([], 14) is None


def test_unreachable_says_why_and_what_to_do() -> None:
    """The first call failed: the report can say so, and that nothing was sent."""
    r = unreachable(http_target(), "connection refused", "start the server")
    (row,) = r.checks
    assert r.status == "unreachable"
    assert (row.passed, row.seen, row.next) == (False, "connection refused", "start the server")
    assert "no load was sent" in row.why


def test_failed_keeps_what_was_measured() -> None:
    """A measurement that broke down still counts its trials and their checks."""
    r = failed(http_target(), "the upstream died", "start it", [trial()], seconds=3.0)
    assert (r.status, r.trials, r.seconds) == ("failed", 1, 3.0)
    assert [row.name for row in r.checks] == ["finished", "client_bound"]
    assert "kept" in r.checks[0].why


def test_stopped_before_the_curve_could_be_read() -> None:
    """No sizing yet: the brake is named, and the same command goes on."""
    r = recommend(http_target(), None, None, [trial(stopped="error_share")], "stopped", 3.0)
    row = checks_of(r)["finished"]
    assert r.verdict == "stopped"
    assert row.seen == "stopped by the error_share brake"
    assert "resumes" in row.next


@pytest.mark.parametrize("seen", [None, verification(signals=(MISSED,))])
def test_a_size_whose_verification_was_ended_is_not_told_to_spend_more(
    seen: Verification | None,
) -> None:
    """The server died: a larger budget would not have kept it alive."""
    start = "start it again"
    found = recommend(
        http_target(), sizing(), seen, [trial()], "stopped", 9.0, because="died", remedy=start
    )
    row = checks_of(found)["verified"]
    assert not row.passed
    assert row.next == checks_of(found)["finished"].next == start


def test_trials_that_were_cut_off_do_not_ask_for_a_larger_budget() -> None:
    """Whoever cancels a run, or whose server dies, has not spent too little."""
    wide = trial_check("enough", False, "3 calls, too few for an interval")
    found = recommend(
        http_target(), None, None, [trial(checks=(wide,))], "stopped", 1.0, because="cancelled"
    )
    assert (
        "budget"
        in recommend(http_target(), sizing(), None, [trial(checks=(wide,))], "done", 9.0)
        .checks[-1]
        .next
    )
    assert checks_of(found)["enough"].next == checks_of(found)["finished"].next


def reason_of(found: Recommendation) -> str:
    """Why the pool has its size."""
    return next(row.because for row in found.parameters if row.name == "limit_per_host")


def verified_twice(*p99s: float) -> list[Trial]:
    """Two trials at the target rate with these p99 waits (s), and one of the curve."""
    seen = [verifying_trial(wait_time=times(0.001, p99, longest=2 * p99)) for p99 in p99s]
    return [trial(), *seen]


def test_the_reason_is_built_from_the_verification_itself() -> None:
    """The pooled p99 that decided, and the trial over the limit, however the last one went."""
    found = recommend(
        http_target(),
        sizing(),
        verification(wait_p99=0.0094),
        verified_twice(0.0108, 0.0064),
        "done",
        31.2,
    )
    reason = reason_of(found)
    assert (
        "verified at 499 calls/s: p99 wait 9.4 ms in 2 trials together, 1 of them over the 10 ms "
        "allowed (10.8 ms)" in reason
    )
    assert any("longest wait seen at the target rate was 22 ms" in row.because
               for row in found.parameters)  # fmt: skip
    within = recommend(
        http_target(), sizing(), verification(), verified_twice(0.0064, 0.0060), "done", 31.2
    )
    reason = reason_of(within)
    assert "p99 wait 6.1 ms in 2 trials together" in reason
    assert "over the" not in reason


@pytest.mark.parametrize(
    ("moved_to", "headroom", "rule"),
    [
        (14, 3, "at 11, 2 % wait longer than 10 ms, 3 too few"),
        (16, 0, "at 11, 2 % wait longer than 10 ms, 5 too few"),
        (13, 2, "at 11, 2 % wait longer than 10 ms, 2 too few"),
        (11, 0, "at 11, 2 % wait longer than 10 ms, as many as needed"),
        (10, 0, "at 11, 2 % wait longer than 10 ms, 1 more than needed"),
    ],
)
def test_what_stands_beside_the_size_follows_verification(
    moved_to: int, headroom: int, rule: str
) -> None:
    """Headroom and rules of thumb are those of the recommended size, not of the predicted one."""
    fails = "at 11, 2 % wait longer than 10 ms, 3 too few"
    predicted = sizing(
        headroom=3,
        rules_of_thumb=(RuleOfThumb(name="littles_law_x1.3", size=11, fails=fails),),
    )
    trials = [trial(), verifying_trial(pool_size=moved_to)]
    found = recommend(http_target(), predicted, verification(), trials, "done", 31.2, size=moved_to)
    assert found.recommended_size == moved_to
    assert found.headroom == headroom
    assert found.rules_of_thumb[0].fails == rule
    sized = checks_of(found)["sized"].seen
    assert (f"{headroom} of them are the headroom" in sized) is (headroom > 0)
    reason = reason_of(found)
    assert ("none of the headroom asked is left" in reason) is (moved_to > 14)


@pytest.mark.parametrize(
    ("pooler", "remedy"),
    [("session", "pool_mode = transaction"), ("transaction", "do this"), (None, "do this")],
)
def test_calls_that_never_end_behind_a_pooler_in_session_mode(
    pooler: Pooler | None, remedy: str
) -> None:
    """More connections than it lends wait for the end of a session, which never comes."""
    lost = (check("littles_law", passed=False),)
    (row,) = over_trials([trial(pooler=pooler, checks=lost)])
    assert remedy in row.next
