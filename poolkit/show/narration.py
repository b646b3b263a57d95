"""Events as sentences: what is measured now and why, and what came out."""

from __future__ import annotations

from poolkit import units
from poolkit.events import (
    Event,
    Recommended,
    Sized,
    Started,
    TrialDone,
    TrialStarted,
)
from poolkit.records import Recommendation, Sizing, Trial

_PURPOSES = {
    "ramp": "ramp",
    "refine": "refining around the knee",
    "repeat": "repeated for its interval",
    "sentinel": "measured again to see drift",
    "verify": "verifying",
    "overload": "offered more than the target rate",
    "recovery": "offered less after an overload",
    "fairness": "with more callers than connections",
}


def sentence(event: Event) -> str | None:
    """One line on the event, without the target's name; None where there is nothing to say."""
    if isinstance(event, Started):
        return begun(event)
    if isinstance(event, TrialStarted):
        return doing(event)
    if isinstance(event, TrialDone):
        return measured(event.trial)
    if isinstance(event, Sized):
        return sized(event.sizing)
    if isinstance(event, Recommended):
        return finding(event.recommendation)
    return None


def begun(event: Started) -> str:
    """The library that is measured with and the load that may be sent."""
    text = f"{event.driver}, at most {units.number(event.budget)} s of load"
    if event.resumed_trials:
        text += f"; {units.plural(event.resumed_trials, 'finished trial')} resumed"
    return text


def doing(event: TrialStarted) -> str:
    """What is measured now and why: `8 connections, ramp: throughput still rises`."""
    because = event.because.removeprefix("verify: ")
    if event.loop == "open":
        text = f"verifying {event.pool_size} at {units.short_rate(event.arrival_rate)}"
        return f"{text} ({because})" if because else text
    return f"{units.plural(event.pool_size, 'connection')}, {because or _PURPOSES[event.purpose]}"


def measured(trial: Trial) -> str:
    """What one trial saw, and why it is not used where it is not."""
    size = units.plural(trial.pool_size, "connection")
    if trial.arrival_rate is not None:
        size += f" at {units.short_rate(trial.arrival_rate)}"
    text = (
        f"{size}: {units.rate(trial.throughput)}, "
        f"p99 wait {units.milliseconds(trial.wait_time.p99)}, "
        f"p99 hold {units.milliseconds(trial.hold_time.p99)}"
    )
    if trial.stopped is not None:
        return f"{text}; stopped by the {trial.stopped} brake"
    doubts = [f"{check.name} ({check.seen})" for check in trial.checks if not check.passed]
    return f"{text}; not fitted: {', '.join(doubts)}" if doubts else text


def sized(sizing: Sizing) -> str:
    """What the curve was read as, before verification."""
    if sizing.size is None:
        return f"no size yet: {sizing.because}"
    return f"{units.plural(sizing.size, 'connection')} predicted: {sizing.because}"


def finding(recommendation: Recommendation) -> str:
    """The result of a target in one line."""
    r = recommendation
    if r.recommended_size is None:
        reasons = [check.seen for check in r.checks if not check.passed]
        return "no size can be recommended" + (f": {reasons[0]}" if reasons else "")
    text = units.plural(r.recommended_size, "connection")
    seen = r.verification
    if seen is None:
        text += f" for {units.short_rate(r.target_rate)}, not verified"
    elif is_verified(r):
        text += f" carried {units.short_rate(seen.achieved_rate)}"
        text += f", p99 wait {units.milliseconds(seen.wait_p99)}"
    else:
        missing = [signal.seen for signal in seen.signals if not signal.passed]
        text += f" for {units.short_rate(r.target_rate)}, in doubt: {'; '.join(missing)}"
    if r.plateau is not None:
        text += f"; plateau {units.short_rate(r.plateau.throughput)}"
    return text


def is_verified(recommendation: Recommendation) -> bool:
    """Whether the recommended size showed every sign of a right one under load."""
    seen = recommendation.verification
    return seen is not None and all(signal.passed for signal in seen.signals)
