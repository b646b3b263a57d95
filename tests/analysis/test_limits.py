"""What counts as a limit of the server, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.analysis.limits import bracket, first_in_use, in_words, is_at_limit, limits
from poolkit.records import Limit, Trial
from tests.analysis.synthetic import drawn_trial

CLEAN = (drawn_trial(1, 50.0), drawn_trial(2, 100.0), drawn_trial(4, 200.0))


def refused(size: int, kind: str = "http_503", lost: int = 40, **changes: Any) -> Trial:
    """A closed loop of which the server rejected a part."""
    given: dict[str, Any] = {
        "outcomes": {"ok": 240, "rejected": lost},
        "error_kinds": {kind: lost},
        "stopped": "rejected",
    }
    return drawn_trial(size, 200.0, hold=0.02, **(given | changes))


def test_the_interval_is_from_the_largest_clean_size_to_below_the_smallest_refused() -> None:
    """Nothing is known in between."""
    (limit,) = limits((*CLEAN, refused(8)))
    assert (limit.kind, limit.value, limit.interval95) == ("at_once", 4, (4, 7))
    assert in_words(limit) == "the server takes 4 calls at once (4 to 7)"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("http_429", "the server takes 200 calls/s"),
        ("too_many_connections", "the server takes 4 connections (4 to 7)"),
    ],
)
def test_what_the_server_says_itself_counts_until_a_paced_trial(kind: str, words: str) -> None:
    """429 is a rate, no room is no room."""
    (limit,) = limits((*CLEAN, refused(8, kind)))
    assert in_words(limit) == words


def test_a_failure_now_and_then_is_no_limit() -> None:
    """0.3 % of the calls, at any number in use."""
    states: Any = ({8: (1.2, 2000, 6)},)
    few = {"ok": 1994, "rejected": 6}
    trial = refused(8, lost=6, outcomes=few, stopped=None, in_use=states)
    assert limits((*CLEAN, trial)) == ()
    assert first_in_use(trial) is None


def test_few_refusals_beyond_one_number_in_use_are_a_limit() -> None:
    """As few, but all of them with 8 in use, where hardly a call is served."""
    states: Any = ({7: (1.19, 1985, 0), 8: (0.01, 15, 6)},)
    few = {"ok": 1994, "rejected": 6}
    trial = refused(8, lost=6, outcomes=few, stopped=None, in_use=states)
    assert first_in_use(trial) == 8
    assert bracket((*CLEAN, trial)).refused == 8


@pytest.mark.parametrize(
    ("trial", "before", "is_limit"),
    [
        (refused(8), CLEAN, True),
        # A wrong token from the first trial on; and a first trial that was served in part.
        (refused(1, "http_429", outcomes={"rejected": 20}), (), False),
        (refused(1, "http_429"), (), True),
        # Dials refused in a row, by a server that has gone.
        (
            refused(
                8,
                "connection_refused",
                outcomes={"ok": 240, "error": 5},
                error_kinds={"connection_refused": 5},
                stopped="refused",
            ),
            CLEAN,
            False,
        ),
        # It took its last calls' dials, and closed these unanswered as it ended.
        (refused(8, "disconnected", lost=4, stopped="refused"), CLEAN, False),
        (refused(8, stopped="silence"), CLEAN, False),
        (refused(8, "too_many_connections", outcomes={"rejected": 5}), CLEAN, True),
    ],
)
def test_which_stops_are_limits(trial: Trial, before: tuple[Trial, ...], is_limit: bool) -> None:
    """A part of the calls turned away by a server that was seen to serve."""
    assert is_at_limit(trial, before) is is_limit


def test_a_limit_in_words() -> None:
    """One connection is no connections."""
    one = Limit(kind="connections", value=1, interval95=(1, 1), seen="")
    assert in_words(one) == "the server takes 1 connection"
