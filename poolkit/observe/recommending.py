"""What poolkit says of a target that was observed: its size, and the doubts about that."""

from __future__ import annotations

from poolkit import units
from poolkit.measure.sweep import spent
from poolkit.recommend import recommend
from poolkit.records import (
    Check,
    FromProduction,
    Recommendation,
    Sizing,
    TodaysWaits,
    Trial,
    Verification,
)
from poolkit.targets import Target


def recommendation(
    target: Target,
    sizing: Sizing,
    trial: Trial,
    found: FromProduction,
    verification: Verification | None = None,
    tried: tuple[Trial, ...] = (),
    *,
    is_asked: bool = False,
) -> Recommendation:
    """What poolkit says of a target that was observed.

    Args:
        verification: of the size under load, read off the trials `tried`.
        is_asked: whether a verification was asked for, so that its want is a doubt.
    """
    plain = recommend(target, sizing, None, (trial,), "done", 0.0)
    times = plain.hold_time  # production knows them better than a few seconds of load
    if tried:
        trials = (trial, *tried)
        plain = recommend(target, sizing, verification, trials, "done", spent(tried))
    dropped = ("reachable",) if is_asked else ("reachable", "verified")
    # That production was not pushed is no fault of its settings.
    remedy = {"next": "do what it names, or measure it under load: poolkit size"}
    checks = [
        check.model_copy(update=remedy) if check.name == "sized" and not check.passed else check
        for check in plain.checks
        if check.name not in dropped
    ]
    return plain.model_copy(
        update={
            "checks": (*checks, _trusted(found.today), _pools(target, found)),
            "source": "production",
            "production": found,
            "hold_time": plain.hold_time
            if times is None or times.at_recommended is None
            else times,
            "trials": len(tried),
        }
    )


def _trusted(today: TodaysWaits) -> Check:
    return Check(
        name="todays_waits",
        passed=today.is_trusted,
        seen=("trusted: " if today.is_trusted else "not trusted: ") + today.because,
        why="a model that cannot tell today's waits says nothing about tomorrow's",
        next="nothing" if today.is_trusted else "measure it under load: poolkit size",
    )


def _pools(target: Target, found: FromProduction) -> Check:
    same = found.pools == target.pools
    seen = f"{units.plural(found.pools, 'pool')} in production"
    if not same:
        seen += f", and {target.pools} by replicas and workers of targets.toml"
    return Check(
        name="pools",
        passed=same,
        seen=seen,
        why="the size is that of one of the pools that share the rate",
        next="nothing" if same else "correct replicas and workers; production's count was taken",
    )
