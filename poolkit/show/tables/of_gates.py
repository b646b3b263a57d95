"""What gates say, and what became of waivers, as tables."""

from __future__ import annotations

from poolkit import units
from poolkit.review.gates import RULES, Judgement
from poolkit.review.waivers import State, Verdict, Waiver
from poolkit.show.over_time import figure
from poolkit.show.tables.table import Column, Table, passed
from poolkit.units import NONE

_STATES: dict[State, str] = {
    "waives": "✓ waives",
    "expired": "✗ expired: waives nothing",
    "not needed": "⚠ not needed: the gate passed",
    "does not apply": "⚠ waives nothing: a waiver is for a failure",
    "matches nothing": "⚠ matches no gate and target here",
}


def gates(verdict: Verdict) -> Table:
    """One row a target and gate; first those that neither passed nor are waived."""
    columns = (
        Column[Judgement]("target", lambda one: one.target),
        Column[Judgement]("gate", lambda one: str(one.gate)),
        Column[Judgement]("outcome", lambda one: outcome(verdict, one)),
        Column[Judgement]("seen", seen),
    )
    bad = verdict.not_passed
    rows = [*bad, *(one for one in verdict.judgements if one not in bad)]
    passing = len(rows) - len(bad)
    caption = f"Gates: {passing} of {len(rows)} passed or waived"
    return Table.of(caption, columns, rows, lambda one: one in bad)


def waivers(verdict: Verdict) -> Table:
    """One row a waiver; without rows where there are none."""
    columns = (
        Column[tuple[Waiver, State]]("target", lambda one: one[0].target),
        Column[tuple[Waiver, State]]("gate", lambda one: one[0].gate),
        Column[tuple[Waiver, State]]("state", lambda one: _STATES[one[1]]),
        Column[tuple[Waiver, State]]("owner", lambda one: one[0].owner),
        Column[tuple[Waiver, State]]("until", lambda one: one[0].expires.isoformat()),
        Column[tuple[Waiver, State]]("reason", lambda one: one[0].reason),
    )
    return Table.of("Waivers", columns, verdict.waivers, lambda one: one[1] != "waives")


def outcome(verdict: Verdict, judgement: Judgement) -> str:
    """Passed, waived, failed or not judged, with its mark."""
    if judgement.outcome == "passed":
        return passed(True)
    if verdict.waiver_of(judgement) is not None:
        return "⚠ failed, waived"
    return passed(False) if judgement.outcome == "failed" else f"✗ {judgement.outcome}"


def seen(judgement: Judgement) -> str:
    """The figure with its interval, and before it that of the baseline."""
    quantity = RULES[judgement.gate.name].quantity
    sides = [figure(quantity, one) for one in (judgement.was, judgement.now) if one is not None]
    return " → ".join(sides) or NONE


def notes(verdict: Verdict) -> list[str]:
    """Why those that did not pass did not, and what to do or who answers for it; alike together.

    Also what is to be known of one that passed though its latest figure is worse.
    """
    told: dict[str, dict[str, list[str]]] = {}
    for one in verdict.judgements:
        if one.outcome != "passed" or (one.why and one.was is not None):
            text = "; ".join(filter(None, (one.why, to_do(verdict, one))))
            told.setdefault(text, {}).setdefault(one.target, []).append(one.gate.name)
    lines = []
    for text, targets in told.items():
        for names in dict.fromkeys(map(tuple, targets.values())):
            of = [target for target, gates in targets.items() if tuple(gates) == names]
            lines.append(f"{units.listed(list(names))} of {units.listed(of)}: {text}")
    return lines


def to_do(verdict: Verdict, judgement: Judgement) -> str:
    """What is next, or who answers for it until when."""
    waiver = verdict.waiver_of(judgement)
    if waiver is None:
        return judgement.next
    return f"{waiver.owner} answers for it until {waiver.expires}: {waiver.reason}"
