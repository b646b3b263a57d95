"""What poolkit says of a target, worded once: its size, verdict, reasons, doubts and changes.

Tables, charts, panels, the report and the commands read it here and choose no words of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.limits import in_words
from poolkit.records import (
    Check,
    Interval,
    Knee,
    LimitKind,
    Parameter,
    Recommendation,
    Sizing,
    Trial,
    Verdict,
    VerdictName,
)
from poolkit.review.compare import Comparison, Difference
from poolkit.show.trust import (
    DOUBT,
    doubts,
    in_doubt,
    is_sound,
    predicted,
    same_response,
    was_too_busy,
)
from poolkit.units import NONE, interval, listed, milliseconds, number, plural, rate, short_rate

KNEE_RULES = {
    "littles_law": "Little's Law: plateau × hold time at one connection",
    "plateau95": "smallest size within 5 % of the plateau",
    "usl_peak": "peak of the Universal Scalability Law",
}
RULES_OF_THUMB = {
    "littles_law_x1.3": "p50 at one connection × rate × 1.3",
    "concurrent_x1.5": "requests in flight ÷ queries each × 1.5",
    "cores*2+spindles": "cores × 2 + spindles",
    "small/medium/high table": "table of small, medium, high traffic",
}
BOUND_BY: dict[VerdictName, str] = {
    "server_bound": "the server",
    "client_bound": "the client",
    "pool_bound": "the pool",
    "pooler_bound": "the pooler",
    "rate_limited": "a rate limit",
    "refused": "refused calls",
    "stopped": "not known",
    "not_pushed": "not looked for",
}
TOO_BUSY = "this machine was too busy to verify"
NOT_PUSHED = "not pushed beyond that rate, by choice"
LIMITS: dict[LimitKind, str] = {
    "at_once": "calls at once",
    "rate": "calls per second",
    "connections": "connections",
}
# What each sign of a right size, and each check, says where it passes.
SIGNS = {
    "wait_near_zero": "few enough calls wait at the target rate",
    "graceful_plateau": "more than the target rate is carried, or refused, without breaking down",
    "recovers": "an overload ends when the load does",
    "no_disconnects": "no call meets a closed connection",
    "reuse_above_0.9": "connections are kept",
    "response_in_time": "calls are answered in time",
}
CHECKS = {
    "littles_law": "counts and times agree (Little's Law)",
    "client_bound": "the client had room left",
    "machine_quiet": "this machine was quiet",
    "steady": "the load was steady",
    "enough": "enough calls were measured",
    "lag": "calls were sent when due",
    "shares": "each generator sent its share",
    "fair": "callers were served alike",
    "replicas_alike": "replicas were served alike",
    "lost_replica": "the others bear the loss of a replica",
    "surge": "a deploy may roll under load",
    "drift": "the endpoint stayed the same",
    "sized": "the curve supports a size",
    "reachable": "the target rate is within reach",
    "verified": "the size was verified under load",
    "serves_sooner": "more connections serve callers sooner",
    "finished": "the measurement ran to its end",
    "todays_waits": "the model tells today's waits",
    "pools": "targets.toml has the pools of production",
}
CHANGES = {"lost_replica": "replicas lost", "surge": "a deploy rolls"}
SOURCES = {"measured": "measured here", "library": "library default", "rule": "rule"}
# Quantities that two reviews are compared by.
QUANTITIES = {
    "target_rate": "rate asked",
    "wait_p99": "longest p99 wait",
    "recommended_size": "size",
    "knee": "Little's Law knee",
    "hold_time.at_one": "hold time at one connection",
    "hold_time.at_recommended": "hold time at the size",
    "verification.wait_p99": "p99 wait at the target rate",
}


def readable(name: str) -> str:
    """The name of a check, sign or rule as people write it."""
    name = name.replace("littles_law", "Little's Law").replace("http_", "HTTP ")
    return name.replace("_", " ")


def check(name: str) -> str:
    """What a check says where it passes."""
    return CHECKS.get(name, readable(name))


def sentence(words: str) -> str:
    """Begun with a capital and ended with a full stop."""
    words = words.strip()
    ended = words if words.endswith((".", "!", "?")) else f"{words}."
    return ended[:1].upper() + ended[1:]


# -- a recommendation -----------------------------------------------------------------------------


def size(recommendation: Recommendation) -> str:
    """The recommended size, marked where it is in doubt; a dash where there is none."""
    found = recommendation.recommended_size
    if found is None:
        return NONE
    return str(found) if is_sound(recommendation) else f"{DOUBT} {found}"


def size_in_short(recommendation: Recommendation) -> str:
    """`25 or 8`, where 8 give the same response time."""
    found, few = recommendation.recommended_size, recommendation.smallest_as_fast
    if found is None:
        return NONE
    return str(found) if few is None else f"{found} or {few}"


def value(parameter: Parameter) -> str:
    """A parameter's value as it is typed."""
    given = parameter.value
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return f"{given:g}" if is_number else str(given)


