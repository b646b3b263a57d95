"""A verification over time, its errors by kind, and the words of single points."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from poolkit.records import Trial
from poolkit.show import charts, tables
from poolkit.show.charts.points import name_points
from poolkit.show.course import MOST, slices, verifications
from tests.show.cases import CASES, records

SIZING, TRIALS, FOUND = records(CASES["states over a sweep"])
# Half a second with one of two connections in use, then a slice of 2 s that is full half the time.
BATCHES = (
    {1: (0.5, 10, 0)},
    {1: (1.0, 30, 0), 2: (1.0, 50, 20)},
)


def trial(**changes: object) -> Trial:
    base = next(t for t in TRIALS if t.purpose == "verify")
    return base.model_copy(update={"in_use": BATCHES, "pool_size": 2, **changes})


def titles(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter("title")]


def test_a_slice_is_read_off_the_time_in_each_state() -> None:
    """Rate without rejected calls, mean and most in use, and how long no connection was free."""
    first, second = slices(trial())
    assert first == (0.0, 0.5, 20.0, 1.0, 1, 0.0)
    assert second == (0.5, 2.5, 30.0, 1.5, 2, 0.5)
    assert slices(trial(in_use=())) == []
    assert slices(trial(in_use=({},))) == []
    (of_two, _) = slices(trial(pools=2))
    assert of_two.all_busy == 0.0  # of four connections


def test_only_trials_in_service_have_a_course_and_only_the_latest() -> None:
    """Not the climb and not the closed loops; more than fit beside each other are left out."""
    assert [t.purpose for t in verifications(TRIALS)] == ["verify", "overload"]
    many = [trial(started=f"2026-01-02T03:04:{i:02d}+00:00", seed=i) for i in range(MOST + 2)]
    assert [t.seed for t in verifications(many[::-1])] == list(range(2, MOST + 2))
    assert verifications([trial(in_use=())]) == []


def test_the_course_in_words() -> None:
    """Title, alternative text and table tell the same figures."""
    said = charts.course_finding([trial()], FOUND)
    assert said == (
        "At 500/s 2 connections carried 20 to 30/s from slice to slice; "
        "none was free for 40 % of the time"
    )
    alt = charts.course_alt([trial()], FOUND)
    assert alt.startswith(said)
    assert "2 at 500 calls/s, 2.5 s: 20 to 30 calls/s, 1 to 1.5 in use (at most 2)" in alt
    table = tables.course([trial()])
    assert table.rows[1] == ("2 at 500 calls/s", "0.50 s", "2.50 s", "30", "1.5", "2", "50 %")
    with pytest.raises(ValueError, match="a trial in service with slices"):
        charts.course([trial(in_use=())])


def test_every_slice_says_what_it_was_under_the_pointer() -> None:
    """Three marks a slice, each with its own words, and no script."""
    svg = charts.inline_svg(charts.course([trial()], FOUND), alt="a course")
    assert titles(svg) == [
        "0 to 0.5 s: 20 calls/s",
        "0.5 to 2.5 s: 30 calls/s",
        "0 to 0.5 s: 1 in use, at most 1",
        "0.5 to 2.5 s: 1.5 in use, at most 2",
        "0 to 0.5 s: none free for 0 % of the time",
        "0.5 to 2.5 s: none free for 50 % of the time",
    ]
    assert "script" not in svg


def test_the_points_of_the_curve_say_what_they_are() -> None:
    """Every trial with size, throughput, wait and calls; states, times and the size, too."""
    axes = charts.throughput_curve(SIZING, TRIALS, FOUND)
    said = titles(charts.inline_svg(axes.throughput, alt="a curve"))
    curve = [t for t in TRIALS if t.is_of_curve]
    of_trials = [words for words in said if "wait p99" in words and "calls in" in words]
    assert len(of_trials) == len(curve)
    assert re.fullmatch(
        r"1 connection: \d\S* calls/s, wait p99 \S+ ms, hold p50 \S+ ms, \d+ calls in 1 s",
        of_trials[[t.connections for t in curve].index(1)],
    )
    assert "recommended: 15 connections, verified: 499/s, wait p99 6.1 ms" in said
    assert any(re.match(r"8 in use: \S+ calls/s \(", words) for words in said)
    assert any(re.match(r"16 connections: hold p99 \S+ ms", words) for words in said)
    assert axes.throughput.lines[0].get_gid() is None  # what was lent for the while is given back


def test_a_trial_that_failed_says_so_under_the_pointer() -> None:
    """The grey cross tells which check."""
    sizing, trials, r = records(CASES["every trial failed"])
    axes = charts.throughput_curve(sizing, trials, r)
    said = titles(charts.inline_svg(axes.throughput, alt="a curve"))
    assert sum(
        words.endswith("not fitted: the load generator was at its own limit") for words in said
    ) == len(trials)


def test_words_that_do_not_fit_their_points_are_refused() -> None:
    """A title on the wrong point would be a lie."""
    axes = charts.course([trial()], FOUND)
    name_points(axes.lines[0], ["one", "two", "three"])
    with pytest.raises(ValueError, match="2 markers have 3 names"):
        charts.inline_svg(axes, alt="a course")


def test_errors_are_counted_by_kind() -> None:
    """How many, of how many, and in which trial most of them were; none: nothing to show."""
    good = trial(outcomes={"ok": 90})
    bad = trial(
        outcomes={"ok": 80, "error": 20, "timeout": 10},
        error_kinds={"http_503": 20, "timeout": 10},
        arrival_rate=600.0,
    )
    table = tables.errors([good, bad])
    assert table.caption == "Errors by kind: 30 of 200 calls"
    assert table.rows == (
        ("HTTP 503", "20", "10 %", "20 with 2 connections, open, 600/s"),
        ("no answer in time", "10", "5 %", "10 with 2 connections, open, 600/s"),
    )
    assert not tables.errors([good])
