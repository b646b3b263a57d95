"""How old a result is and what was left out, in words."""

from __future__ import annotations

import pytest

from poolkit import units
from poolkit.recommend import recommend, unreachable
from poolkit.records import Recommendation, Resumed
from poolkit.review.export import to_markdown
from poolkit.review.provenance import left_out, measured_at, rests_on, when, written
from tests.recommend.examples import http_target, sizing, trial, verification, verifying_trial

NOW = "2026-11-28T10:00:00Z"


def of(oldest: str, newest: str, trials: int = 2) -> Resumed:
    return Resumed(trials=trials, oldest=f"{oldest}+00:00", newest=f"{newest}+00:00")


def found(resumed: Resumed | None) -> Recommendation:
    trials = [trial(), verifying_trial()]
    made = recommend(http_target(), sizing(), verification(), trials, "done", 31.2)
    return made.model_copy(update={"resumed": resumed})


@pytest.mark.parametrize(
    ("oldest", "newest", "words"),
    [
        ("2026-11-12T09:10:00", "2026-11-12T09:11:40", "2026-11-12 09:10 to 09:11 UTC"),
        ("2026-11-27T23:59:10", "2026-11-28T00:01:00", "2026-11-27 23:59 to 2026-11-28 00:01 UTC"),
        ("2026-11-28T09:59:20", "2026-11-28T09:59:40", "2026-11-28 09:59 UTC"),
    ],
)
def test_when_trials_began(oldest: str, newest: str, words: str) -> None:
    """The day once where it is the same, the minute too."""
    assert when(of(oldest, newest)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0 seconds"),
        (1.0, "1 second"),
        (119.0, "119 seconds"),
        (120.0, "2 minutes"),
        (7199.0, "119 minutes"),
        (7200.0, "2 hours"),
        (172_799.0, "47 hours"),
        (172_800.0, "2 days"),
        (40_000_000.0, "462 days"),
    ],
)
def test_an_age_loses_less_than_half_by_rounding(seconds: float, words: str) -> None:
    """In the largest unit of which there are two."""
    assert units.age(seconds) == words


def test_what_a_result_rests_on_is_told() -> None:
    """All, some or none of its trials are of before."""
    morning = of("2026-11-28T08:00:00", "2026-11-28T08:00:00")
    assert rests_on(morning, 2, NOW) == (
        "nothing was measured now: the 2 trials are from 2026-11-28 08:00 UTC (2 hours old)"
    )
    assert rests_on(morning, 5, NOW) == "2 of 5 trials are from 2026-11-28 08:00 UTC (2 hours old)"
    assert written(found(morning), NOW) == (
        "nothing was measured for this: the 2 trials are from 2026-11-28 08:00 UTC (2 hours before "
        "this was written)"
    )
    assert written(found(None), NOW) == ""


def test_a_file_is_as_old_as_its_latest_measurement() -> None:
    """Writing it once more makes it no younger; one new trial does."""
    earlier, later = "2026-11-12T09:10:00", "2026-11-13T09:10:00"
    old, older = found(of(earlier, later)), found(of(earlier, earlier))
    assert measured_at([old, older], NOW) == f"{later}+00:00"
    assert measured_at([old, found(of(earlier, later, trials=1))], NOW) == NOW
    assert measured_at([], NOW) == NOW
    text = to_markdown([old], NOW)
    assert "Measured 2026-11-13 with poolkit." in text
    assert "Nothing was measured for this: the 2 trials are from 2026-11-12 09:10 to" in text
    assert "measured for this" not in to_markdown([found(None)], NOW)


def test_what_was_left_out_by_choice_is_told() -> None:
    """Where something was measured, with the key that says so."""
    gentle = http_target(push=False)
    curve = sizing(plateau=None, knees=())
    seen = verification(signals=verification().signals[:1])
    made = recommend(gentle, curve, seen, [trial()], "done", 31.2)
    words = "Left out by choice (push = false): the plateau, the knees and the 1.2 times trial."
    assert made.push is False
    assert left_out(made) == words
    assert words in to_markdown([made], NOW)
    assert left_out(found(None)) == ""
    known = recommend(gentle, sizing(), seen, [trial()], "done", 31.2)
    assert left_out(known) == "Left out by choice (push = false): the 1.2 times trial."
    assert left_out(unreachable(gentle, "refused", "start it")) == ""
