"""What speaks against a size stands in the first sentence about it, and its mark is not green."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.records import Check, Recommendation
from poolkit.show import tables, trust, words
from poolkit.show.tables import Table
from tests.show.cases import CASES, records

LAG = "lag", "calls started 14.20 ms after they were due (p99)"
CLIENT = "client_bound", "0.97 of a core"
DRIFT = "drift", "8 connections: 320 calls/s at first, 250 at the end (-21.9%)"
SOONER = "serves_sooner", "8 connections serve callers as soon"
VERIFIED = "verified", "480 calls/s of 500 calls/s"


def made(name: str, *failed: tuple[str, str], **changes: Any) -> Recommendation:
    """The recommendation of a case, with these checks failed."""
    checks = tuple(
        Check(name=check, passed=False, seen=seen, why="because", next="again")
        for check, seen in failed
    )
    found = records(CASES[name])[2]
    return found.model_copy(update={"checks": (*found.checks, *checks), **changes})


GOOD, BAD = "a soft knee", "verification failed"
CARRIES = "15 connections carry 500 calls/s with p99 wait under 10 ms"
SAME = "8 give the same response time"


@pytest.mark.parametrize(
    ("found", "finding", "sure"),
    [
        (made(GOOD), CARRIES, "✓ verified: 4 of 4 signs seen, no doubts"),
        (
            made(GOOD, SOONER, smallest_as_fast=8),
            f"{CARRIES}; {SAME}",
            f"! verified, 4 of 4 signs seen; but {SAME}",
        ),
        (
            made(GOOD, SOONER, smallest_as_fast=1),
            f"{CARRIES}; 1 gives the same response time",
            "! verified, 4 of 4 signs seen; but 1 gives the same response time",
        ),
        (
            made(GOOD, DRIFT, LAG),
            f"{CARRIES}; in doubt: this machine sent calls late and the endpoint changed while it "
            "was measured",
            "! verified with doubts, 4 of 4 signs seen: this machine sent calls late and the "
            "endpoint changed while it was measured",
        ),
        (
            made("predicted, not verified", CLIENT, VERIFIED),
            "14 connections should carry 500 calls/s with p99 wait under 10 ms: predicted, not "
            "verified; in doubt: the load generator was at its own limit",
            "✗ predicted, not verified: the load generator was at its own limit",
        ),
        (
            made(BAD, VERIFIED, smallest_as_fast=8),
            "22 connections did not pass verification at 650 calls/s: too many calls waited and "
            f"it broke down at 1.2 times the rate; {SAME}",
            "✗ not confirmed, 2 of 4 signs seen: too many calls waited and it broke down at 1.2 "
            "times the rate",
        ),
        (
            made(BAD, VERIFIED, LAG),
            "This machine was too busy to verify that 22 connections carry 650 calls/s: run again "
            "when it is quiet",
            "✗ this machine was too busy to verify, run again: 2 of 4 signs seen",
        ),
        (
            made("target above the plateau"),
            None,
            "✗ no size recommended",
        ),
        (made("stopped after three sizes"), None, "✗ no result: stopped"),
    ],
)
def test_the_first_sentence_names_every_doubt(
    found: Recommendation, finding: str | None, sure: str
) -> None:
    """Title and table say the same of a size, and nobody has to look further down for a doubt."""
    if finding is not None:
        assert words.finding(None, found) == finding
    assert trust.how_sure(found) == sure
    assert tables.decision([found]).rows[0][2] == sure


def test_a_check_that_has_no_words_of_its_own_is_named() -> None:
    """A check that comes later is no reason to keep silent."""
    assert trust.doubts(made(GOOD, ("cold_cache", "seen"))) == ("cold cache failed",)


@pytest.mark.parametrize(("failed", "kind"), [((), "pk-good"), ((DRIFT,), "pk-warn")])
def test_the_mark_of_a_size_in_doubt_is_not_green(failed: Any, kind: str) -> None:
    """Verified and doubted is neither well nor ill, in a notebook as in a terminal."""
    html = tables.decision([made(GOOD, *failed)]).html()
    assert [k for k in ("pk-good", "pk-warn", "pk-bad") if k in html] == [kind]
    assert trust.is_in_doubt(made(GOOD, *failed)) == bool(failed)


def test_an_exclamation_mark_alone_is_no_mark() -> None:
    """Only a mark with a space after it is one: names and code may begin as they like."""
    assert "pk-" not in Table("", ("a",), (("!x",), ("✓",))).html().split("<tbody>")[1]


def test_the_line_at_the_end_of_a_run_names_the_doubt() -> None:
    """One line a target, in which a busy machine is not taken for a small pool."""
    assert "in doubt: this machine sent calls late" in words.outcome(made(GOOD, LAG))
    said = words.outcome(made(BAD, LAG))
    assert "not verified: this machine was too busy to verify; run again" in said
    assert "wait" not in said
