"""The parts of the report, as objects that a notebook shows and the export keeps.

Their HTML is in `templates/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from poolkit.analysis.replicas import what_came
from poolkit.records import FromProduction, Recommendation
from poolkit.report import pictures
from poolkit.report.folder import Review, TargetReview
from poolkit.review.compare import Comparison
from poolkit.review.provenance import left_out, measured_at, written
from poolkit.review.trend import History
from poolkit.show import charts, cold, tables, trust, words
from poolkit.show.outlook import MISSES, valid
from poolkit.show.over_time import ahead as outlook_words
from poolkit.show.over_time import said as over_time_words
from poolkit.show.tables import Column, Columns, Number, Table, of_probe
from poolkit.show.tables.table import STYLE
from poolkit.targets.together import DEFAULT_SIZES
from poolkit.units import NONE, listed, milliseconds, number, plural, rate, share

# For JupyterLab and its dark theme alone; the report has a style sheet of its own.
_THEME = (
    f"<style>{STYLE}"
    + """
body[data-jp-theme-light="false"] { --pk-ink: #e3e3e3; --pk-muted: #b0b0b0; --pk-faint: #8a8a8a;
  --pk-blue: #6bb8ea; --pk-purple: #e29bc4;
  --pk-paper: #111111; }
.jp-OutputArea figure { margin: 1rem 0; overflow-x: auto; }
.jp-OutputArea .pk-chart { min-width: 36rem; max-width: 60rem; height: auto; }
.jp-OutputArea .pk-jump { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; }
</style>"""
)


class Part:
    """A piece of the report: HTML on a page, its plain words anywhere else."""

    def __init__(self, html: str, words: str) -> None:
        self.html = html
        self.words = words

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        return self.html

    __html__ = _repr_html_


def decision(review: Review) -> Part:
    """What changed, the table of sizes, the finding for each target in a sentence, the trend."""
    table = tables.decision([t.recommendation for t in review.targets], review.comparison)
    said = [_measured(review)]
    inferred = [t.name for t in review.targets if any(not x.wait_is_exact for x in t.trials)]
    if inferred:
        said.append(
            f"Waits of {listed(inferred)} are inferred and 0.3 to 3 ms too long: see there."
        )
    if review.history is not None and (until := valid(review.history.outlooks)):
        said.insert(1, until)
    changed = None if review.comparison is None else since(review.comparison)
    past = None if review.history is None else over_time(review.history)
    html = _html(
        "decision", review=review, said=said, table=table, changed=changed or "", past=past or ""
    )
    lines = [*([changed.words] if changed else ()), *said, "", table.markdown()]
    if past is not None:
        lines.append(past.words)
    if review.service is not None:
        finding = charts.before_after_finding(review.service)
        lines.append(f"{finding}.\n\n{review.service.table().markdown()}")
    return Part(html, "\n".join(lines))


def since(comparison: Comparison) -> Part:
    """What changed since an earlier review: a chart against the noise, the figures folded."""
    table = tables.changes(comparison)
    finding = charts.changes_finding(comparison) + "."
    caution = [f"Caution: {comparison.caution}."] if comparison.caution else []
    shown = {"finding": finding, "caution": caution, "table": table}
    html = _html("since", comparison=comparison, **shown)
    return Part(html, "\n".join([finding, *caution, "", table.markdown()]))


def over_time(history: History) -> Part:
    """The trend of each target over its reviews: small charts, the steps, the figures folded."""
    trends = [trend for trend in history.trends if len(trend.reviews) > 1]
    said = [f"{t.target}: {line}." for t in trends for line in over_time_words(t)]
    rows = [tables.history(trend) for trend in trends]
    ahead = [(t, [words.sentence(line) for line in outlook_words(t)]) for t in history.trends]
    ahead = [(trend, lines) for trend, lines in ahead if lines]
    misses = words.sentence(MISSES) if history.outlooks else ""
    html = _html("history", history=history, said=said, rows=rows, ahead=ahead, misses=misses)
    lines = [f"{t.target}: {line}" for t, told in ahead for line in told]
    found = [f"{charts.history_finding(history)}.", *said, *lines, misses]
    return Part(html, "\n".join(filter(None, found)))


def _measured(review: Review) -> str:
    found = [t.recommendation for t in review.targets]
    sized = [r for r in found if r.recommended_size is not None]
    sure = [r for r in sized if not trust.is_in_doubt(r)]
    observed = [r.target for r in found if r.source == "production"]
    trials, seconds = sum(r.trials for r in found), sum(r.seconds for r in found)
    if len(observed) == len(found):
        sent, tried = "no load was sent", "none was tried under load"
        if trials:
            sent = f"{number(seconds)} s of load were sent to try what they told"
            tried = f"{len(sure)} of these passed verification in full"
        return (
            f"Source: production. Read on {_measured_on(review)} from what services counted: "
            f"{plural(len(found), 'target')}, and {sent}. "
            f"A size is recommended for {len(sized)} of {len(found)}; {tried}."
        )
    said = (
        f"Measured on {_measured_on(review)}: {plural(len(found), 'target')}, "
        f"{plural(trials, 'trial')}, {number(seconds)} s of load. "
        f"A size is recommended for {len(sized)} of {len(found)}; "
        f"{len(sure)} of these passed verification in full."
    )
    if observed:
        is_tried = any(r.trials for r in found if r.source == "production")
        said += f" Source of {listed(observed)}: production{'' if is_tried else ', without load'}."
    return said


def _read(found: FromProduction) -> str:
    """`2016 windows of 300 s from 2026-11-22 00:00 to 2026-11-29 00:00 UTC`."""
    since, until = (moment[:16].replace("T", " ") for moment in (found.since, found.until))
    said = f"{plural(found.windows, 'window')} of {number(found.window)} s"
    if found.left_out:
        said += f" ({found.left_out} more had gaps)"
    return f"{said} from {since} to {until} UTC"


def _trusted(found: FromProduction) -> str:
    """Whether what production told is to be trusted, behind a mark, and why."""
    return f"{trust.told_today(found)}: {found.today.because}"


def _in_production(target: TargetReview) -> list[str]:
    """Beside the finding: why production tells no size, and whether it is to be trusted."""
    r, sizing = target.recommendation, target.sizing
    if r.production is None:
        return []
    why = [sizing.because] if sizing is not None and r.recommended_size is None else []
    return [words.sentence(said) for said in (*why, _trusted(r.production))]


def _told(found: FromProduction) -> list[Table]:
    """What production told: averages, or the waits; then what one pool needs."""
    if found.averages is not None:
        return [tables.averages(found.averages), tables.scenarios(found)]
    ahead = [tables.next_day(found)] if found.next_day else []
    return [tables.todays_waits(found), *ahead, tables.scenarios(found)]


def _has_curve(target: TargetReview) -> bool:
    """Whether there is a curve to draw: averages tell none, and one trial of a size is no curve."""
    found = target.recommendation.production
    return bool(target.trials) and (found is None or found.averages is None)


def _measured_on(review: Review) -> str:
    found = [target.recommendation for target in review.targets]
    return measured_at(found, review.created)[:10]


def scope(review: Review) -> Table:
    """What was asked of each target."""

    def most_connections(target: TargetReview) -> str:
        asked = target.settings
        if "max_size" not in asked.model_fields_set:
            return NONE
        # Of production nothing was opened: without a word it would read as asked for.
        is_default = asked.max_size == DEFAULT_SIZES["max_size"]
        by_default = target.recommendation.source == "production" and is_default
        return f"{asked.max_size}{' (the default)' if by_default else ''}"

    def pushed(target: TargetReview) -> str:
        return "yes" if target.settings.push else "none, by choice"

    columns: list[Column[TargetReview]] = [
        Column("target", lambda t: t.name),
        Column("client library", lambda t: t.recommendation.driver),
        Number("rate to sustain", lambda t: rate(t.settings.target_rate)),
        Number("longest p99 wait", lambda t: milliseconds(t.settings.wait_p99)),
        Number("pools", lambda t: str(t.settings.pools)),
        Number("most connections", most_connections),
    ]
    if not all(t.settings.push for t in review.targets):
        columns.append(Column("load beyond that rate", pushed))
    return Table.of("Settings of each target", columns, review.targets)


def prediction(review: Review) -> Table:
    """What rules of thumb would set, before anything is measured under load."""
    sizes = {
        (t.name, rule.name): str(rule.size)
        for t in review.targets
        for rule in t.recommendation.rules_of_thumb
    }
    names = list(dict.fromkeys(name for _, name in sizes))
    if not names:
        said = "none: how long a call takes on a single connection is not known"
        return Table("Connections by rules of thumb", ("", ""), (("rules of thumb", said),))
    rows = tuple(
        (t.name, *(sizes.get((t.name, name), NONE) for name in names)) for t in review.targets
    )
    columns = ("target", *(words.rule_of_thumb(name) for name in names))
    return Table("Connections by rules of thumb", columns, rows, frozenset(range(1, len(columns))))


def checks(review: Review) -> Table:
    """The checks on each target, and what did not pass."""

    def outcome(target: TargetReview) -> str:
        found, failed = target.recommendation.checks, target.recommendation.failed_checks
        return f"{'✗' if failed else '✓'} {len(found) - len(failed)} of {len(found)}"

    def fit(target: TargetReview) -> str:
        if target.recommendation.source == "production":
            return NONE
        return f"{len(target.trials) - len(target.unfit)} of {len(target.trials)}"

    def missed(target: TargetReview) -> str:
        seen = [check.seen for check in target.recommendation.failed_checks]
        return "; ".join(seen + words.left_out(target.unfit)) or NONE

    columns: Columns[TargetReview] = (
        Column("target", lambda t: t.name),
        Column("checks passed", outcome),
        Number("trials fit for use", fit),
        Column("what did not pass", missed),
    )
    return Table.of("Checks on each target", columns, review.targets)


def section(target: TargetReview, review: Review) -> Part:
    """One target: claim, chart, parameters, verification, and the rest folded.

    A target without a result gets a section that says why.
    """
    names = ("poolkit", target.recommendation.driver, "python")
    known = [f"{name} {review.versions[name]}" for name in names if name in review.versions]
    html = _html("section", target=target, versions=", ".join(known), review=review)
    return Part(html, f"{target.name}: {target.finding}")


def _evidence(target: TargetReview) -> list[Table]:
    r, sizing, trials = target.recommendation, target.sizing, target.trials
    found = [] if sizing is None else [tables.predictions(sizing, r.recommended_size)]
    if r.limits:
        found.append(tables.limits(r))
    if r.knees:
        found.append(tables.knees(r, sizing))
    if sizing is not None:
        found.append(tables.states(sizing))
    found.append(tables.rules_of_thumb(r))
    if r.source == "production":
        trials = tuple(t for t in trials if t.purpose != "production")
    if not trials:
        return [table for table in found if table]
    found += [
        tables.server_side(trials),
        tables.pooler(trials),
        tables.generators(trials),
        tables.course(trials),
        tables.time_budget(trials),
        tables.trial_checks(trials),
        tables.cut_and_dials(trials),
        tables.trials(trials),
    ]
    return [table for table in found if table]


def _no_errors(target: TargetReview) -> str:
    """That no call failed, where that is so; the table of errors says the rest."""
    calls = sum(sum(trial.outcomes.values()) for trial in target.trials)
    if not calls or tables.errors(target.trials):
        return ""
    return f"No call failed: {plural(calls, 'call')} in {plural(len(target.trials), 'trial')}."


def _jumps(target: TargetReview, review: Review) -> list[tuple[str, str]]:
    """The parts of a target's section that are there: the end of the id, and the name."""
    r = target.recommendation
    parts = (
        ("today", "what production told", r.production is not None),
        ("chart", "chart", _has_curve(target)),
        ("parameters", "parameters", bool(r.parameters)),
        ("verification", "verification", r.verification is not None),
        ("replicas", "replicas lost and added", bool(r.replica_changes)),
        ("cold", "cold start", r.cold is not None),
        ("idle", "idle connections", target.probe is not None),
        ("changes", "changes", review.comparison is not None),
        ("errors", "errors", bool(target.trials) and r.source == "load"),
        ("checks", "checks", bool(r.checks)),
    )
    return [(end, name) for end, name, is_there in parts if is_there]


def _is_taken(target: TargetReview) -> bool:
    """Whether the parameters of the target are those that its probe found."""
    values = {row.name: row.value for row in target.recommendation.parameters}
    found = () if target.probe is None else target.probe.parameters
    return all(values.get(row.name) == row.value for row in found)


def weakest(review: Review) -> Part:
    """The result to trust least, and why."""
    worst = max(review.targets, key=_doubt)
    r = worst.recommendation
    said = f"{worst.name}: {trust.how_sure(r).lstrip(f'✓✗{trust.DOUBT} ')}."
    items = [words.doubt(check) for check in r.failed_checks]
    items += [f"{s.name.replace('_', ' ')} was not seen: {s.seen}." for s in r.missing_signals]
    items += [f"{reason}." for reason in words.left_out(worst.unfit)]
    if worst.trials:
        items.append(_plateau(r))
    return Part(_html("sentence", said=said, items=items), "\n".join([said, *items]))


def _plateau(recommendation: Recommendation) -> str:
    spread = _spread(recommendation)
    if spread is not None:
        return f"The interval of its plateau spans {share(spread, 1)} of it."
    if recommendation.source == "production":
        more = " above the target rate" if recommendation.trials else ""
        return f"Its plateau was not looked for: nothing{more} was sent."
    if not recommendation.push:
        return "Its plateau was not looked for: no more than the target rate was sent, by choice."
    return "No plateau was reached within the sizes measured."


def _doubt(target: TargetReview) -> tuple[float, ...]:
    """The larger, the less a result is to be trusted; what comes first weighs most."""
    r = target.recommendation
    spread = _spread(r)
    return (
        (r.status != "done") + (r.recommended_size is None),
        len(r.missing_signals) if r.verification and r.verification.signals else 1,
        len(r.failed_checks),
        len(target.unfit),
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
    rows = [("measured", _measured_on(review))]
    found = [target.recommendation for target in review.targets]
    aged = ((r.target, written(r, review.created)) for r in found)
    rows += [(f"trials of {name}", said) for name, said in aged if said]
    rows += [
        (f"source of {r.target}", f"{_read(r.production)}, {r.production.source}")
        for r in found
        if r.production is not None
    ]
    seeds = [
        trial.seed
        for t in review.targets
        for trial in t.trials
        if t.recommendation.source == "load"
    ]
    if seeds:
        rows.append(("seeds", f"{min(seeds)} to {max(seeds)}"))
    if review.manifest is not None:
        host = review.manifest.host
        rows += [
            ("machine", f"{host.cpu}, {host.cores} of {plural(host.cores_total, 'core')}"),
            ("memory", f"{number(host.memory / 2**30)} GiB"),
            ("system", f"{host.os}, {host.kernel}"),
            ("versions", ", ".join(f"{name} {of}" for name, of in review.versions.items())),
        ]
    return Table("With what, and on what kind of machine", ("what", "which"), tuple(rows))


def summary(review: Review) -> Part:
    """The review in a sentence, and what to do with it next."""
    found = [t.recommendation for t in review.targets]
    sized = [f"{r.target} {words.size(r)}" for r in found if r.recommended_size is not None]
    open_ = [r.target for r in found if r.recommended_size is None]
    said = f"Sizes to set: {listed(sized)}." if sized else "No size is recommended."
    if open_:
        said += f" Still open: {listed(open_)}."
    return Part(_html("sentence", said=said, items=()), said)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_TEMPLATES.globals.update(
    charts=charts,
    change_in_words=what_came,
    cold=cold,
    tables=tables,
    of_probe=of_probe,
    words=words,
    left_out=left_out,
    pictures=pictures,
    theme=_THEME,
    evidence=_evidence,
    in_production=_in_production,
    jumps=_jumps,
    has_curve=_has_curve,
    no_errors=_no_errors,
    read=_read,
    told=_told,
    trusted=_trusted,
    is_taken=_is_taken,
)


def _html(name: str, **context: Any) -> str:
    return _TEMPLATES.get_template(f"{name}.html.j2").render(context)
