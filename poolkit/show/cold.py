"""A cold start in words: how it began, what came of it, and how the service should begin."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import ColdAdvice, ColdStart
from poolkit.units import milliseconds, number, plural


def how(start: ColdStart) -> str:
    """How the pools began: `6 each before the first call, over 0.3 s`."""
    if not start.min_size:
        return "none, as calls come"
    when = "before the first call" if start.is_warm else "as calls come"
    return f"{start.min_size}, {when}" + (f", over {number(start.jitter)} s" * bool(start.jitter))


def lost(start: ColdStart) -> str:
    """The dials that brought no connection; empty where there were none."""
    parts = [(start.refused, "refused"), (start.failed, "failed")]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


def sentence(start: ColdStart) -> str:
    """A cold start in a line, its figures in it."""
    rate = "" if start.dial_rate is None else f", {number(start.dial_rate)} logins a second"
    steady = "not steady" if start.steady is None else f"steady after {milliseconds(start.steady)}"
    gone = f"; dials {lost(start)}" if lost(start) else ""
    return (
        f"cold start, dialled first: {how(start)}: p99 wait of the first second "
        f"{milliseconds(start.wait_p99)}, {steady}{rate}{gone}"
    )


def finding(advice: ColdAdvice) -> str:
    """How the service should begin, as a sentence without a full stop."""
    each = f" in each of {advice.pools} pools" if advice.pools > 1 else ""
    if not advice.warm_up:
        return f"Empty pools may begin at the target rate: {advice.because}"
    dialled = plural(advice.min_size, "connection")
    spread = f", the replicas spread over {number(advice.jitter)} s" if advice.jitter else ""
    return f"Dial {dialled}{each} before the service reports ready{spread}: {advice.because}"


def logins(advice: ColdAdvice) -> str:
    """What the server took, as a sentence; empty where it was not seen."""
    if advice.login_rate is None:
        return ""
    taken = f"{number(advice.login_rate)} new connections a second"
    if advice.is_least:
        return f"The server took at least {taken}: this machine's own CPU was busy with them."
    many = max(start.generators for start in advice.starts)
    where = "one process" if many == 1 else f"{many} processes at once"
    return f"The server took {taken}, all from {where}; more were not tried."


def shown(advice: ColdAdvice) -> Sequence[ColdStart]:
    """The starts that tell the most: empty pools, all at once, and the one that is advised.

    Of each kind the last; every start is of one of these kinds, so there is one at least.
    """
    starts, best = advice.starts, advised(advice)
    lazy = [s for s in starts if not s.min_size and not s.is_warm]
    stormy = [s for s in starts if s.min_size and not s.is_warm]
    warm = [s for s in starts if s.is_warm]
    if best is not None and best.is_warm:
        warm = [best]
    return [*lazy[-1:], *stormy[-1:], *warm[-1:]]


def advised(advice: ColdAdvice) -> ColdStart | None:
    """The start that was tried as it is advised; None where what is advised was not tried."""
    asked = (advice.warm_up, advice.min_size, advice.holds)
    like = [s for s in advice.starts if (s.is_warm, s.min_size, s.holds) == asked]
    return like[-1] if like else None
