"""Tables of what poolkit says of a target: the decision, its reasons and its doubts."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import Check, Parameter, Recommendation, Sizing, VerdictName
from poolkit.review.compare import Comparison
from poolkit.show.tables.of_comparison import changed_since
from poolkit.show.tables.table import Table, passed
from poolkit.units import NONE, interval, milliseconds, number, plural, rate

RULES = {
    "littles_law": "Little's Law: plateau × hold time at one connection",
    "plateau95": "smallest size within 5 % of the plateau",
    "usl_peak": "peak of the Universal Scalability Law",
}
THUMB = {
    "littles_law_x1.3": "p50 at one connection × rate × 1.3",
    "concurrent_x1.5": "requests in flight ÷ queries each × 1.5",
    "cores*2+spindles": "cores × 2 + spindles",
    "small/medium/high table": "table of small, medium, high traffic",
}
BOUND_BY: dict[VerdictName, str] = {
    "server_bound": "the server",
    "client_bound": "the client",
    "pool_bound": "the pool",
    "rate_limited": "a rate limit",
    "refused": "refused calls",
    "stopped": "a brake",
}
SOURCES = {"measured": "measured here", "library": "library default", "rule": "rule"}


def decision(
    recommendations: Sequence[Recommendation], comparison: Comparison | None = None
) -> Table:
    """One row a target: what to set, what it was seen to do, what bounds it, how sure, what is new.

    The last only with a `comparison` with an earlier review.
    """
    rows: list[tuple[str, ...]] = []
    for r in recommendations:
        seen = r.verification
        rows.append(
            (
                r.target,
                NONE if r.recommended_size is None else str(r.recommended_size),
                _settings(r),
                rate(r.target_rate),
                rate(seen.achieved_rate) if seen else NONE,
                milliseconds(seen.wait_p99) if seen else NONE,
                bound_by(r.verdict) if r.status == "done" else r.status,
                how_sure(r),
            )
        )
    columns = [
        "target",
        "size",
        "set",
        "rate asked",
        "rate carried",
        "p99 wait seen",
        "bound by",
        "how sure",
    ]
    if comparison is not None:
        columns.append(f"changed since {comparison.before[:10]}")
        rows = [(*row, changed_since(comparison, row[0])) for row in rows]
    caption = "Connections that each pool should hold"
    return Table(caption, tuple(columns), tuple(rows), frozenset({1, 3, 4, 5}))


def _settings(recommendation: Recommendation) -> str:
    """The parameters that carry the size, as the client library names them."""
    carried = [
        f"{p.name}={_value(p)}"
        for p in recommendation.parameters
        if p.unit == "connections" and p.source == "measured"
    ]
    return ", ".join(carried) or NONE


def how_sure(recommendation: Recommendation) -> str:
    """Verified or not, and how many of the checks passed, in a few words that begin with a mark."""
    r = recommendation
    failed = [check for check in r.checks if not check.passed]
    doubts = plural(len(failed), "doubt") if failed else "no doubts"
    if r.status != "done":
        return f"✗ no result: {r.status}"
    if r.recommended_size is None:
        return f"✗ no size recommended, {doubts}"
    if r.verification is None:
        return f"✗ predicted, not verified, {doubts}"
    signals = r.verification.signals
    good = sum(signal.passed for signal in signals)
    if good < len(signals):
        return f"✗ {good} of {plural(len(signals), 'sign')} seen under load, {doubts}"
    return f"✓ verified: {good} of {plural(len(signals), 'sign')} seen, {doubts}"


def bound_by(verdict: VerdictName | None) -> str:
    """What bounds the throughput, in the reader's words."""
    return NONE if verdict is None else BOUND_BY[verdict]


def parameters(recommendation: Recommendation) -> Table:
    """The parameters to set, each with its unit, its reason and where it comes from."""
    rows = tuple(
        (p.name, _value(p), p.unit, p.because, SOURCES[p.source]) for p in recommendation.parameters
    )
    caption = f"Parameters for {recommendation.driver}, each pool"
    columns = ("parameter", "value", "unit", "because", "source")
    size = recommendation.recommended_size
    sized = frozenset(
        i
        for i, p in enumerate(recommendation.parameters)
        if p.source == "measured" and p.unit == "connections" and p.value == size
    )
    return Table(caption, columns, rows, frozenset({1}), sized)


def checks(recommendation: Recommendation) -> Table:
    """Every doubt that was put to the test: what was seen, why it matters, what to do."""
    return _checks(f"Checks on {recommendation.target}", recommendation.checks)


def _checks(caption: str, found: Sequence[Check]) -> Table:
    ordered = sorted(found, key=lambda check: check.passed)  # failed ones first
    rows = tuple(
        (_words(c.name), passed(c.passed), c.seen, c.why, NONE if c.passed else c.next)
        for c in ordered
    )
    return Table(caption, ("check", "outcome", "seen", "why it matters", "what to do"), rows)


def knees(recommendation: Recommendation, sizing: Sizing | None = None) -> Table:
    """Where the curve bends, by each named rule, with 95 % intervals."""
    found = sizing.knees if sizing is not None else recommendation.knees
    rows = tuple(
        (
            RULES.get(k.rule, k.rule),
            "none seen" if k.size is None else number(k.size),
            interval(k.interval95),
            k.note or NONE,
        )
        for k in found
    )
    columns = ("rule", "connections", "95 % interval", "note")
    return Table("Knees of the throughput curve", columns, rows, frozenset({1, 2}))


def rules_of_thumb(recommendation: Recommendation) -> Table:
    """What sizing rules without a measurement would have said, and where they fail here."""
    size = recommendation.recommended_size
    rows = tuple(
        (
            rule_name(r.name),
            str(r.size),
            NONE if size is None else f"{r.size - size:+d}".replace("+0", "0").replace("-", "−"),
            r.fails or NONE,
        )
        for r in recommendation.rules_of_thumb
    )
    columns = ("rule of thumb", "connections", "against the measured size", "where it fails here")
    return Table("Rules of thumb, for reference", columns, rows, frozenset({1, 2}))


def rule_name(name: str) -> str:
    """A rule of thumb as a formula that people know."""
    return THUMB.get(name, _words(name))


def signals(recommendation: Recommendation) -> Table:
    """The signs of a right size, looked for under open-loop load."""
    seen = recommendation.verification
    rows = (
        ()
        if seen is None
        else tuple((_words(s.name), passed(s.passed), s.seen) for s in seen.signals)
    )
    return Table("Verification under load", ("sign", "outcome", "seen"), rows)


def _value(parameter: Parameter) -> str:
    value = parameter.value
    if value is None:
        return "None"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:g}"


def _words(name: str | None) -> str:
    return NONE if name is None else name.replace("littles_law", "Little's Law").replace("_", " ")
