"""What the sweep panel shows of a story, as HTML that needs neither widgets nor script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from poolkit.measure.store import now
from poolkit.panels.look import alert, download, picture
from poolkit.panels.story import Story, headline, time_left
from poolkit.records import Recommendation
from poolkit.review import codegen, export
from poolkit.show import charts, tables
from poolkit.targets import Target

WIDTH, HEIGHT = 900, 560  # px of the chart while load runs


def status(story: Story) -> str:
    """Where it stands: a line, a bar while load runs, and the time left."""
    return line(story) + bar(story)


def line(story: Story) -> str:
    """What happens, to be read out whenever it changes, and where figures come from."""
    note = f'<p class="pk-small">{escape(story.note)}</p>' if story.note else ""
    return f'<p role="status">{escape(headline(story))}</p>{note}'


def bar(story: Story) -> str:
    """What changes all the while, and so must not be read out: how far, how fast."""
    if story.phase == "idle":
        return ""
    left = escape(time_left(story))
    if story.is_over:
        return f'<p class="pk-small">{left}</p>'
    value = "" if story.budget is None else f' value="{story.progress:.3f}"'
    return (
        f'<progress max="1"{value} aria-label="load sent">{story.progress:.0%}</progress>'
        f'<p class="pk-small">{left}</p>'
    )


def trouble(story: Story) -> str:
    """Cause and remedy where it failed; nothing where it did not, or was cancelled by wish."""
    return alert(story.cause, story.remedy) if story.phase == "failed" else ""


def chart(story: Story) -> str:
    """The throughput curve of the trials so far; a light picture while load runs."""
    if not any(trial.is_of_curve for trial in story.trials):
        return ""
    alt = charts.alt_text(story.sizing, story.trials, story.recommendation)
    if not story.is_over:
        scene = charts.Scene(story.sizing, story.trials, story.recommendation)
        return picture(charts.live_png(scene, WIDTH, HEIGHT), alt, WIDTH, HEIGHT)
    axes = charts.throughput_curve(story.sizing, story.trials, story.recommendation)
    label = f"sweep-{story.target}"
    return f"<figure>{charts.inline_svg(axes.figure, alt=alt, label=label)}</figure>"


def results(story: Story) -> str:
    """The tables: what to set, then what it rests on, folded."""
    found, shown = story.recommendation, ""
    if found is not None and found.parameters:
        shown += tables.parameters(found).html()
    folded = []
    if story.sizing is not None and story.sizing.predictions:
        size = None if found is None else found.recommended_size
        folded.append(tables.predictions(story.sizing, size))
    if found is not None and found.knees:
        folded.append(tables.knees(found, story.sizing))
    if found is not None and found.checks:
        folded.append(tables.checks(found))
    if story.trials and story.is_over:
        folded += [tables.cut_and_dials(story.trials), tables.trials(story.trials)]
    return shown + "".join(
        f"<details><summary>{escape(table.caption)}</summary>{table.html()}</details>"
        for table in folded
    )


def exports(story: Story, target: Target | None) -> str:
    """Links that save the result as CSV, JSON, Markdown and pools.py; empty without a result."""
    if story.recommendation is None:
        return ""
    texts = documents_of(story.recommendation, () if target is None else (target,))
    kinds = {"csv": "text/csv", "json": "application/json", "md": "text/markdown"}
    words = {"csv": "CSV", "json": "JSON", "md": "Markdown", "py": "pools.py"}
    links = ""
    for name, text in texts.items():
        ending = name.rpartition(".")[2]
        links += download(name, words[ending], text, kinds.get(ending, "text/x-python"))
    return f'<nav aria-label="Save the result">Save as {links}</nav>'


def documents_of(recommendation: Recommendation, targets: Sequence[Target] = ()) -> dict[str, str]:
    """The files that carry a result: name -> text."""
    created, found = now(), (recommendation,)
    return {
        "recommended.csv": export.to_csv(found),
        "recommended.json": export.to_json(found, created),
        "recommended.md": export.to_markdown(found, created),
        "pools.py": codegen.render(found, targets, created),
    }


def whole(story: Story, problem: str = "") -> str:
    """The panel without its controls: status, alert, chart and tables."""
    return status(story) + problem + trouble(story) + chart(story) + results(story)
