"""Events as sentences: what is measured now and why, and what came out."""

from __future__ import annotations

import math

from poolkit import units
from poolkit.analysis.replicas import what_came
from poolkit.events import Event, Recommended, Sized, Started, Step, TrialDone, TrialStarted
from poolkit.records import APART, Sizing, Trial
from poolkit.review import provenance
from poolkit.show import cold, words

_PURPOSES = {
    "ramp": "ramp",
    "refine": "near the size from which on throughput hardly grows",
    "repeat": "repeated for its interval",
    "sentinel": "measured again to see drift",
    "approach": "climbing to the target rate",
    "limit": "asking what the server counts",
    "verify": "verifying",
    "overload": "offered more than the target rate",
    "recovery": "offered less after an overload",
    "fairness": "with more callers than connections",
    "cold": "beginning with empty pools",
    "lost_replica": "losing a replica",
    "surge": "adding replicas as a deploy does",
}


def sentence(event: Event) -> str | None:
    """One line on the event, without the target's name; None where there is nothing to say."""
    match event:
        case Started():
            return _begun(event)
        case TrialStarted():
            return _doing(event)
        case Step(what=what, limit=limit, passed=passed):
            more = " more" if passed else ""
            return f"{what} (at most {math.ceil(limit - passed)} s{more})" if limit else what
        case TrialDone(trial=trial):
            return _measured(trial)
        case Sized(sizing=sizing):
            return sized(sizing)
        case Recommended(recommendation=r) if r.source == "production" and not r.recommended_size:
            return "no size"  # the sizing has just said why
        case Recommended(recommendation=recommendation):
            return words.outcome(recommendation)
    return None


def of_trial(trial: Trial, begun: TrialStarted | None) -> str:
    """What was measured, and why, as far as that was told when it began."""
    text = _measured(trial)
    if begun is None:
        return text
    is_reason_alone = begun.purpose == "verify" and _told(begun)
    return f"{text} ({'verifying: ' if is_reason_alone else ''}{_why(begun)})"


def _told(event: TrialStarted) -> str:
    return event.because.removeprefix("verify: ").removeprefix(f"{event.purpose}: ")


def _why(event: TrialStarted) -> str:
    return _told(event) or _PURPOSES[event.purpose]


def _begun(event: Started) -> str:
    text = f"{event.driver}, at most {units.number(event.budget)} s of load"
    if event.resumed is not None:
        trials = units.plural(event.resumed.trials, "finished trial")
        text += f"; {trials} resumed ({provenance.age(event.resumed, event.at)} old)"
    return text


def _doing(event: TrialStarted) -> str:
    why, size = _why(event), units.plural(event.pool_size, "connection")
    if event.purpose in ("approach", "limit"):
        most = "at most " if event.purpose == "approach" else ""
        at = f"{units.short_rate(event.arrival_rate)}, " if event.arrival_rate is not None else ""
        return f"{why}: {at}{most}{size}"
    if event.purpose == "cold":
        return f"cold start: {_told(event)}"
    if event.purpose in APART:
        return f"{_PURPOSES[event.purpose]}: {_told(event)}"
    if event.loop == "open":
        text = f"verifying {event.pool_size} at {units.short_rate(event.arrival_rate)}"
        return f"{text} ({_told(event)})" if _told(event) else text
    return f"{size}, {why}"


def _measured(trial: Trial) -> str:
    if trial.cold is not None:
        return cold.sentence(trial.cold)
    if trial.change is not None:
        return what_came(trial.change, trial.stopped)
    size = units.plural(trial.pool_size, "connection")
    if trial.purpose == "approach":
        # Its pool is as large as it may be: what it came to use is what was found.
        size = "roomy pool"
    if trial.arrival_rate is not None:
        size += f" at {units.short_rate(trial.arrival_rate)}"
    in_use = trial.most_in_use if trial.purpose == "approach" else None
    text = (
        f"{size}: {units.rate(trial.throughput)}, "
        f"{'' if in_use is None else f'at most {in_use} in use, '}"
        f"p99 wait {units.milliseconds(trial.wait_time.p99)}, "
        f"p99 hold {units.milliseconds(trial.hold_time.p99)}"
    )
    if trial.stopped is not None:
        return f"{text}; stopped by the {trial.stopped} brake"
    doubts = [f"{words.readable(check.name)} ({check.seen})" for check in trial.failed_checks]
    return f"{text}; not fitted: {', '.join(doubts)}" if doubts else text


def sized(sizing: Sizing) -> str:
    """What the curve was read as, before verification."""
    if sizing.size is None:
        return f"no size yet: {sizing.because}"
    return f"{units.plural(sizing.size, 'connection')} predicted: {sizing.because}"
