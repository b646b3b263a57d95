"""The events of one target as a child prints them."""

from __future__ import annotations

from poolkit import events
from poolkit.events import Event
from poolkit.recommend import recommend
from poolkit.records import Recommendation, Resumed, Verification
from tests.recommend import examples


def recommendation(verified: Verification | None = None) -> Recommendation:
    return recommend(
        examples.http_target(),
        examples.sizing(),
        examples.verification() if verified is None else verified,
        (examples.trial(), examples.verifying_trial()),
        "done",
        20.0,
    )


def started(resumed: int = 0) -> Event:
    """Begun at noon; the trials of before, where there are any, are of the same day's morning."""
    morning = "2026-11-21T08:00:03+00:00", "2026-11-21T08:01:40+00:00"
    return events.Started(
        target="orders-api",
        driver="aiohttp",
        budget=45.0,
        at="2026-11-21T12:00:05Z",
        resumed=Resumed(trials=resumed, oldest=morning[0], newest=morning[1]) if resumed else None,
    )


def ramp() -> Event:
    return events.TrialStarted(
        target="orders-api",
        purpose="ramp",
        loop="closed",
        pool_size=8,
        seconds=1.5,
        because="ramp: throughput still rises",
    )


def verifying() -> Event:
    return events.TrialStarted(
        target="orders-api",
        purpose="verify",
        loop="open",
        pool_size=14,
        arrival_rate=500.0,
        seconds=8.0,
        because="verify: 13 waited too long, one more connection",
    )


def progress() -> Event:
    return events.Progress(
        target="orders-api",
        seconds=12.0,
        budget=45.0,
        pool_size=8,
        throughput=455.5,
        calls=300,
    )


def failed() -> Event:
    return events.Failed(
        target="orders-api",
        cause="stopped by the errors brake: 60 % of the calls failed",
        remedy="see what the server says",
        exit_code=3,
    )


def whole() -> list[Event]:
    """From the start to the recommendation."""
    return [
        started(),
        ramp(),
        progress(),
        events.TrialDone(trial=examples.trial()),
        events.Sized(sizing=examples.sizing()),
        verifying(),
        events.TrialDone(trial=examples.verifying_trial()),
        events.Recommended(recommendation=recommendation()),
        events.Done(target="orders-api", exit_code=0),
    ]
