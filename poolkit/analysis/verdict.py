"""What bounds the throughput of an upstream, or why its curve makes no sense, with the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.checks import BUSY_CORE
from poolkit.analysis.curve import has_numbers, is_clean, relative_error
from poolkit.analysis.disturbed import QUIET, is_quiet
from poolkit.analysis.knee import NEAR_PLATEAU, end_slope, has_plateau, is_falling, plateau
from poolkit.analysis.limits import (
    answered,
    first_refused,
    in_words,
    limit_kind,
    limits,
    over_quota,
    refusals,
    shed,
    short_hold,
    turned_away,
)
from poolkit.analysis.server_side import AtPooler, at_gauge, at_pooler, bound_by
from poolkit.analysis.state_curve import open_loops, strained
from poolkit.analysis.states import together
from poolkit.records import CurvePoint, Sweep, Trial, Verdict

NEAR_TOP = 0.9
# A fall and a rise of this share, and of this many standard errors, are no noise.
DIP = 0.12
DIP_ERRORS = 4.0
FEWEST_RELEASES = 10  # out of a state, before its throughput is compared with another's
FEWEST_CALLS = 200  # of open loops, before a size is read off their states
LEAP = 1.6  # times the best throughput of a connection at fewer of them


def judge(sweep: Sweep, points: Sequence[CurvePoint]) -> Verdict:
    """The verdict on a sweep whose usable trials gave these points (none is allowed)."""
    trials = [trial for trial in sweep.trials if trial.is_of_curve]
    # First of all: a brake stops a sweep that is shed, and the shedding is the reason.
    if away := turned_away(sweep.trials):
        return _limited(sweep.trials, away)
    if sweep.stopped is not None:
        return Verdict(name="stopped", evidence=_stopped(sweep, points))
    busy = _busy_client(trials)
    if busy:
        return Verdict(name="client_bound", evidence=busy)
    if len(points) < 2 and (in_service := open_loops(sweep.trials)):
        return _in_service(sweep, in_service)
    is_rising = not points or not has_plateau(points)
    if is_rising and (crowded := _crowded_machine(trials, points)):
        return Verdict(name="stopped", evidence=crowded)
    if not points:
        return Verdict(name="stopped", evidence="no trial passed its checks, so nothing was seen")
    if is_rising:
        return Verdict(name="pool_bound", evidence=_rising(points))
    waiting = at_pooler(trials, {point.pool_size: point.throughput for point in points})
    if waiting is not None and waiting.has_room:
        return Verdict(name="pooler_bound", evidence=f"{waiting.words}; {_flat(points)}")
    height = plateau(points)
    assert height is not None, "only asked where a plateau was seen"
    full = [t for t in trials if t.throughput >= NEAR_PLATEAU * height.throughput]
    return _by_server(_flat(points), full, waiting)


def _by_server(evidence: str, full: Sequence[Trial], waiting: AtPooler | None = None) -> Verdict:
    """Bound by the server, and by what in it where the trials at its limit showed that."""
    if waiting is not None:
        evidence += f"; {waiting.words}"
    if (found := bound_by(full) or at_gauge(full)) is None:
        return Verdict(name="server_bound", evidence=evidence)
    by, seen = found
    return Verdict(name="server_bound", evidence=f"{evidence}; {seen}", by=by)


def _in_service(sweep: Sweep, trials: Sequence[Trial]) -> Verdict:
    """The verdict where the target rate was approached and nothing was sent beyond."""
    if (strain := strained(sweep.trials)) is not None:
        rate = units.rate(strain.arrival_rate or 0.0)
        evidence = f"at {rate} {strain.cut_short}: the server is at its limit there, or near it"
        strains = [trial for trial in sweep.trials if trial.cut_short]
        known = {
            n: releases / seconds
            for n, (seconds, releases, _) in together(trials).items()
            if releases >= FEWEST_RELEASES
        }
        waiting = at_pooler(sweep.trials, known)
        if waiting is not None and waiting.has_room:
            return Verdict(
                name="pooler_bound", evidence=f"{waiting.words}; at {rate} {strain.cut_short}"
            )
        return _by_server(evidence, strains, waiting)
    fastest = max(trials, key=lambda trial: trial.arrival_rate or 0.0)
    most = units.plural(max(together(trials)), "connection")
    rate = units.rate(fastest.arrival_rate or 0.0)
    return Verdict(
        name="not_pushed",
        evidence=f"{rate} had {most} in use at once at most; nothing beyond was sent, so what "
        "bounds the server was not seen",
    )


def _limited(trials: Sequence[Trial], away: Sequence[Trial]) -> Verdict:
    """The limit with its number, where it is known, and what was seen of it."""
    kind = limit_kind(trials)
    curve = [trial for trial in trials if trial.is_of_curve]
    rejecting = shed(away)
    seen = _shedding(rejecting) if rejecting else _quota(over_quota(curve))
    if kind == "rate":
        # A server that refuses connections leaves the others as fast too.
        of_curve = [trial for trial in away if trial.is_of_curve]
        seen += short_hold(curve, of_curve) if of_curve else ""
    number = "; ".join(in_words(limit) for limit in limits(trials))
    return Verdict(
        name="rate_limited" if kind == "rate" else "refused",
        evidence=f"{number}: {seen}" if number else seen,
    )


def _shedding(rejecting: Sequence[Trial]) -> str:
    closed = [trial for trial in rejecting if trial.is_of_curve]
    found = closed or [t for t in rejecting if t.purpose != "limit"] or list(rejecting)
    rejected = sum(trial.outcomes.get("rejected", 0) for trial in found)
    share = units.share(rejected / sum(map(answered, found)), 1)
    most = max(trial.throughput for trial in found)
    named = next((kind for kind, _ in refusals(found).most_common(1)), "rejected")
    where = f"from {_first(closed)} on" if closed else f"at {units.rate(found[-1].arrival_rate)}"
    return (
        f"{where} the server shed {share} of the calls ({named}); "
        f"at most {units.rate(most)} got through there"
    )


def _quota(wrong: Sequence[Trial]) -> str:
    errors = sum(trial.outcomes.get("error", 0) for trial in wrong)
    share = units.share(errors / sum(map(answered, wrong)), 1)
    kind = next(kind for kind, _ in refusals(wrong).most_common() if kind.startswith("http_4"))
    return (
        f"from {_first(wrong)} on {share} of the calls end with {kind}, below it none; the others "
        "got through"
    )


def _first(trials: Sequence[Trial]) -> str:
    return units.plural(min(trial.connections for trial in trials), "connection")


def _busy_client(trials: Sequence[Trial]) -> str:
    """The evidence where most trials near the highest throughput failed that check; else empty."""
    live = [trial for trial in trials if trial.throughput > 0]
    top = max((trial.throughput for trial in live), default=0.0)
    near = [trial for trial in live if trial.throughput >= NEAR_TOP * top]
    failed = [t for t in near if any(check.name == "client_bound" for check in t.failed_checks)]
    if 2 * len(failed) <= len(near):
        return ""
    worst = max(trial.cpu_share for trial in failed)
    if worst <= BUSY_CORE:
        late = units.milliseconds(max(trial.loop_lag_p99 or 0.0 for trial in failed))
        return (
            f"near its highest throughput ({units.rate(top)}) this process's event loop was up to "
            f"{late} late (p99), though it used no more than {units.share(worst)} of a core: "
            "something in the client blocks it, and the curve there is the client's own"
        )
    return (
        f"near its highest throughput ({units.rate(top)}) this process used {units.share(worst)} "
        "of a core: the curve there is the client's own"
    )


def _crowded_machine(trials: Sequence[Trial], points: Sequence[CurvePoint]) -> str:
    """The evidence where beyond the points every trial failed `machine_quiet`; else empty."""
    last = max((point.pool_size for point in points), default=0)
    beyond = [trial for trial in trials if trial.connections > last]
    if not beyond or any(map(is_quiet, beyond)):
        return ""
    worst = max(beyond, key=lambda trial: trial.others_cpu or 0.0)
    seen = next(check.seen for check in worst.failed_checks if check.name == QUIET)
    return (
        f"from {_first(beyond)} on this machine was not quiet, so nothing is known there ({seen}, "
        f"at {worst.connections})"
    )


def _stopped(sweep: Sweep, points: Sequence[CurvePoint]) -> str:
    kept = f"{units.plural(sum(map(is_clean, sweep.trials)), 'usable trial')} kept"
    if points:
        kept += f", up to {units.plural(points[-1].pool_size, 'connection')}"
    return f"{sweep.stopped}; {kept}"


def _rising(points: Sequence[CurvePoint]) -> str:
    last = points[-1]
    size = units.plural(last.pool_size, "connection")
    slope = end_slope(points)
    if slope is None:
        return f"only {size} measured, so no plateau was seen"
    return (
        f"throughput still rises at {size}, the largest size measured "
        f"({units.rate(last.throughput)}; 1 % more connections bring "
        f"{units.number(slope[0], 2)} % more)"
    )


def _flat(points: Sequence[CurvePoint]) -> str:
    height = plateau(points)
    assert height is not None, "only asked where a plateau was seen"
    last = points[-1]
    if is_falling(points):
        top = max(points, key=lambda point: point.throughput)
        return (
            f"throughput is highest at {units.plural(top.pool_size, 'connection')} "
            f"({units.rate(top.throughput)}) and falls to {units.rate(last.throughput)} at "
            f"{last.pool_size}: more connections bring less"
        )
    reached = next(
        point for point in points if point.throughput >= NEAR_PLATEAU * height.throughput
    )
    if reached.pool_size == last.pool_size:
        # One point cannot be seen to stay: only how little was gained on the way to it.
        before = points[-2]
        return (
            f"from {before.pool_size} to {units.plural(last.pool_size, 'connection')}, the largest "
            f"size measured, throughput rises from {units.rate(before.throughput)} to no more than "
            f"{units.rate(last.throughput)}: little is left to gain beyond"
        )
    return (
        f"throughput stays at {units.rate(height.throughput)} from "
        f"{units.plural(reached.pool_size, 'connection')} to {last.pool_size}: more connections "
        "bring no more"
    )


def cannot_say(reason: str, verdict: Verdict) -> str:
    """The sentence in place of a number, with the evidence where the server turned calls away."""
    text = f"cannot say, because {reason}"
    if verdict.name in ("rate_limited", "refused"):
        text += f"; {verdict.evidence}: a larger pool cannot change that"
    return text


def why_not(sweep: Sweep, points: Sequence[CurvePoint]) -> str | None:
    """The reason why no size can be read off a sweep, in the reader's words; None: none.

    `points` are those of its usable trials.
    """
    closed = [trial for trial in sweep.trials if trial.is_of_curve]
    if len(points) < 2 and (in_service := open_loops(sweep.trials)):
        return _too_few_calls(in_service, [t for t in sweep.trials if t.arrival_rate is not None])
    if not closed:
        return "no pool size was measured"
    if not points:
        return _nothing_usable(closed)
    refused = first_refused(closed)
    if refused is not None and sum(point.pool_size < refused for point in points) < 2:
        return (
            f"the server turns calls away at {units.plural(refused, 'connection')} already, and "
            "below that no two sizes passed their checks"
        )
    if len(points) == 1:
        size = units.plural(points[0].pool_size, "connection")
        if all(trial.connections == points[0].pool_size for trial in closed):
            return f"only one size was measured ({size}): one size is not a curve"
        return f"only one size passed its checks ({size}; {_failed(closed)})"
    return _dip(points) or _leap(points)


def _too_few_calls(trials: Sequence[Trial], paced: Sequence[Trial]) -> str | None:
    """Fewer calls than states can be told from, in those paced trials that passed their checks."""
    calls = sum(trial.outcomes.get("ok", 0) for trial in trials)
    if calls >= FEWEST_CALLS:
        return None
    wrong = [trial for trial in paced if trial not in trials and trial.failed_checks]
    if wrong:
        of_trials = units.plural(len(paced), "trial")
        return (
            f"{units.plural(calls, 'call')} are too few and {FEWEST_CALLS} are needed, because "
            f"{len(wrong)} of {of_trials} at a set rate did not pass ({_failed(wrong)})"
        )
    rate = max(trial.arrival_rate or 0.0 for trial in trials)
    seconds = math.ceil(FEWEST_CALLS / rate) if rate else 0
    return (
        f"{units.plural(calls, 'call')} are too few and {FEWEST_CALLS} are needed, which "
        f"{units.rate(rate)} take {seconds} s for: give it --budget {2 * seconds}"
    )


def _nothing_usable(trials: Sequence[Trial]) -> str:
    if not any(trial.outcomes.get("ok", 0) for trial in trials):
        return f"none of {sum(sum(trial.outcomes.values()) for trial in trials)} calls succeeded"
    of_trials = units.plural(len(trials), "trial")
    wrong = sum(not has_numbers(trial) for trial in trials)
    if wrong:
        return (
            f"{wrong} of {of_trials} hold throughputs or hold times that are no numbers: the file "
            "was not written by a measurement"
        )
    if all(trial.mean_hold <= 0 for trial in trials):
        return "every hold time is zero: calls that hold no connection tell nothing of a pool"
    if any(trial.failed_checks for trial in trials):
        return f"none of {of_trials} passed its checks ({_failed(trials)})"
    return "too many calls failed in every trial"


def _failed(trials: Sequence[Trial]) -> str:
    """The names of the checks that failed, and what to do about a machine that was not quiet."""
    failed = {check.name: check.next for trial in trials for check in trial.failed_checks}
    names = [name.replace("_", " ") for name in sorted(failed)]
    text = f"{units.listed(names) or 'too many calls'} failed"
    return f"{text}: {failed[QUIET]}" if QUIET in failed else text


def _leap(points: Sequence[CurvePoint]) -> str | None:
    """Throughput that grows far more than the connections do shows another upstream, not a pool."""
    for index, more in enumerate(points[1:], 1):
        best = max(points[:index], key=lambda point: point.throughput / point.pool_size)
        if more.throughput / more.pool_size > LEAP * best.throughput / best.pool_size:
            return (
                f"throughput rises from {units.rate(best.throughput)} at {best.pool_size} to "
                f"{units.rate(more.throughput)} at {more.pool_size} connections, more than the "
                "connections do: the endpoint became faster meanwhile (a cache that filled, a "
                "sleeping machine); measure again now that it is warm"
            )
    return None


def _dip(points: Sequence[CurvePoint]) -> str | None:
    """Throughput that falls and rises again with more connections is no one upstream's."""
    for low, bottom in enumerate(points[1:-1], 1):
        before = max(points[:low], key=lambda point: point.throughput)
        after = max(points[low + 1 :], key=lambda point: point.throughput)
        around = max(relative_error(before), relative_error(after))
        noise = DIP_ERRORS * (relative_error(bottom) ** 2 + around**2) ** 0.5
        height = min(before.throughput, after.throughput)
        if bottom.throughput < (1.0 - max(DIP, noise)) * height:
            because = (
                "the endpoint was not the same all the time; measure again when it is quiet"
                if bottom.repeats == 1
                else f"{bottom.repeats} trials there say so, and no size can be read off such a "
                "curve; see how the endpoint shares its connections out"
            )
            return (
                f"throughput falls from {units.rate(before.throughput)} at {before.pool_size} "
                f"connections to {units.rate(bottom.throughput)} at {bottom.pool_size} and rises "
                f"again to {units.rate(after.throughput)} at {after.pool_size}: {because}"
            )
    return None
