"""One target's section of the report as HTML: claim, chart, parameters and evidence."""

from __future__ import annotations

from html import escape

from poolkit.report import pictures
from poolkit.report.folder import TargetReview
from poolkit.report.idle import idle_html
from poolkit.review.compare import Comparison
from poolkit.show import tables
from poolkit.show.tables import Table
from poolkit.units import rate


def section_html(
    target: TargetReview,
    anchor: str,
    title: str,
    versions: str,
    comparison: Comparison | None = None,
) -> str:
    """The section; a target without a result gets one that says why."""
    parts = [f'<section class="pk-target" id="{escape(anchor)}">']
    parts.append(f'<h3 id="{escape(anchor)}-title">{escape(target.name)}: {escape(title)}</h3>')
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _reasons(target)]
    failed = [check for check in target.recommendation.checks if not check.passed]
    if target.recommendation.status != "done" or target.recommendation.recommended_size is None:
        parts.append(tables.checks(target.recommendation).html())
    if target.trials:
        parts.append(pictures.curve(target, anchor, versions))
    if target.recommendation.parameters:
        parts.append(tables.parameters(target.recommendation).html())
    if target.recommendation.verification is not None:
        parts.append(tables.signals(target.recommendation).html())
    if failed and target.recommendation.recommended_size is not None:
        parts.append(_doubts(target))
    parts += pictures.more(target, anchor)
    if target.probe is not None:
        parts += idle_html(target.probe, anchor, target.recommendation.parameters)
    if comparison is not None:
        parts.append(tables.changes(comparison, target.name).html())
    parts += [_folded(table) for table in _evidence(target)]
    parts.append("</section>")
    return "\n".join(parts)


def _reasons(target: TargetReview) -> list[str]:
    """Why this size and no other, in sentences."""
    sizing = target.sizing
    if sizing is None:
        return []
    bound = tables.bound_by(sizing.verdict.name)
    said = [_sentence(f"Bound by {bound}: {sizing.verdict.evidence}")]
    if sizing.because:
        said.append(_sentence(sizing.because))
    if sizing.out_of_reach and sizing.reachable_rate is not None:
        said.append(f"Within reach: {rate(sizing.reachable_rate)} still meets what is asked.")
    if sizing.raised_by:
        said.append(_sentence(f"What would raise that rate: {sizing.raised_by}"))
    if sizing.only_moves_queue:
        said.append(_sentence(sizing.only_moves_queue))
    return said


def _sentence(words: str) -> str:
    words = words.strip()
    ended = words if words.endswith((".", "!", "?")) else f"{words}."
    return ended[:1].upper() + ended[1:]


def _doubts(target: TargetReview) -> str:
    items = "".join(
        f"<li><strong>{escape(check.name.replace('_', ' '))}</strong>: {escape(check.seen)}. "
        f"{escape(_sentence(check.why))} What to do: {escape(_sentence(check.next))}</li>"
        for check in target.recommendation.checks
        if not check.passed
    )
    return f'<div class="pk-doubts"><p><strong>To be doubted</strong></p><ul>{items}</ul></div>'


def _evidence(target: TargetReview) -> list[Table]:
    r, sizing = target.recommendation, target.sizing
    found = []
    if sizing is not None and sizing.predictions:
        found.append(tables.predictions(sizing, r.recommended_size))
    if r.knees:
        found.append(tables.knees(r, sizing))
    if r.rules_of_thumb:
        found.append(tables.rules_of_thumb(r))
    if r.recommended_size is not None:
        found.append(tables.checks(r))
    if target.trials:
        found += [
            tables.time_budget(target.trials),
            tables.trial_checks(target.trials),
            tables.cut_and_dials(target.trials),
            tables.trials(target.trials),
        ]
    return [table for table in found if table.rows]


def _folded(table: Table) -> str:
    return f"<details><summary>{escape(table.caption)}</summary>\n{table.html()}</details>"
