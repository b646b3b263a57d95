"""What speaks against a result, in a few plain words each: they stand where the decision stands."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.recommend.checks import OF_THE_MACHINE
from poolkit.records import Check, FromProduction, Recommendation
from poolkit.units import listed, plural

DOUBT = "⚠"  # begins the words of what holds, but not without a doubt
# The first sentence says these otherwise: by the missing signs, the second size, the lack of one.
SAID_OTHERWISE = ("verified", "serves_sooner", "sized")

_DOUBTS = {
    "littles_law": "calls counted and times measured contradict each other",
    "client_bound": "the load generator was at its own limit",
    "machine_quiet": "this machine was busy with other work",
    "steady": "the load was not steady",
    "enough": "too few calls were measured",
    "lag": "this machine sent calls late",
    "fair": "some callers waited far longer than others",
    "replicas_alike": "one replica waited far longer than the others",
    "lost_replica": "waits were too long as a replica was lost",
    "surge": "waits were too long, or connections refused, as a deploy rolled",
    "drift": "the endpoint changed while it was measured",
    "reachable": "the rate is out of reach",
    "todays_waits": "today's waits do not bear the model out",
    "pools": "production has another number of pools than targets.toml",
    "finished": "the measurement did not run to its end",
}
_MISSING = {
    "wait_near_zero": "too many calls waited",
    "graceful_plateau": "it broke down at 1.2 times the rate",
    "no_disconnects": "calls met closed connections",
    "reuse_above_0.9": "connections were not kept",
    "recovers": "waits did not end after the overload",
    "response_in_time": "too many calls took too long",
}


def doubt(check: Check) -> str:
    """A failed check in a few words."""
    return _DOUBTS.get(check.name, f"{check.name.replace('_', ' ')} failed")


def doubts(recommendation: Recommendation) -> tuple[str, ...]:
    """Everything that speaks against it, the machine's own lateness first; empty: nothing does.

    A smaller size that serves as well is not among them: that is a choice, not a doubt.
    """
    r = recommendation
    failed = [check for check in r.failed_checks if check.name not in SAID_OTHERWISE]
    failed.sort(key=lambda check: check.name not in OF_THE_MACHINE)
    missing = [_MISSING[signal.name] for signal in r.missing_signals]
    machine = sum(check.name in OF_THE_MACHINE for check in failed)
    named = [doubt(check) for check in failed]
    return tuple(named[:machine] + missing + named[machine:])


def is_in_doubt(recommendation: Recommendation) -> bool:
    """Whether a size must not be taken at a glance: it is not verified, or something failed."""
    return not recommendation.is_verified or bool(doubts(recommendation))


def is_sound(recommendation: Recommendation) -> bool:
    """Whether a size may be taken at a glance: verified, with neither a doubt nor a choice left."""
    return not is_in_doubt(recommendation) and recommendation.smallest_as_fast is None


def predicted(recommendation: Recommendation) -> str:
    """That a size is predicted, and what from where that is not load."""
    return "predicted" + " from production metrics" * (recommendation.source == "production")


def told_today(found: FromProduction) -> str:
    """Whether the model tells today's waits, in a word behind a mark."""
    return "✓ Trusted" if found.today.is_trusted else f"{DOUBT} Not trusted"


def was_seen_to_fail(recommendation: Recommendation | None) -> bool:
    """Whether a size was seen to fail; one that is only predicted is called that, no more."""
    r = recommendation
    if r is None or r.recommended_size is None:
        return False
    return bool(r.failed_checks) or (r.verification is not None and not r.is_verified)


def was_too_busy(recommendation: Recommendation) -> bool:
    """Whether a sign is missing that a late or crowded machine would hide by itself.

    Such a sign says nothing of the pool: the remedy is another run, not another size.
    """
    return bool(recommendation.missing_signals) and any(
        check.name in OF_THE_MACHINE for check in recommendation.failed_checks
    )


def in_doubt(recommendation: Recommendation) -> str:
    """`; in doubt: ...`, to be put behind a decision; empty where nothing is in doubt."""
    found = doubts(recommendation)
    return f"; in doubt: {listed(list(found))}" if found else ""


def same_response(fewer: int | None) -> str:
    """`8 give the same response time`; empty without such a size."""
    if fewer is None:
        return ""
    return f"{fewer} {'gives' if fewer == 1 else 'give'} the same response time"


def how_sure(recommendation: Recommendation) -> str:
    """How far to trust it, in a few words behind a mark: ✓ good, ⚠ look first, ✗ not to be used."""
    r, found = recommendation, doubts(recommendation)
    if r.status != "done":
        return f"✗ no result: {r.status}"
    if r.recommended_size is None and r.source == "production":
        return f"✗ production does not tell a size{_listed(found)}"
    if r.recommended_size is None:
        return f"✗ no size recommended{_listed(found)}"
    if r.verification is None:
        return f"{DOUBT} {predicted(r)}, not verified{_listed(found)}"
    signs = plural(len(r.verification.signals), "sign")
    good = len(r.verification.signals) - len(r.missing_signals)
    if was_too_busy(r):
        return f"✗ this machine was too busy to verify, run again: {good} of {signs} seen"
    if not r.is_verified:
        return f"✗ not confirmed, {good} of {signs} seen{_listed(found)}"
    few = same_response(r.smallest_as_fast)
    if found:
        return f"{DOUBT} verified with doubts, {good} of {signs} seen{_listed(found)}"
    if few:
        return f"{DOUBT} verified, {good} of {signs} seen; but {few}"
    return f"✓ verified: {good} of {signs} seen, no doubts"


def _listed(found: Sequence[str]) -> str:
    return f": {listed(list(found))}" if found else ""