def bound_by(recommendation: Recommendation) -> str:
    """What bounds the throughput, or how the measurement ended without a result."""
    if recommendation.status != "done":
        return recommendation.status
    if recommendation.verdict is None:
        return NONE
    return _by(BOUND_BY[recommendation.verdict], recommendation.bound_by)


def _by(whom: str, what: str | None) -> str:
    """`the server, by row locks on accounts`, where it is known."""
    return whom if what is None else f"{whom}, by {what}"


def verdict(recommendation: Recommendation) -> str:
    """The verdict in a word or two, or how the measurement ended without one."""
    if recommendation.status != "done":
        return recommendation.status
    return _by(readable(recommendation.verdict or NONE), recommendation.bound_by)


def rule_of_thumb(name: str) -> str:
    """A rule of thumb as a formula that people know."""
    return RULES_OF_THUMB.get(name, readable(name))


def beyond(most_in_use: int | None) -> str:
    """That nothing can be said beyond the numbers in use that were seen."""
    if most_in_use is None:
        return "cannot say what a larger pool carries"
    return f"cannot say what more than {most_in_use} in use would carry"


def verified_phrase(recommendation: Recommendation) -> str:
    """`verified: 499/s, wait p99 6.1 ms`, or that it was not."""
    seen = recommendation.verification
    if seen is None:
        return "not verified"
    word = "verified" if recommendation.is_verified else "not confirmed"
    return f"{word}: {short_rate(seen.achieved_rate)}, wait p99 {milliseconds(seen.wait_p99)}"


def outcome(recommendation: Recommendation) -> str:
    """The result of a target in one line: what was seen of its size."""
    r = recommendation
    if r.recommended_size is None:
        why = f": {r.failed_checks[0].seen}" if r.failed_checks else ""
        return f"no size can be recommended{why}"
    text, seen = plural(r.recommended_size, "connection"), r.verification
    if seen is None:
        text += f" for {short_rate(r.target_rate)}, not verified"
    elif was_too_busy(r):
        text += f" for {short_rate(r.target_rate)}, not verified: {TOO_BUSY}; run again"
    elif r.is_verified:
        text += f" carried {short_rate(seen.achieved_rate)}"
        text += f", p99 wait {milliseconds(seen.wait_p99)}{in_doubt(r)}"
    else:
        missing = "; ".join(signal.seen for signal in r.missing_signals)
        text += f" for {short_rate(r.target_rate)}, in doubt: {missing}"
    if r.smallest_as_fast is not None:
        text += f"; {as_fast(r)}"
    if r.plateau is not None:
        text += f"; plateau {short_rate(r.plateau.throughput)}"
    elif not r.push:
        text += f"; {NOT_PUSHED}"
    return text


