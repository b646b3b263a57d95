"""recommended.json, .csv and .md as texts; writing them is the store's."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from poolkit import units
from poolkit.recommend.session import sessions
from poolkit.records import Check, Parameter, Recommendation, RecommendedFile
from poolkit.targets import Target

CSV_COLUMNS = (
    "target",
    "driver",
    "status",
    "parameter",
    "value",
    "unit",
    "source",
    "because",
)


def to_json(recommendations: Sequence[Recommendation], created: str) -> str:
    """The contract recommended.json, indented; `created` is ISO 8601 in UTC."""
    document = RecommendedFile(created=created, targets=tuple(recommendations))
    return document.model_dump_json(indent=2) + "\n"


def to_csv(recommendations: Sequence[Recommendation]) -> str:
    """One row a target for its size, and one for each of its parameters."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for r in recommendations:
        start = (r.target, r.driver, r.status)
        writer.writerow((*start, *_size_cells(r)))
        for p in r.parameters:
            writer.writerow((*start, p.name, p.value, p.unit, p.source, p.because))
    return buffer.getvalue()


def to_markdown(
    recommendations: Sequence[Recommendation], created: str, targets: Sequence[Target] = ()
) -> str:
    """A document to paste into a ticket: the sizes in one table, then each target's parameters.

    `targets` tell which of them lie on one host, where several may share a session.
    """
    lines = [
        "# Recommended connection pools",
        "",
        f"Measured {created[:10]} with poolkit. Sizes are of one pool. The time limits follow "
        "from the calls that were measured: other, slower calls through the same pool need longer "
        "ones.",
        "",
        "| target | driver | size | rate asked | rate carried | p99 wait | verified |",
        "|---|---|---:|---:|---:|---:|---|",
        *(_overview(r) for r in recommendations),
    ]
    for r in recommendations:
        lines += ["", f"## {_cell(r.target)}", "", _summary(r)]
        if r.parameters:
            lines += ["", *_table(r.parameters)]
        doubts = [check for check in r.checks if not check.passed]
        if doubts:
            lines += ["", "To be doubted:", "", *(_doubt(check) for check in doubts)]
    for session in sessions(recommendations, targets):
        lines += ["", f"## One {session.driver} pool for several targets", ""]
        lines += [_cell(session.because), "", *_table(session.parameters)]
    return "\n".join(lines) + "\n"


def _table(parameters: Sequence[Parameter]) -> list[str]:
    head = ["| parameter | value | unit | source | because |", "|---|---:|---|---|---|"]
    return [*head, *(_parameter(p) for p in parameters)]


def _size_cells(r: Recommendation) -> tuple[object, ...]:
    """The cells from `parameter` on; an empty value where no size can be recommended."""
    doubts = [check for check in r.checks if not check.passed]
    because = "verified under load"
    if r.recommended_size is None or r.verification is None or doubts:
        because = doubts[0].seen if doubts else "not verified"
    source = "" if r.recommended_size is None else "measured"
    return ("recommended_size", r.recommended_size, "connections", source, because)


def _overview(r: Recommendation) -> str:
    seen = r.verification
    size = units.NONE if r.recommended_size is None else str(r.recommended_size)
    return (
        f"| {_cell(r.target)} | {r.driver} | {size} | {units.rate(r.target_rate)} | "
        f"{units.rate(seen.achieved_rate) if seen else units.NONE} | "
        f"{units.milliseconds(seen.wait_p99) if seen else units.NONE} | {_verdict(r)} |"
    )


def _verdict(r: Recommendation) -> str:
    if r.verification is None:
        return "no" if r.status == "done" else r.status
    missing = [signal.name for signal in r.verification.signals if not signal.passed]
    return "yes" if not missing else f"no: {', '.join(missing)}"


def _summary(r: Recommendation) -> str:
    if r.recommended_size is None:
        text = f"No size can be recommended ({r.status})."
    else:
        text = f"**{units.plural(r.recommended_size, 'connection')}** in each pool"
        if r.headroom:
            text += f", {r.headroom} of them headroom"
        text += "." if r.limited_by is None else f", limited by {r.limited_by}."
    if r.reachable_rate is not None:
        text += f" Within reach: {units.rate(r.reachable_rate)}."
    if r.verdict is not None:
        text += f" Verdict: `{r.verdict}`."
    if r.plateau is not None:
        text += f" Plateau: {units.rate(r.plateau.throughput)}"
        if r.plateau.interval95 is not None:
            text += f" (95 %: {units.interval(r.plateau.interval95)})"
        text += "."
    if r.target_rate_from is not None:
        text += f" Target rate {units.rate(r.target_rate)}, from {r.target_rate_from}."
    if r.trials:
        text += f" {units.plural(r.trials, 'trial')}, {units.number(r.seconds)} s of load."
    return text


def _parameter(p: Parameter) -> str:
    value = f"{p.value:g}" if isinstance(p.value, float) else p.value
    return f"| `{p.name}` | {value} | {p.unit} | {p.source} | {_cell(p.because)} |"


def _doubt(check: Check) -> str:
    return (
        f"- **{check.name}**: {_cell(check.seen)} ({_cell(check.why)}). Next: {_cell(check.next)}."
    )


def _cell(text: str) -> str:
    """A text that cannot break a table's row: no line end, no bare bar."""
    return " ".join(text.split()).replace("|", "\\|")
