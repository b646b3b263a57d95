"""What a result rests on, in words: trials of an earlier run, and load left out by choice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from poolkit import units
from poolkit.measure.verify import OVERLOAD
from poolkit.records import Recommendation, Resumed


def when(resumed: Resumed) -> str:
    """When trials began, as `2026-11-27 16:58 to 17:01 UTC`."""
    oldest, newest = _minute(resumed.oldest), _minute(resumed.newest)
    day, _, clock = newest.partition(" ")
    end = "" if newest == oldest else f" to {clock if oldest.startswith(day) else newest}"
    return f"{oldest}{end} UTC"


def age(resumed: Resumed, at: str) -> str:
    """How old the oldest is at the moment `at` (ISO 8601), as `3 days`."""
    return units.age((_utc(at) - _utc(resumed.oldest)).total_seconds())


def rests_on(resumed: Resumed, trials: int, at: str, *, written: bool = False) -> str:
    """Which of the trials are of an earlier run, and how old they are; without a full stop.

    Args:
        trials: how many there are, those measured since included.
        at: seen from when, ISO 8601.
        written: for a document of that moment, which is read later.
    """
    verb = "is" if resumed.trials == 1 else "are"
    seen = "before this was written" if written else "old"
    said = f"{verb} from {when(resumed)} ({age(resumed, at)} {seen})"
    if resumed.trials < trials:
        return f"{resumed.trials} of {units.plural(trials, 'trial')} {said}"
    now = "for this" if written else "now"
    return f"nothing was measured {now}: the {units.plural(trials, 'trial')} {said}"


def written(recommendation: Recommendation, created: str) -> str:
    """The same of a recommendation, for a document made at `created`; empty where none is."""
    r = recommendation
    return "" if r.resumed is None else rests_on(r.resumed, r.trials, created, written=True)


def measured_at(recommendations: Iterable[Recommendation], created: str) -> str:
    """When the latest measurement of a file made at `created` was, ISO 8601."""
    newest = [
        r.resumed.newest if r.resumed and r.resumed.trials >= r.trials else created
        for r in recommendations
    ]
    return max(newest, default=created)


def left_out(recommendation: Recommendation) -> str:
    """What was left out by choice, in a sentence; empty where nothing was."""
    r = recommendation
    if r.push or not r.trials or r.source == "production":
        return ""
    signals = () if r.verification is None else r.verification.signals
    known = {  # trials of before may have pushed
        "the plateau": r.plateau is not None,
        "the knees": any(knee.size is not None for knee in r.knees),
        f"the {OVERLOAD:g} times trial": any(s.name == "graceful_plateau" for s in signals),
    }
    missing = units.listed([name for name, is_known in known.items() if not is_known])
    return missing and f"Left out by choice (push = false): {missing}."


def _utc(moment: str) -> datetime:
    found = datetime.fromisoformat(moment)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
