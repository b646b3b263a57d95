"""What is said of an outlook: months, their order, and what cannot be said."""

from __future__ import annotations

from datetime import date

import pytest

from poolkit.analysis.outlook import Crossing
from poolkit.show import outlook as words
from poolkit.show import tables
from tests.show.outlooks import outlooks

FINDINGS = {
    "runs out": (
        "The size (24 connections) runs out in July (May at the earliest, perhaps not within 26 "
        "weeks)"
    ),
    "the upstream too": "30 connections no longer carry the demand that is expected next week",
    "the cap too": "The size (24 connections) runs out in March",
    "does not run out": (
        "The size (24 connections) does not run out within the 26 weeks that can be told (until 30 "
        "August 2026)"
    ),
    "cannot say": "Cannot say when the size runs out: the curve does not reach 20 connections",
    "has run out": "14 connections no longer carry the demand that is expected next week",
    "a fleet": "4 pools of 8 connections no longer carry the demand that is expected next week",
    "too short": (
        "Too short to say when the size runs out: 30 weeks with a peak, and a forecast needs 40"
    ),
    "irregular": (
        "The size (30 connections) runs out in March at the earliest, as expected not within 26 "
        "weeks"
    ),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_the_finding_names_what_is_known(name: str) -> None:
    """Never a date alone where the interval tells of others."""
    assert words.finding(outlooks()[name]) == FINDINGS[name]


# The last week known is that of 23 February 2026.
@pytest.mark.parametrize(
    ("weeks", "said"),
    [
        ((5, 12, 18), "in May (March to June)"),
        ((11, 12, 13), "in May"),
        ((9, 12, 13), "in May (April at the earliest)"),
        ((11, 12, 18), "in May (June at the latest)"),
        ((5, 12, None), "in May (March at the earliest, perhaps not within 26 weeks)"),
        ((11, 12, None), "in May (perhaps not within 26 weeks)"),
        ((5, None, None), "in March at the earliest, as expected not within 26 weeks"),
        ((40, 45, 50), "in January 2027 (November to February 2027)"),
        ((None, None, None), ""),
    ],
)
def test_months_are_named_from_the_earliest_to_the_latest(
    weeks: tuple[int | None, ...], said: str
) -> None:
    """As far as they can be told, with the year where it is another."""
    first, middle, last = weeks
    out = Crossing(first=first, middle=middle, last=last)
    assert words.when(outlooks()["runs out"], out) == said


def test_a_size_will_do_until_the_day_before_it_may_not() -> None:
    """The upper end decides; where nothing is known there is no day."""
    found = outlooks()["runs out"]
    until = words.valid_until(found)
    assert found.size_out.first == 11
    assert until == date(2026, 5, 10)
    assert words.valid_until(outlooks()["too short"]) is None
    assert words.valid_until(outlooks()["cannot say"]) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("the upstream too", "The upstream runs out at 933 calls/s, in June (April to July): "),
        ("the cap too", "The connections allowed run out at 792 calls/s, in April (March to May)"),
        ("cannot say", "From the week of 2 March 2026 on, at the upper end of the demand: cannot"),
    ],
)
def test_the_upstream_has_a_sentence_of_its_own(name: str, said: str) -> None:
    """What is in the way, and when."""
    assert words.upstream(outlooks()[name]).startswith(said)
    assert not words.upstream(outlooks()["does not run out"])


def test_an_interval_says_what_it_earned_and_what_it_misses() -> None:
    """With every forecast, and a warning where the back-test fell short."""
    said = " ".join(words.sentences(outlooks()["irregular"]))
    assert "held 46 % of the 272 peaks that followed, and 80 % were meant: demand is less" in said
    assert "no growth that stops" in said
    assert words.sentences(outlooks()["does not run out"])[-1] == "2 weeks without a peak."
    assert len(words.sentences(outlooks()["too short"])) == 1


def test_a_table_has_a_row_a_target() -> None:
    """The finding, the last day and what past forecasts held."""
    shown = {name: outlooks()[name] for name in ("runs out", "too short")}
    first, second = tables.outlooks(shown).rows
    assert first[1:3] == ("24 connections", "653 calls/s")
    assert first[4:] == ("2026-05-10", "98 % (80 % meant)")
    assert second[4:] == ("–", "–")


def test_the_soonest_of_several_targets_is_until_when_a_review_is_valid() -> None:
    """What runs out next week, and what cannot be said, is told beside it."""
    all_of_them = outlooks()

    def said(*names: str) -> str:
        return words.valid({f"t{n}": all_of_them[name] for n, name in enumerate(names)})

    assert said() == ""
    assert said("runs out", "does not run out") == (
        "Valid until 10 May 2026: the size of t0 may run out then."
    )
    assert said("does not run out") == (
        "Valid until 30 August 2026: the size of t0, which is as far as can be told."
    )
    assert said("runs out", "has run out", "too short", "cannot say") == (
        "Demand outgrows the size of t1 next week, as forecast at its upper end. Valid until 10 "
        "May 2026: the size of t0 may run out then. Until when cannot be said of t2 and t3."
    )
