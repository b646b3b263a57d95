"""Events as sentences: the order that a user sees, from the climb to the overload."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.events import TrialDone, TrialStarted
from poolkit.show import narration, tables
from tests.analysis.test_cold import start
from tests.recommend.examples import verifying_trial
from tests.show.cases import CASES, records


def started(**changes: Any) -> TrialStarted:
    settings: dict[str, Any] = {
        "target": "orders-api",
        "purpose": "approach",
        "loop": "open",
        "pool_size": 64,
        "arrival_rate": 87.5,
        "seconds": 2.0,
    }
    return TrialStarted(**(settings | changes))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            started(because="a quarter of the target rate"),
            "a quarter of the target rate: 87.5/s, at most 64 connections",
        ),
        (started(), "climbing to the target rate: 87.5/s, at most 64 connections"),
        (
            started(purpose="limit", pool_size=13, arrival_rate=95.0),
            "asking what the server counts: 95/s, 13 connections",
        ),
        (
            started(purpose="limit", loop="closed", pool_size=12, arrival_rate=None,
                    because="limit: between 8 and 16"),
            "between 8 and 16: 12 connections",
        ),
        (
            started(purpose="cold", pool_size=6, because="cold: 4 pools empty as calls begin"),
            "cold start: 4 pools empty as calls begin",
        ),
        (
            started(purpose="verify", pool_size=11, arrival_rate=350.0),
            "verifying 11 at 350/s",
        ),
    ],
)  # fmt: skip
def test_a_trial_that_begins_says_why(event: TrialStarted, words: str) -> None:
    """The climb and the search for a limit have sentences of their own."""
    assert narration.sentence(event) == words


def test_a_cold_start_tells_what_came_of_it() -> None:
    """How the pools began, what first callers waited, the logins and the dials that were lost."""
    lazy = verifying_trial(purpose="cold", cold=start(steady=None, refused=3, failed=1))
    assert narration.sentence(TrialDone(trial=lazy)) == (
        "cold start, dialled first: none, as calls come: p99 wait of the first second 50 ms, "
        "not steady; dials 3 refused, 1 failed"
    )
    warm = start(min_size=6, is_warm=True, jitter=0.8, wait_p99=0.002, dial_rate=60.0)
    spread = verifying_trial(purpose="cold", cold=warm)
    assert narration.sentence(TrialDone(trial=spread)) == (
        "cold start, dialled first: 6, before the first call, over 0.8 s: p99 wait of the first "
        "second 2 ms, steady after 200 ms, 60 logins a second"
    )


def test_a_step_of_the_climb_says_what_came_to_be_in_use() -> None:
    """The size of its pool is a cap: the most in use is what was found."""
    trial = records(CASES["not pushed"])[1][3]
    told = narration.sentence(TrialDone(trial=trial))
    assert told is not None
    assert told.startswith("roomy pool at 350/s: 350 calls/s, ")
    assert f"at most {trial.most_in_use} in use, p99 wait " in told
    old = trial.model_copy(update={"in_use": ()})
    assert "in use" not in (narration.sentence(TrialDone(trial=old)) or "")


def test_the_table_of_trials_begins_with_the_climb() -> None:
    """It comes first, as it ran, and its size is the most that it might have used."""
    rows = tables.trials(records(CASES["states over a sweep"])[1]).rows
    assert [row[0] for row in rows[:5]] == ["up to 64"] * 4 + ["1"]
    assert [row[1] for row in rows[:2]] == ["open, 125/s", "open, 250/s"]
    assert rows[0][-1] == "✓ by connections in use"
    assert rows[4][-1] == "✓ yes"
