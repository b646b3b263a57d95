"""Tables of what poolkit says of a target: the decision, its reasons, doubts and changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from poolkit.analysis.replicas import holds
from poolkit.records import (
    Check,
    ColdAdvice,
    ColdStart,
    CurvePoint,
    Knee,
    Limit,
    Parameter,
    Recommendation,
    ReplicaChange,
    RuleOfThumb,
    Signal,
    Sizing,
)
from poolkit.review.compare import Comparison, Difference
from poolkit.show import cold, trust, words
from poolkit.show.tables.of_production import are_observed, busiest, observed, size_now
from poolkit.show.tables.table import Column, Columns, Number, Table, passed
from poolkit.units import NONE, interval, milliseconds, number, rate, short_rate


def decision(
    recommendations: Sequence[Recommendation], comparison: Comparison | None = None
) -> Table:
    """One row a target: the size, how sure it is, what to set, what it was seen to do, what is new.

    The last only with a `comparison` with an earlier review; a smaller size that gives the same
    response time has a column of its own, where there is one.
    """
    columns: list[Column[Recommendation]] = [
        Column("target", lambda r: r.target),
        Number("size", words.size),
        Column("how sure", trust.how_sure),
        Column("set", _settings),
        Number("rate asked", lambda r: rate(r.target_rate)),
        Number("rate carried", lambda r: rate(_seen(r)[0])),
        Number("p99 wait seen", lambda r: milliseconds(_seen(r)[1])),
        Column("bound by", words.bound_by),
    ]
    if are_observed(recommendations):
        columns[-3:] = [Number("size now", size_now), Number("busiest window", busiest)]
    if any(r.smallest_as_fast is not None for r in recommendations):
        columns.append(Column("a smaller size", lambda r: words.as_fast(r) or NONE))
    if comparison is not None:
        changed = f"changed since {comparison.before[:10]}"
        columns.append(Column(changed, lambda r: words.changed_since(comparison, r.target)))
    return Table.of("Connections that each pool should hold", columns, recommendations)


def decision_in_short(recommendations: Sequence[Recommendation]) -> Table:
    """The decision in 80 columns: size, verdict, plateau, what was carried, wait and knee."""
    if are_observed(recommendations):
        return observed(recommendations)
    columns: Columns[Recommendation] = (
        Column("target", lambda r: r.target),
        Number("size", words.size_in_short),
        Column("verdict", words.verdict),
        Number("plateau", lambda r: short_rate(r.plateau.throughput if r.plateau else None)),
        Number("carried", _carried),
        Number("p99 wait", lambda r: milliseconds(_seen(r)[1])),
        Number("knee (95 %)", lambda r: words.knee_in_short(r.knees)),
    )
    caption = "Recommended connections in each pool"
    if any(r.smallest_as_fast is not None for r in recommendations):
        caption += "; the smaller of two gives the same response time"
    table = Table.of(caption, columns, recommendations)
    return replace(table, whole=frozenset({1}))


def _seen(recommendation: Recommendation) -> tuple[float | None, float | None]:
    """The rate that was carried and the p99 wait (s), as far as they were verified."""
    seen = recommendation.verification
    return (None, None) if seen is None else (seen.achieved_rate, seen.wait_p99)


def _carried(recommendation: Recommendation) -> str:
    achieved, _ = _seen(recommendation)
    doubt = "" if achieved is None or recommendation.is_verified else ", in doubt"
    return f"{short_rate(achieved)}{doubt}"


def _settings(recommendation: Recommendation) -> str:
    """The parameters that carry the size, as the client library names them."""
    carried = [
        f"{p.name}={words.value(p)}"
        for p in recommendation.parameters
        if p.unit == "connections" and p.source == "measured"
    ]
    return ", ".join(carried) or NONE


def parameters(recommendation: Recommendation) -> Table:
    """The parameters to set, each with its unit, its reason and where it comes from."""
    columns: Columns[Parameter] = (
        Column("parameter", lambda p: p.name),
        Number("value", words.value),
        Column("unit", lambda p: p.unit),
        Column("because", lambda p: p.because),
        Column("source", lambda p: words.where_from(p, recommendation)),
    )
    size = recommendation.recommended_size
    return Table.of(
        f"Parameters for {recommendation.driver}, each pool",
        columns,
        recommendation.parameters,
        lambda p: p.source == "measured" and p.unit == "connections" and p.value == size,
    )


def parameters_in_short(recommendation: Recommendation) -> Table:
    """The same in 80 columns: names and values whole, the source in the reason."""
    columns: Columns[Parameter] = (
        Column("parameter", lambda p: p.name),
        Number("value", lambda p: f"{words.value(p)} {p.unit if p.unit == 's' else ''}".strip()),
        Column("because", lambda p: f"{p.because} ({p.source})"),
    )
    caption = f"{recommendation.target}: parameters for {recommendation.driver}, each pool"
    table = Table.of(caption, columns, recommendation.parameters)
    return replace(table, whole=frozenset({0, 1}))


def checks(recommendation: Recommendation) -> Table:
    """Every doubt that was put to the test: what was seen, why it matters, what to do."""
    columns: Columns[Check] = (
        Column("check", lambda c: words.check(c.name)),
        Column("outcome", lambda c: passed(c.passed)),
        Column("seen", lambda c: c.seen),
        Column("why it matters", lambda c: c.why),
        Column("what to do", lambda c: NONE if c.passed else c.next),
    )
    failed_first = sorted(recommendation.checks, key=lambda check: check.passed)
    return Table.of(f"Checks on {recommendation.target}", columns, failed_first)


def checks_in_short(found: Sequence[Check]) -> Table:
    """What was looked at, and below it what to do where it is not well."""
    columns: Columns[Check] = (
        Column("", lambda c: "ok" if c.passed else "no"),
        Column("check", lambda c: c.name),
        Column("seen", lambda c: c.seen if c.passed else f"{c.seen}\n{c.why}\nnext: {c.next}"),
    )
    return replace(Table.of("", columns, found), whole=frozenset({0, 1}))


def curve(sizing: Sizing) -> Table:
    """What a sweep saw at each pool size."""
    columns: Columns[CurvePoint] = (
        Number("connections", lambda p: str(p.pool_size)),
        Number("calls/s", lambda p: number(p.throughput)),
        Number("95 % interval", lambda p: interval(p.interval95)),
        Number("mean hold", lambda p: milliseconds(p.hold_time)),
        Number("repeats", lambda p: str(p.repeats)),
    )
    return Table.of(f"{sizing.target}: throughput over pool size", columns, sizing.points)


def knees(recommendation: Recommendation, sizing: Sizing | None = None) -> Table:
    """Where the curve bends, by each named rule, with 95 % intervals."""
    columns: Columns[Knee] = (
        Column("rule", lambda k: words.KNEE_RULES.get(k.rule, k.rule)),
        Number("connections", lambda k: "none seen" if k.size is None else number(k.size)),
        Number("95 % interval", lambda k: interval(k.interval95)),
        Column("note", lambda k: k.note or NONE),
    )
    found = sizing.knees if sizing is not None else recommendation.knees
    return Table.of("Knees of the throughput curve", columns, found)


def limits(recommendation: Recommendation) -> Table:
    """At what the server turns calls away, all pools together."""
    columns: Columns[Limit] = (
        Column("the server limits", lambda found: words.LIMITS[found.kind]),
        Number("the most it takes", lambda found: number(found.value)),
        Number("95 % interval", lambda found: interval(found.interval95)),
        Column("seen", lambda found: found.seen),
    )
    return Table.of("Limits of the server", columns, recommendation.limits)


_DIALLED: Column[ColdStart] = Column("dialled first", cold.how)
_STEADY: Column[ColdStart] = Number("steady after", lambda s: milliseconds(s.steady))
_LOGINS: Column[ColdStart] = Number("logins/s", lambda s: number(s.dial_rate))


def cold_starts(advice: ColdAdvice) -> Table:
    """What each start with empty pools was like; that which is advised stands out."""
    columns: Columns[ColdStart] = (
        _DIALLED,
        Number("p99 wait, first second", lambda s: milliseconds(s.wait_p99)),
        _STEADY,
        Number("first reply after", lambda s: milliseconds(s.first_reply)),
        _LOGINS,
        Column("dials lost", lambda s: cold.lost(s) or "none"),
        Column("in time", lambda s: passed(s.holds)),
    )
    return _of_starts(advice, columns)


def cold_starts_in_short(advice: ColdAdvice) -> Table:
    """The same in 80 columns."""
    columns: Columns[ColdStart] = (
        _DIALLED,
        Number("p99 wait", lambda s: milliseconds(s.wait_p99)),
        _STEADY,
        _LOGINS,
        Column("in time", lambda s: "✓ yes" if s.holds else f"✗ {cold.lost(s) or 'no'}"),
    )
    return _of_starts(advice, columns)


def _of_starts(advice: ColdAdvice, columns: Columns[ColdStart]) -> Table:
    best = cold.advised(advice)
    each = "each pool" if advice.pools > 1 else "the pool"
    caption = f"Cold starts, by the connections that {each} dials first"
    return Table.of(caption, columns, advice.starts, lambda start: start is best)


def _settled(change: ReplicaChange) -> str:
    return "at once" if change.steady == 0 else milliseconds(change.steady)


def replica_changes(recommendation: Recommendation) -> Table:
    """What it did that replicas were lost, or added as by a deploy, under load."""
    columns: Columns[ReplicaChange] = (
        Column("what happened", lambda c: words.CHANGES[c.kind]),
        Column("pools", lambda c: f"{c.pools_before} → {c.pools_after}"),
        Number("p99 wait before", lambda c: milliseconds(c.wait_p99_before)),
        Number("since", lambda c: milliseconds(c.wait_p99_after)),
        Number("as asked again after", _settled),
        Number("dials", lambda c: str(c.dials)),
        Number("refused", lambda c: str(c.refused)),
        Number("calls lost", lambda c: str(c.lost)),
        Column("borne", lambda c: passed(holds(c))),
    )
    caption = "Replicas lost and added at the target rate"
    return Table.of(caption, columns, recommendation.replica_changes)


def rules_of_thumb(recommendation: Recommendation) -> Table:
    """What sizing rules without a measurement would have said, and where they fail here."""
    size = recommendation.recommended_size

    def against(rule: RuleOfThumb) -> str:
        if size is None:
            return NONE
        return f"{rule.size - size:+d}".replace("+0", "0").replace("-", "−")

    columns: Columns[RuleOfThumb] = (
        Column("rule of thumb", lambda r: words.rule_of_thumb(r.name)),
        Number("connections", lambda r: str(r.size)),
        Number("against the measured size", against),
        Column("where it fails here", lambda r: r.fails or NONE),
    )
    return Table.of("Rules of thumb, for reference", columns, recommendation.rules_of_thumb)


def signals(recommendation: Recommendation) -> Table:
    """The signs of a right size, looked for under open-loop load."""
    columns: Columns[Signal] = (
        Column("sign", lambda s: words.SIGNS[s.name]),
        Column("outcome", lambda s: passed(s.passed)),
        Column("seen", lambda s: s.seen),
    )
    seen = recommendation.verification
    return Table.of("Verification under load", columns, () if seen is None else seen.signals)


def changes(comparison: Comparison, target: str | None = None) -> Table:
    """Then and now, and whether the difference is larger than the noise of both.

    `target`: of this one alone, with the intervals; of all, each named, by default.
    """
    since = comparison.before[:10]
    quantity = Column("quantity", words.quantity)
    then, now = Number("then", words.then), Number("now", words.now)
    noise = Column("larger than the noise", words.is_larger_than_noise)
    if target is None:
        name = Column[Difference]("target", lambda d: d.target)
        caption = f"What changed since the review of {since}"
        columns: Columns[Difference] = (name, quantity, then, now, noise)
        return Table.of(caption, columns, comparison.differences, words.is_beyond_noise)
    intervals = (
        Number[Difference]("95 % interval", lambda d: words.interval_of(d, d.before_interval)),
        Number[Difference]("95 % interval", lambda d: words.interval_of(d, d.after_interval)),
    )
    of_target = [d for d in comparison.differences if d.target == target]
    columns = (quantity, then, intervals[0], now, intervals[1], noise)
    return Table.of(f"What changed since {since}", columns, of_target, words.is_beyond_noise)