def as_fast(recommendation: Recommendation) -> str:
    """The smaller of two sizes, beside the one recommended, and what decides; empty: it is one."""
    same = same_response(recommendation.smallest_as_fast)
    asked = _asked(recommendation).removeprefix(" with ")
    return f"{same} ({asked} decides)" if same and asked else same


def bound(verdict: Verdict) -> str:
    """What bounds the throughput, with the evidence; why it is not known where that is so."""
    if verdict.name == "not_pushed":
        return verdict.evidence
    said = "What bounds it is" if verdict.name == "stopped" else "Bound by"
    return f"{said} {_by(BOUND_BY[verdict.name], verdict.by)}: {verdict.evidence}"


def reasons(
    sizing: Sizing | None,
    recommendation: Recommendation | None = None,
    trials: Sequence[Trial] = (),
) -> list[str]:
    """Why this size and no other, in sentences.

    With a recommendation and its trials a size that verification moved is told as that: what the
    curve alone said of another one is no reason for it.
    """
    if sizing is None:
        return []
    said = [bound(sizing.verdict), _moved(sizing, recommendation, trials) or sizing.because]
    if sizing.out_of_reach and sizing.reachable_rate is not None:
        instead = sizing.size_for_reachable
        size = "" if instead is None else f", with {plural(instead, 'connection')}"
        said.append(f"Within reach: {rate(sizing.reachable_rate)} still meets what is asked{size}.")
    if sizing.raised_by:
        said.append(f"What would raise that rate: {sizing.raised_by}")
    said.append(sizing.only_moves_queue or "")
    return [sentence(words) for words in said if words]


def _moved(sizing: Sizing, r: Recommendation | None, trials: Sequence[Trial]) -> str:
    """From which size to which verification moved, and on what evidence; empty: it did not."""
    size = r.recommended_size if r else None
    if size is None or sizing.size in (None, size):
        return ""
    first = plural(sizing.size or 0, "connection")
    tried = [t for t in trials if t.purpose == "verify" and t.pool_size == sizing.size]
    said = f"The curve alone asked for {first}, verification moved it to {size}"
    if not tried:  # a larger or smaller one was tried first, and settled it
        return said
    return f"{said}: p99 wait {milliseconds(tried[-1].wait_time.p99)} with {first} under load"


def where_from(parameter: Parameter, recommendation: Recommendation) -> str:
    """What a value rests on."""
    if parameter.source == "measured" and recommendation.source == "production":
        return "production metrics" + " and load" * (recommendation.trials > 0)
    return SOURCES[parameter.source]


def knee_in_short(knees: Sequence[Knee]) -> str:
    """The first knee (the one drawn on the charts) with its interval."""
    if not knees:
        return NONE
    size, ends = knees[0].size, interval(knees[0].interval95, 2)
    return "none seen" if size is None else f"{number(size, 2)} ({ends})"


def not_seen(trials: Sequence[Trial]) -> list[str]:
    """What of the server's side could not be looked at while the trials ran, each once."""
    remarks = (r for trial in trials if trial.server_side for r in trial.server_side.remarks)
    return [f"Not looked at: {sentence(remark)}" for remark in dict.fromkeys(remarks)]


def left_out(trials: Sequence[Trial]) -> list[str]:
    """Why trials were left out, counted by reason."""
    stopped = sum(trial.stopped is not None for trial in trials)
    said = [f"{plural(stopped, 'trial')} stopped early"] if stopped else []
    names = [c.name for trial in trials if not trial.stopped for c in trial.failed_checks]
    return said + [
        f"{plural(names.count(name), 'trial')} left out by the check '{check(name)}'"
        for name in dict.fromkeys(names)
    ]


def doubt(failed: Check) -> str:
    """A failed check with its reason and remedy, in one line."""
    said = f"'{check(failed.name)}': {failed.seen}. {sentence(failed.why)}"
    return f"{said} What to do: {failed.next}."


# -- the finding: the title of a chart and of a target's section ----------------------------------


