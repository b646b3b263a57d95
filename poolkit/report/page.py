"""The parts of the report, as objects that a notebook shows and the export keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from poolkit.recommend.crowd import is_without_gate
from poolkit.records import Recommendation, Trial
from poolkit.report import pictures
from poolkit.report.folder import Review, TargetReview
from poolkit.report.section import section_html
from poolkit.report.served import served_html, served_words
from poolkit.review.compare import Comparison
from poolkit.show import charts, tables
from poolkit.show.charts.words import finding
from poolkit.show.tables import Table
from poolkit.units import NONE, listed, milliseconds, number, plural, rate, share

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
    """The table of sizes, the finding for each target in a sentence, and what changed."""
    found = [r.recommendation for r in review.targets]
    table = tables.decision(found, review.comparison)
    items = "".join(
        f'<li><a href="#{escape(anchor(t))}">{escape(t.name)}</a>: {escape(title(t))}.</li>'
        for t in review.targets
    )
    said = [_measured_sentence(review), *_inferred(review.targets)]
    html = f"{_THEME}{_paragraphs(said)}{table.html()}<ul>{items}</ul>"
    words = "\n".join([*said, "", table.markdown()])
    if review.comparison is not None:
        changed = since(review.comparison)
        html += changed.html
        words += f"\n{changed.words}"
    if review.service is not None:
        html += served_html(review.service)
        words += f"\n{served_words(review.service)}"
    return Part(html, words)


def since(comparison: Comparison) -> Part:
    """What changed since an earlier review: a chart against the noise, the figures folded."""
    table = tables.changes(comparison)
    said = charts.changes_finding(comparison) + "."
    caution = [f"Caution: {comparison.caution}."] if comparison.caution else []
    html = _paragraphs(caution)
    if not charts.changes_shown(comparison):
        html += _paragraphs([said])
    else:
        axes = charts.changes(comparison)
        caption = "Grey: then, with its interval; coloured: now. Diamonds moved by more than noise."
        html += pictures.figure(axes, charts.changes_alt(comparison), "since", caption)
    html += f"<details><summary>{escape(table.caption)}</summary>\n{table.html()}</details>"
    return Part(html, "\n".join([said, *caution, "", table.markdown()]))


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _inferred(targets: Sequence[TargetReview]) -> list[str]:
    """Which waits were not measured but inferred."""
    names = [t.name for t in targets if any(not trial.wait_is_exact for trial in t.trials)]
    if not names:
        return []
    return [f"Waits of {listed(names)} are inferred and 0.3 to 3 ms too long: see there."]


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
            str(t.settings.max_size) if "max_size" in t.settings.model_fields_set else NONE,
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
    names = list(
        dict.fromkeys(rule.name for t in review.targets for rule in t.recommendation.rules_of_thumb)
    )
    rows = []
    for t in review.targets:
        sizes = {rule.name: str(rule.size) for rule in t.recommendation.rules_of_thumb}
        rows.append((t.name, *(sizes.get(name, NONE) for name in names)))
    columns = ("target", *(tables.rule_name(name) for name in names))
    numeric = frozenset(range(1, len(columns)))
    return Table("Connections by rules of thumb", columns, tuple(rows), numeric)


def checks(review: Review) -> Table:
    """The checks on each target, and what did not pass."""
    rows = []
    for t in review.targets:
        found = t.recommendation.checks
        failed = [c for c in found if not c.passed]
        unfit = _unusable(t.trials)
        rows.append(
            (
                t.name,
                f"{'✗' if failed else '✓'} {len(found) - len(failed)} of {len(found)}",
                f"{len(t.trials) - len(unfit)} of {len(t.trials)}",
                "; ".join([c.seen for c in failed] + _unfit(unfit)) or NONE,
            )
        )
    columns = ("target", "checks passed", "trials fit for use", "what did not pass")
    return Table("Checks on each target", columns, tuple(rows), frozenset({2}))


def _unusable(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that are a doubt; one that left the gate out to show what happens is none."""
    return [t for t in trials if not t.is_usable and not is_without_gate(t)]


def _unfit(trials: Sequence[Trial]) -> list[str]:
    """Why trials were left out, counted by reason."""
    stopped = sum(trial.stopped is not None for trial in trials)
    reasons = Counter(
        check.name.replace("_", " ")
        for trial in trials
        if not trial.stopped
        for check in trial.checks
        if not check.passed
    )
    said = [f"{plural(stopped, 'trial')} stopped early"] if stopped else []
    return said + [
        f"{plural(count, 'trial')} left out by the check '{name}'"
        for name, count in reasons.items()
    ]


def section(target: TargetReview, review: Review) -> Part:
    """One target: chart, reason, parameters, verification, and the rest folded."""
    versions = versions_line(target, review)
    html = section_html(target, anchor(target), title(target), versions, review.comparison)
    return Part(html, f"{target.name}: {title(target)}")


def sections(review: Review) -> Iterable[Part]:
    """One section a target, in the order of the review."""
    return (section(target, review) for target in review.targets)


def weakest(review: Review) -> Part:
    """The result to trust least, and why."""
    worst = max(review.targets, key=_doubt)
    words = f"{worst.name}: {tables.how_sure(worst.recommendation).lstrip('✓✗ ')}."
    failed = [check for check in worst.recommendation.checks if not check.passed]
    items = [f"{check.seen}: {check.why}. What to do: {check.next}." for check in failed]
    if worst.recommendation.verification is not None:
        signals = worst.recommendation.verification.signals
        items += [
            f"{s.name.replace('_', ' ')} was not seen: {s.seen}." for s in signals if not s.passed
        ]
    items += [f"{reason}." for reason in _unfit(_unusable(worst.trials))]
    if worst.trials:
        spread = _spread(worst.recommendation)
        items.append(
            "No plateau was reached within the sizes measured."
            if spread is None
            else f"The interval of its plateau spans {share(spread, 1)} of it."
        )
    html = f"<p>{escape(words)}</p>"
    html += f"<ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>" if items else ""
    return Part(html, "\n".join([words, *items]))


def _doubt(target: TargetReview) -> tuple[float, ...]:
    """The larger, the less a result is to be trusted; what comes first weighs most."""
    r = target.recommendation
    signals = r.verification.signals if r.verification else ()
    spread = _spread(r)
    return (
        (r.status != "done") + (r.recommended_size is None),
        sum(not s.passed for s in signals) if signals else 1,
        sum(not c.passed for c in r.checks),
        len(_unusable(target.trials)),
        1.0 if spread is None else spread,
    )


def _spread(recommendation: Recommendation) -> float | None:
    """Width of the plateau's 95 % interval as a share of it; None where there is none."""
    plateau = recommendation.plateau
    if plateau is None or plateau.interval95 is None or not plateau.throughput:
        return None
    return (plateau.interval95[1] - plateau.interval95[0]) / plateau.throughput


def provenance(review: Review) -> Table:
    """With what and on what kind of machine this was measured; no name of a host."""
    rows = [("measured", review.created[:10])]
    seeds = [trial.seed for t in review.targets for trial in t.trials]
    if seeds:
        rows.append(("seeds", f"{min(seeds)} to {max(seeds)}"))
    if review.manifest is not None:
        host = review.manifest.host
        rows += [
            ("machine", f"{host.cpu}, {host.cores} of {plural(host.cores_total, 'core')}"),
            ("memory", f"{number(host.memory / 2**30)} GiB"),
            ("system", f"{host.os}, {host.kernel}"),
        ]
        named = [f"{name} {version}" for name, version in review.versions.items()]
        rows.append(("versions", ", ".join(named)))
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
