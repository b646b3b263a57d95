"""What the sweep panel shows of a story, as HTML that needs neither widgets nor script."""

from __future__ import annotations

from html import escape

from poolkit.analysis.state_curve import open_loops
from poolkit.analysis.states import state_points
from poolkit.measure.store import now
from poolkit.panels.panel import alert, download, moving, still
from poolkit.panels.story import Story
from poolkit.review import codegen, export
from poolkit.review.provenance import left_out
from poolkit.show import charts, cold, tables
from poolkit.targets import Target


def line(story: Story, below: str = "") -> str:
    """What happens, to be read out whenever it changes, and where figures come from.

    Args:
        below: what is to be known of the cells below, if anything.
    """
    notes = "".join(f'<p class="pk-small">{escape(s)}</p>' for s in (story.sources, below) if s)
    return f'<p role="status">{escape(story.headline)}</p>{notes}'


def bar(story: Story) -> str:
    """What changes all the while, and so must not be read out: how far, how fast."""
    if story.phase == "idle":
        return ""
    left = f'<p class="pk-small">{escape(story.time_left)}</p>'
    if story.is_over:
        return left
    value = "" if story.budget is None else f' value="{story.progress:.3f}"'
    share = f"{story.progress:.0%}"
    return f'<progress max="1"{value} aria-label="load sent">{share}</progress>{left}'


def trouble(story: Story) -> str:
    """Cause and remedy where it failed; nothing where it did not, or was cancelled by wish."""
    return alert(story.cause, story.remedy) if story.phase == "failed" else ""


def chart(story: Story) -> str:
    """The throughput curve of the trials so far; a light picture while load runs.

    While load runs it has the target from the start, and what users' load has shown by now; then
    the curve by size, or that by connections in use.
    """
    sizing, trials = story.sizing, story.evidence
    if not story.is_over:
        if story.objective is None and not trials:
            return ""  # not even the target is read yet
        seen = () if sizing is not None else state_points(open_loops(trials))
        asked = story.objective
        return moving(
            charts.Scene(
                sizing, trials, story.recommendation, asked=asked, seen=seen, now=story.size
            )
        )
    has_states = sizing is not None and bool(sizing.states)
    if not has_states and not any(trial.is_of_curve for trial in trials):
        return ""
    scene = charts.Scene(sizing, trials, story.recommendation)
    return still(scene, f"sweep-{story.target}")


def results(story: Story) -> str:
    """The tables: what to set, then what it rests on, folded."""
    found, sizing = story.recommendation, story.sizing
    shown = tables.parameters(found).html() if found is not None and found.parameters else ""
    if story.findings is not None:
        shown = f'<p class="pk-small">What was found: {escape(story.findings.about)}.</p>{shown}'
    if found is not None and (said := left_out(found)):
        shown = f"<p>{escape(said)}</p>{shown}"
    folded = []
    if found is not None and found.cold is not None:
        said = f"{cold.finding(found.cold)}. {cold.logins(found.cold)}"
        shown = f"{shown}<p>{escape(said)}</p>"
        folded.append(tables.cold_starts(found.cold))
    if sizing is not None and sizing.predictions:
        size = None if found is None else found.recommended_size
        folded.append(tables.predictions(sizing, size))
    if found is not None and found.limits:
        folded.append(tables.limits(found))
    if found is not None and found.knees:
        folded.append(tables.knees(found, sizing))
    if sizing is not None and sizing.states:
        folded.append(tables.states(sizing))
    if found is not None and found.checks:
        folded.append(tables.checks(found))
    if story.trials and story.is_over:
        folded += [tables.cut_and_dials(story.evidence), tables.trials(story.evidence)]
    return shown + "".join(
        f"<details><summary>{escape(table.caption)}</summary>{table.html()}</details>"
        for table in folded
    )


def exports(story: Story) -> str:
    """Links that save the result as CSV, JSON, Markdown and pools.py; empty without a result."""
    if story.recommendation is None:
        return ""
    created, found = now(), (story.recommendation,)
    targets = (story.objective,) if isinstance(story.objective, Target) else ()
    code = codegen.render(found, targets, created)
    files = (
        ("recommended.csv", "CSV", export.to_csv(found), "text/csv"),
        ("recommended.json", "JSON", export.to_json(found, created), "application/json"),
        ("recommended.md", "Markdown", export.to_markdown(found, created), "text/markdown"),
        ("pools.py", "pools.py", code, "text/x-python"),
    )
    links = "".join(download(*file) for file in files)
    return f'<nav aria-label="Save the result">Save as {links}</nav>'
