"""What the closing cell says held and did not, and the first sentence that names the doubts."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from poolkit.analysis.what_if import what_if
from poolkit.panels import Findings, RecordedSource
from poolkit.panels.what_if import planner_of
from poolkit.records import Check, Signal, Trial
from poolkit.report.page import Part
from poolkit.report.source import shared
from poolkit.workbook import budget, budget_shown, claims, fleet_of, lessons
from poolkit.workbook.claims import Claim, closing
from poolkit.workbook.fleet import Fleet
from poolkit.workbook.probing import RECORDED, recorded
from tests.recordings.lessons import of_budget

HELD, MISSED, UNTRIED = Claim("a", True, "1"), Claim("b", False, "2"), Claim("c", None, "3")
LATE = Check(
    name="lag",
    passed=False,
    seen="calls started 14.20 ms after they were due (p99)",
    why="a generator that falls behind sends less than it says",
    next="run again when this machine is quiet; another size is no remedy",
)


@pytest.mark.parametrize(
    ("given", "doubt", "said", "is_alert"),
    [
        ((HELD, HELD), "", "2 of 2 claims held here, none failed.", False),
        ((HELD, UNTRIED), "", "1 of 2 claims held here; 1 could not be tried.", False),
        ((UNTRIED,), "", "No claim of this page could be tried here.", False),
        (
            (HELD, MISSED, UNTRIED),
            "",
            "It did not hold here that b; 1 of 3 claims held; 1 could not be tried.",
            True,
        ),
        ((MISSED, MISSED), "", "It did not hold here that b and that b; 0 of 2 claims held.", True),
        ((HELD,), "too busy", f"Too busy. {claims.RUN_AGAIN}", True),
    ],
)
def test_the_last_cell_counts_what_held(
    given: tuple[Claim, ...], doubt: str, said: str, is_alert: bool
) -> None:
    """It says so of the results, not of the text; what did not hold is named and coloured."""
    shown = closing(given, doubt)
    assert shown.words.splitlines()[0] == said
    assert ('role="alert"' in shown.html) is is_alert
    for claim in given:
        assert claim.says in shown.html


def changed(found: Findings, *, late: bool, missed: bool) -> Findings:
    """The recording with its generator late in service, or its first sign missing, or both."""

    def served(trial: Trial) -> Trial:
        if not late or trial.purpose != "verify":
            return trial
        return trial.model_copy(update={"checks": (*trial.checks, LATE)})

    r = found.recommendation
    assert r.verification is not None
    first, *rest = r.verification.signals
    bad = Signal(name=first.name, passed=False, seen="480 of 600 calls/s, wait p99 31.0 ms")
    signals = (bad, *rest) if missed else r.verification.signals
    update = {
        "verification": r.verification.model_copy(update={"signals": signals}),
        "checks": (*r.checks, LATE) if late and missed else r.checks,
    }
    trials = tuple(map(served, found.trials))
    return replace(found, trials=trials, recommendation=r.model_copy(update=update))


def test_all_of_the_recording_holds(web: Findings) -> None:
    """Every claim that could be tried has its outcome with figures."""
    said = claims.of_verification(web, None).words.splitlines()[0]
    assert said == "11 of 12 claims held here; 1 could not be tried."
    decided = claims.decided(web)
    assert decided.words == "20 connections carry 600 calls/s with p99 wait under 10 ms."
    assert 'role="alert"' not in decided.html


def test_a_missing_sign_is_never_a_claim_that_held(web: Findings) -> None:
    """The sign's figures stand beside it, in the first sentence and in the last."""
    found = changed(web, late=False, missed=True)
    last, first = claims.of_verification(found, None), claims.decided(found)
    assert last.words.startswith(
        "It did not hold here that few enough calls wait at the target rate; 10 of 12 claims held"
    )
    assert "480 of 600 calls/s" in last.words
    assert first.words == (
        "20 connections did not pass verification at 600 calls/s: too many calls waited. "
        "480 of 600 calls/s, wait p99 31.0 ms."
    )
    assert 'role="alert"' in first.html
    assert 'role="alert"' in last.html


def test_a_late_generator_is_the_headline(web: Findings) -> None:
    """Not a claim that failed, and no reason to grow the pool: another run is the remedy."""
    found = changed(web, late=True, missed=True)
    for shown in (claims.of_verification(found, None), claims.decided(found)):
        line = shown.words.splitlines()[0]
        assert line.startswith("This machine was too busy to verify")
        assert "run this notebook again" in line
        assert "Another size is no remedy." in line
        assert "grow" not in shown.words
        assert 'role="alert"' in shown.html


def test_a_late_generator_that_did_no_harm_is_told(web: Findings) -> None:
    """All signs were seen: the calls that came late are a line of their own."""
    last = claims.of_verification(changed(web, late=True, missed=False), None)
    assert "It did not hold here that this machine sends calls when they are due" in last.words
    assert LATE.seen in last.words


