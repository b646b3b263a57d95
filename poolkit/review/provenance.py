"""What a result rests on, in words: trials of an earlier run, and load left out by choice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from poolkit import units
from poolkit.measure.verify import OVERLOAD
from poolkit.records import Recommendation, Resumed


def when(resumed: Resumed, at: str) -> str:
    """When trials began, and how old they are at `at` (ISO 8601).

    As `2026-11-27 16:58 to 17:01 UTC (3 days old)`.
    """
    oldest, newest = _minute(resumed.oldest), _minute(resumed.newest)
    day, _, clock = newest.partition(" ")
    end = "" if newest == oldest else f" to {clock if oldest.startswith(day) else newest}"
    age = datetime.fromisoformat(at) - datetime.fromisoformat(resumed.oldest)
    return f"{oldest}{end} UTC ({units.age(age.total_seconds())} old)"


def is_old(recommendation: Recommendation) -> bool:
    """Whether all that it says was measured by an earlier run."""
    resumed = recommendation.resumed
    return resumed is not None and resumed.trials >= recommendation.trials


def rests_on(recommendation: Recommendation, at: str) -> str:
    """Which of its trials are of an earlier run, without a full stop; empty where none is."""
    r = recommendation
    if r.resumed is None:
        return ""
    if is_old(r):
        return nothing_measured(r.resumed, at)
    return f"{r.resumed.trials} of its {units.plural(r.trials, 'trial')} {_are_from(r.resumed, at)}"


def nothing_measured(resumed: Resumed, at: str) -> str:
    """That all trials are of an earlier run, without a full stop."""
    return f"nothing was measured now: the {from_when(resumed, at)}"


def from_when(resumed: Resumed, at: str) -> str:
    """`19 trials are from 2026-11-27 16:58 to 17:01 UTC (3 days old)`."""
    return f"{units.plural(resumed.trials, 'trial')} {_are_from(resumed, at)}"


def measured_at(recommendations: Iterable[Recommendation], created: str) -> str:
    """When the latest measurement of a file made at `created` was, ISO 8601."""
    newest = [r.resumed.newest if r.resumed and is_old(r) else created for r in recommendations]
    return max(newest, default=created)


def left_out(recommendation: Recommendation) -> str:
    """What was left out by choice, in a sentence; empty where nothing was."""
    if recommendation.push or not recommendation.trials:
        return ""
    over = f"the {OVERLOAD:g} times trial"
    return f"The plateau, the knees and {over} were left out: push = false."


def _are_from(resumed: Resumed, at: str) -> str:
    return f"{'is' if resumed.trials == 1 else 'are'} from {when(resumed, at)}"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