def finding(
    sizing: Sizing | None,
    recommendation: Recommendation | None,
    trials: Sequence[Trial] = (),
    pools: int | None = None,
) -> str:
    """The finding as one sentence: the title of the chart and of the target's section.

    `pools` is how many pools the fleet has; by default as many as the size was tried with.
    """
    if recommendation is None:
        return _measured(sizing, trials)
    found = _found(sizing, recommendation, trials, pools)
    by_choice = recommendation.status == "done" and not recommendation.push
    by_choice &= recommendation.source == "load"
    return f"{found}; {NOT_PUSHED}" if by_choice else found


def _found(
    sizing: Sizing | None,
    recommendation: Recommendation,
    trials: Sequence[Trial],
    pools: int | None,
) -> str:
    at = rate(recommendation.target_rate)
    size = recommendation.recommended_size
    if size is None:
        return _nothing_recommended(sizing, recommendation)
    left = pools_left(sizing, trials, recommendation)
    if recommendation.production is not None:  # it knows how many there are
        pools = recommendation.production.pools
    pools = pools or left
    phrase = pool_phrase(size, pools)
    verb = "carries" if size == 1 and pools == 1 else "carry"
    wait = _wait_clause(recommendation)
    few = same_response(recommendation.smallest_as_fast)
    rest = f"{few and f'; {few}'}{in_doubt(recommendation)}"
    if recommendation.verification is None:
        return f"{phrase} should carry {at}{wait}: {predicted(recommendation)}, not verified{rest}"
    if was_too_busy(recommendation):
        return f"{sentence(TOO_BUSY)[:-1]} that {phrase} {verb} {at}: run again when it is quiet"
    if not recommendation.is_verified:
        why = listed(list(doubts(recommendation)))
        return f"{phrase} did not pass verification at {at}: {why}{few and f'; {few}'}"
    lost = "" if left >= pools else f", even when only {left} of the {pools} are left"
    return f"{phrase} {verb} {at}{wait}{lost}{rest}"


def pools_left(
    sizing: Sizing | None, trials: Sequence[Trial], recommendation: Recommendation | None
) -> int:
    """How many pools carry the target rate: fewer than the fleet has when a replica is lost."""
    tried = [t.pools for t in trials if t.loop == "open"]
    if tried:
        return max(tried)
    if sizing is None or recommendation is None:
        return 1
    return max(1, round(recommendation.target_rate / sizing.rate_per_pool))


def pool_phrase(size: int, pools: int = 1) -> str:
    """`15 connections`, or `4 pools of 5 connections`."""
    connections = plural(size, "connection")
    return connections if pools == 1 else f"{pools} pools of {connections}"


def _wait_clause(recommendation: Recommendation) -> str:
    limit, seen = recommendation.wait_p99, recommendation.verification
    if limit is not None and seen is not None and (seen.wait_p99 or 0.0) > limit:
        return f", p99 wait {milliseconds(seen.wait_p99)} instead of {milliseconds(limit)}"
    if limit is None and recommendation.response_p99 is None:
        return " as soon as any number would"
    return _asked(recommendation)


def _asked(recommendation: Recommendation) -> str:
    """` with p99 wait under 10 ms and p99 response under 50 ms`, as far as they are asked."""
    limits = (("wait", recommendation.wait_p99), ("response", recommendation.response_p99))
    asked = [
        f"p99 {name} under {milliseconds(limit)}" for name, limit in limits if limit is not None
    ]
    return f" with {listed(asked)}" if asked else ""


def _nothing_recommended(sizing: Sizing | None, recommendation: Recommendation) -> str:
    match recommendation.status:
        case "unreachable":
            return "The target could not be reached: nothing was measured"
        case "stopped":
            trials = plural(recommendation.trials, "trial")
            return f"Stopped early after {trials}: no size recommended"
        case "failed":
            return "The measurement failed: no size recommended"
    if recommendation.source == "production" and not (sizing and sizing.out_of_reach):
        return f"Production does not tell a size for {rate(recommendation.target_rate)}"
    if sizing is None or not sizing.out_of_reach:
        return f"No size can be recommended for {rate(recommendation.target_rate)}"
    return _out_of_reach(sizing, recommendation)