@pytest.mark.parametrize(
    ("growth", "apart", "said"),
    [
        (3.0, 0.5, "3 of 3 claims held here, none failed."),
        (1.01, 0.5, "It did not hold here that the time alone is not the time under load; 2 of 3"),
        (3.0, 7.0, "It did not hold here that Little's Law holds; 2 of 3"),
        (math.nan, 0.5, "2 of 3 claims held here; 1 could not be tried."),
        (1.0, 0.5, "2 of 3 claims held here; 1 could not be tried."),
    ],
)
def test_one_calls_time_is_held_against_many(
    web: Findings, growth: float, apart: float, said: str
) -> None:
    """A page that saw no growth does not claim it, in its chart or in its last cell."""
    shown = claims.of_service_time([web], np.float64(growth), np.float64(apart))
    assert shown.words.startswith(said)
    assert ("no longer than alone" in shown.words) is (1 < growth < claims.LONGER)
    assert ("Only one pool size" in shown.words) is (growth == 1 or math.isnan(growth))


def seen_in_use(throughput: float) -> list[tuple[float, float, float]]:
    """400 calls released with 15 in use, beside a sweep that carried 600/s there."""
    return [(throughput, 600.0, 400.0), (9.0, math.nan, 30.0)]


def test_the_sweep_is_held_against_what_it_found(web: Findings) -> None:
    """Every claim with its figures; what was not seen is not claimed."""
    held = claims.of_sweep(web, seen_in_use(640.0)).words
    assert held.startswith("3 of 3 claims held here, none failed.")
    assert "6.7 % apart" in held
    assert "20 connections: 601 of 600 calls/s" in held
    other = claims.of_sweep(web, seen_in_use(300.0)).words
    assert other.startswith("It did not hold here that load at the target rate already holds")
    rising = web.sizing.model_copy(update={"plateau": None, "size": None, "because": "it rises"})
    none = web.recommendation.model_copy(update={"recommended_size": None, "verification": None})
    bare = replace(web, sizing=rising, recommendation=none)
    shown = claims.of_sweep(bare, seen_in_use(640.0)[1:])
    assert shown.words.startswith("No claim of this page could be tried here")
    assert "it rises" in shown.words
    late = claims.of_sweep(changed(web, late=True, missed=True), seen_in_use(640.0))
    assert "too busy to verify" in late.words.splitlines()[0]


@pytest.mark.parametrize(
    ("replicas", "room", "said"),
    [
        (3, 77, "8 of 8 claims held here, none failed."),
        (3, 40, "It did not hold here that the sum fits while a version is rolled out; 7 of 8"),
        (12, 77, "6 of 8 claims held here; 2 could not be tried."),
    ],
)
def test_the_budget_is_held_against_its_room(
    database: Findings, source: RecordedSource, replicas: int, room: int, said: str
) -> None:
    """A sum that does not fit, and a fleet without a size, are told as such."""
    shown = closing_cell(database, source, Fleet(replicas, 1, room, 0, 0))
    assert shown.words.startswith(said)


def closing_cell(database: Findings, source: RecordedSource, fleet: Fleet) -> Part:
    """The last cell of 05_database_budget for a fleet, with the trials that are recorded."""
    planner = planner_of(database)
    plan = what_if(planner, fleet.question)
    known = fleet_of(database.objective)
    orders = of_budget(database, source)
    pooler = budget.behind_pooler(
        database, known, source, orders[0].pool_size, orders[-2].pooler or {}
    )
    return budget_shown.closing(
        what_if(planner, fleet.question | {"replicas": 1}),
        plan,
        fleet,
        replicas=lessons.recorded(["replicas", "replica-lost"]),
        cold=budget.cold_advice(lessons.recorded(["cold"])),
        split=asyncio.run(lessons.served(lessons.overflows(database), source)),
        hosts=asyncio.run(lessons.served(lessons.hosts(), source)),
        pooler=asyncio.run(pooler),
    )


def test_a_value_that_was_not_proven_is_no_claim_that_held() -> None:
    """The recorded probes hold; one whose proof failed says so with its figures."""
    web, orders = (recorded(shared(RECORDED), [name])[0] for name in ("kept-web", "kept-db"))
    said = claims.of_probes((web, orders)).words.splitlines()[0]
    assert said == "6 of 6 claims held here, none failed."
    assert orders.proof is not None
    bad = orders.proof.recommended.model_copy(update={"failed": 3, "disconnects": 3})
    proof = orders.proof.model_copy(update={"recommended": bad})
    found = claims.of_probes([orders.model_copy(update={"proof": proof})])
    assert found.words.startswith(
        "It did not hold here that kept-db: a client that lets go first meets no dead connection; "
        "2 of 3 claims held"
    )
    assert "3 dead connections, 3 calls failed" in found.words
    bare = orders.model_copy(update={"proof": None, "idle": (), "stale": ()})
    assert claims.of_probes([bare]).words.startswith("No claim of this page could be tried here")
