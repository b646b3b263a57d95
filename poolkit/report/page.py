"""The parts of the report, as objects that a notebook shows and the export keeps."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from poolkit import tables
from poolkit.charts.words import finding
from poolkit.records import Recommendation
from poolkit.report.folder import Review, TargetReview
from poolkit.report.section import section_html
from poolkit.tables import Table
from poolkit.units import NONE, listed, milliseconds, number, plural, rate

# JupyterLab's dark theme; the report's own template brings the rest.
_THEME = """<style>
body[data-jp-theme-light="false"] { --pk-ink: #e3e3e3; --pk-muted: #b0b0b0; --pk-faint: #8a8a8a;
  --pk-blue: #6bb8ea; --pk-vermilion: #f0955c; --pk-green: #4fc79f; --pk-paper: #111111; }
.pk-chart { max-width: 60rem; height: auto; }
.pk-table caption { text-align: left; font-weight: 600; }
.pk-table td, .pk-table th { text-align: left !important; vertical-align: top; }
.pk-table .pk-number { text-align: right !important; }
</style>"""


class Part:
    """A piece of the report: HTML on a page, its plain words anywhere else."""

    def __init__(self, html: str, words: str) -> None:
        self.html = html
        self.words = words

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        return self.html


def decision(review: Review) -> Part:
    """The table of sizes, then the finding for each target in a sentence."""
    found = [r.recommendation for r in review.targets]
    table = tables.decision(found)
    items = "".join(
        f'<li><a href="#{escape(anchor(t))}">{escape(t.name)}</a>: {escape(title(t))}.</li>'
        for t in review.targets
    )
    measured = _measured_sentence(review)
    html = f"{_THEME}<p>{escape(measured)}</p>{table.html()}<ul>{items}</ul>"
    words = f"{measured}\n\n{table.markdown()}"
    if review.comparison is not None:
        changed = tables.changes(review.comparison)
        caution = review.comparison.caution
        html += f"<p><strong>Caution</strong>: {escape(caution)}.</p>" if caution else ""
        html += changed.html()
        words += f"\n{caution}\n\n{changed.markdown()}"
    return Part(html, words)


def _measured_sentence(review: Review) -> str:
    found = [t.recommendation for t in review.targets]
    sized = [r for r in found if r.recommended_size is not None]
    sure = [r for r in sized if tables.how_sure(r).startswith("✓")]
    trials, seconds = sum(r.trials for r in found), sum(r.seconds for r in found)
    return (
        f"Measured on {review.created[:10]}: {plural(len(found), 'target')}, "
        f"{plural(trials, 'trial')}, {number(seconds)} s of load. "
        f"A size is recommended for {len(sized)} of {len(found)}; "
        f"{len(sure)} of these passed verification in full."
    )


def scope(review: Review) -> Table:
    """What was asked of each target."""
    rows = tuple(
        (
            t.name,
            t.recommendation.driver,
            rate(t.settings.target_rate),
            milliseconds(t.settings.wait_p99),
            str(t.settings.pools),
            NONE if t.settings.max_size is None else str(t.settings.max_size),
        )
        for t in review.targets
    )
    columns = (
        "target",
        "client library",
        "rate to sustain",
        "longest p99 wait",
        "pools",
        "most connections",
    )
    return Table("Settings of each target", columns, rows, frozenset({2, 3, 4, 5}))


def prediction(review: Review) -> Table:
    """What rules of thumb would set, before anything is measured under load."""
    rows = tuple(
        (t.name, tables.rule_name(rule.name), str(rule.size))
        for t in review.targets
        for rule in t.recommendation.rules_of_thumb
    )
    columns = ("target", "rule of thumb", "connections")
    return Table("Connections by rules of thumb", columns, rows, frozenset({2}))


def checks(review: Review) -> Table:
    """All checks of all targets, those that failed first."""
    rows = []
    for t in review.targets:
        failed = [c for c in t.recommendation.checks if not c.passed]
        count = len(t.recommendation.checks)
        rows.append(
            (
                t.name,
                f"{'✗' if failed else '✓'} {count - len(failed)} of {count}",
                f"{sum(trial.is_usable for trial in t.trials)} of {len(t.trials)}",
                "; ".join(c.seen for c in failed) or NONE,
            )
        )
    columns = ("target", "checks passed", "trials fit for use", "what did not pass")
    return Table("Checks on each target", columns, tuple(rows), frozenset({2}))


def section(target: TargetReview, review: Review) -> Part:
    """One target: chart, reason, parameters, verification, and the rest folded."""
    html = section_html(target, anchor(target), title(target), versions_line(target, review))
    return Part(html, f"{target.name}: {title(target)}")


def sections(review: Review) -> Iterable[Part]:
    """One section a target, in the order of the review."""
    return (section(target, review) for target in review.targets)


def weakest(review: Review) -> Part:
    """The result to trust least, and why."""
    worst = max(review.targets, key=lambda t: _doubt(t.recommendation))
    words = f"{worst.name}: {tables.how_sure(worst.recommendation).lstrip('✓✗ ')}."
    failed = [check for check in worst.recommendation.checks if not check.passed]
    items = [f"{check.seen}: {check.why}. What to do: {check.next}." for check in failed]
    if worst.recommendation.verification is not None:
        signals = worst.recommendation.verification.signals
        items += [
            f"{s.name.replace('_', ' ')} was not seen: {s.seen}." for s in signals if not s.passed
        ]
    html = f"<p>{escape(words)}</p>"
    html += f"<ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>" if items else ""
    return Part(html, "\n".join([words, *items]))


def _doubt(r: Recommendation) -> tuple[int, int, int, float]:
    signals = r.verification.signals if r.verification else ()
    plateau = r.plateau
    spread = 0.0
    if plateau is not None and plateau.interval95 is not None:
        spread = (plateau.interval95[1] - plateau.interval95[0]) / max(plateau.throughput, 1e-9)
    return (
        int(r.status != "done") + int(r.recommended_size is None),
        sum(not s.passed for s in signals) + (0 if signals else 1),
        sum(not c.passed for c in r.checks),
        spread,
    )


def provenance(review: Review) -> Table:
    """With what and on what kind of machine this was measured; no name of a host."""
    rows = [("measured", review.created[:10])]
    if review.manifest is not None:
        host = review.manifest.host
        seed = review.manifest.parameters.get("seed")
        rows += [
            ("machine", f"{host.cpu}, {host.cores} of {plural(host.cores_total, 'core')}"),
            ("memory", f"{number(host.memory / 2**30)} GiB"),
            ("system", f"{host.os}, {host.kernel}"),
            ("seed", NONE if seed is None else str(seed)),
        ]
        rows += sorted(review.versions.items())
    return Table("With what, and on what kind of machine", ("what", "which"), tuple(rows))


def title(target: TargetReview) -> str:
    """The finding for a target: the title of its section and of its chart."""
    pools = target.settings.pools
    return finding(target.sizing, target.recommendation, target.trials, pools)


def anchor(target: TargetReview) -> str:
    """The id of a target's section."""
    return f"target-{target.name}"


def versions_line(target: TargetReview, review: Review) -> str:
    """Versions for a chart's footnote."""
    names = ("poolkit", target.recommendation.driver, "python")
    known = [f"{name} {review.versions[name]}" for name in names if name in review.versions]
    return ", ".join(known)


def summary(review: Review) -> Part:
    """The review in a sentence, and what to do with it next."""
    sized = [
        f"{t.name} {t.recommendation.recommended_size}"
        for t in review.targets
        if t.recommendation.recommended_size is not None
    ]
    open_ = [t.name for t in review.targets if t.recommendation.recommended_size is None]
    words = f"Sizes to set: {listed(sized)}." if sized else "No size is recommended."
    if open_:
        words += f" Still open: {listed(open_)}."
    return Part(f"<p>{escape(words)}</p>", words)