def _out_of_reach(sizing: Sizing, recommendation: Recommendation) -> str:
    """What bounds a rate that no size carries as is asked; the full reason is in `because`."""
    at, asked = rate(recommendation.target_rate), _asked(recommendation)
    if sizing.verdict.name in ("rate_limited", "refused"):
        limit = "limits the rate" if sizing.verdict.name == "rate_limited" else "refuses more"
        why = in_words(sizing.limits[0]) if sizing.limits else f"the server {limit}"
        return f"No pool size carries {at}: {why}"
    if sizing.limited_by == "response":
        limit = milliseconds(recommendation.response_p99)
        without = "calls take longer even without a wait"
        return f"No pool size keeps p99 response under {limit} at {at}: {without}"
    if sizing.limited_by == "cap":
        return f"{at}{asked} need more connections than are allowed"
    plateau = recommendation.plateau or sizing.plateau
    if plateau is None:
        return f"No pool size carries {at}{asked}"
    top = rate(plateau.throughput)
    if plateau.throughput <= recommendation.target_rate:
        return f"No pool size carries {at}: throughput levels off at {top}"
    return f"No pool size carries {at}{asked}: that is too near the plateau, {top}"


def _measured(sizing: Sizing | None, trials: Sequence[Trial]) -> str:
    closed = [t for t in trials if t.is_of_curve]
    if not closed and sizing is not None and sizing.size is not None:
        return f"{pool_phrase(sizing.size)} should do: predicted, to be verified"
    if not closed:
        carried = max((t.throughput for t in trials), default=None)
        return f"At most {rate(carried)} carried so far" if trials else "Nothing measured yet"
    best = max(closed, key=lambda t: t.throughput)
    sizes = len({t.pool_size for t in closed})
    return f"{plural(sizes, 'size')} measured: at most {rate(best.throughput)}"


# -- what changed between two reviews -------------------------------------------------------------


def quantity(difference: Difference) -> str:
    """What was compared."""
    return QUANTITIES.get(difference.quantity, difference.quantity.replace("_", " "))


def then(difference: Difference) -> str:
    """The earlier figure with its unit."""
    return _figure(difference, difference.before)


def now(difference: Difference) -> str:
    """The later figure with its unit."""
    return _figure(difference, difference.after)


def _figure(difference: Difference, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or NONE
    if difference.unit == "s":
        return milliseconds(value)
    return rate(value) if difference.unit == "calls/s" else number(value)


def interval_of(difference: Difference, values: Interval | None) -> str:
    """An interval of a figure, in ms where the figure is a time."""
    if values is None or difference.unit != "s":
        return interval(values)
    return f"{interval((values[0] * 1000, values[1] * 1000))} ms"


def is_larger_than_noise(difference: Difference) -> str:
    """Whether the difference is more than the noise of both figures."""
    if difference.before == difference.after:
        return "no change"
    if difference.is_larger_than_noise is None:
        return f"cannot be said: {difference.note}"
    return "yes" if difference.is_larger_than_noise else "no"


def is_beyond_noise(difference: Difference) -> bool:
    """Whether it moved, and by more than the noise of both figures."""
    return bool(difference.is_larger_than_noise) and difference.before != difference.after


def changed_since(comparison: Comparison, target: str) -> str:
    """What changed for one target by more than noise, and from what to what."""
    of_target = [d for d in comparison.differences if d.target == target]
    moved = [f"{quantity(d)} {then(d)} → {now(d)}" for d in of_target if is_beyond_noise(d)]
    if not of_target:
        return NONE
    return "; ".join(moved) or "nothing beyond noise"
