"""The files of a review: recommended.json, .csv and .md, pools.py; and how they are read again."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from poolkit import files, units
from poolkit.analysis.next_day import in_words
from poolkit.drivers.table import SUPPORTED_DRIVERS
from poolkit.errors import BadInput
from poolkit.measure.store import now, read_record, write_atomic
from poolkit.recommend.session import Addressed, sessions
from poolkit.records import Recommendation, RecommendedFile, Sizing
from poolkit.redact import in_csv, in_json, in_markdown, printable
from poolkit.review import codegen
from poolkit.review.provenance import left_out, measured_at, written
from poolkit.review.templating import environment
from poolkit.targets.target import NAME

RECOMMENDED = "recommended.json"
CSV_COLUMNS = ("target", "driver", "status", "parameter", "value", "unit", "source", "because")


class Foreign(NamedTuple):
    """An entry of recommended.json that this version does not understand, and why."""

    target: str
    why: str
    entry: Mapping[str, Any]


class _WithForeign(RecommendedFile):
    targets: tuple[Any, ...]


def write_recommended(
    out: Path,
    recommendations: Sequence[Recommendation],
    targets: Sequence[Addressed] = (),
    *,
    created: str | None = None,
    foreign: Sequence[Foreign] = (),
) -> tuple[Path, ...]:
    """Write recommended.json, .csv and .md and pools.py; returns their paths.

    Args:
        targets: tell the URL, the host and the name of the DSN's variable; no password is read.
        created: ISO 8601, UTC; now by default.
        foreign: entries that stay in recommended.json as they are; the other files name them.
    """
    created = now() if created is None else created
    kept = [(each.target, each.why) for each in foreign]
    texts = {
        RECOMMENDED: to_json(recommendations, created, [each.entry for each in foreign]),
        "recommended.csv": to_csv(recommendations),
        "recommended.md": to_markdown(recommendations, created, targets, kept),
        "pools.py": codegen.render(recommendations, targets, created, kept),
    }
    for name, text in texts.items():
        write_atomic(out / name, text)
    return tuple(out / name for name in texts)


def read_recommended(path: Path) -> RecommendedFile:
    """The recommended.json at `path`, a folder or the file itself.

    Raises:
        BadInput: there is none, or it is not one of this version.
    """
    file = path / RECOMMENDED if path.is_dir() else path
    found = read_record(RecommendedFile, file, "name the folder of a finished review")
    for entry in found.targets:
        if why := not_readable(entry, found.created):
            raise BadInput(f"{file} is not understood: {why}", "update poolkit, or name another")
    return found


def not_understood(entry: Recommendation, created: str) -> str:
    """Why this version cannot write of an entry that somebody else may have made; empty: it can.

    `created` is the file's.
    """
    if why := not_readable(entry, created):
        return why
    try:
        compile(codegen.render((entry,)), "pools.py", "exec", ast.PyCF_ONLY_AST)
    except Exception as error:  # a parameter that is missing, or of another kind
        return f"the parameters of {entry.target} are no pool's ({type(error).__name__})"
    return ""


def not_readable(entry: Recommendation, created: str) -> str:
    """Why an entry cannot even be shown; empty: it can."""
    if not NAME.fullmatch(entry.target):
        return f"{entry.target!r} is no name of a target"
    if entry.driver not in SUPPORTED_DRIVERS:
        return f"{entry.target} has driver {entry.driver}, which this version does not know"
    try:
        to_markdown((entry,), created)
    except Exception as error:  # a wrong moment ...
        return f"{entry.target} cannot be shown ({type(error).__name__})"
    return ""


def read_sizings(folder: Path, written: RecommendedFile) -> dict[str, Sizing]:
    """The curves that a review was made from, by target; without those of another version."""
    found = {}
    for entry in written.targets:
        with contextlib.suppress(OSError, ValidationError):
            text = files.content(folder / f"{entry.target}.sizing.json")
            found[entry.target] = Sizing.model_validate_json(text)
    return found


def to_json(
    recommendations: Sequence[Recommendation],
    created: str,
    foreign: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The contract recommended.json, indented; `created` is ISO 8601 in UTC.

    Args:
        foreign: entries to keep as they are, behind the others.
    """
    document = _WithForeign(created=created, targets=(*recommendations, *foreign))
    return in_json(document.model_dump_json(indent=2)) + "\n"


def to_csv(recommendations: Sequence[Recommendation]) -> str:
    """One row a target for its size, and one for each of its parameters."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for r in recommendations:
        rows = [_size_cells(r)]
        rows += [(p.name, p.value, p.unit, p.source, p.because) for p in r.parameters]
        writer.writerows(map(in_csv, (r.target, r.driver, r.status, *row)) for row in rows)
    return buffer.getvalue()


def to_markdown(
    recommendations: Sequence[Recommendation],
    created: str,
    targets: Sequence[Addressed] = (),
    left_out: Sequence[tuple[str, str]] = (),
) -> str:
    """A document to paste into a ticket: the sizes in one table, then each target's parameters.

    Args:
        targets: tell which of them lie on one host, where several may share a session.
        left_out: targets of which recommended.json alone tells, and why.
    """
    template = environment().get_template("recommended.md.j2")
    text = template.render(
        day=measured_at(recommendations, created)[:10],
        created=created,
        recommendations=recommendations,
        verdict=_verdict,
        summary=_summary,
        sessions=sessions(recommendations, targets),
        left_out=left_out,
    )
    return printable(text)


def _size_cells(r: Recommendation) -> tuple[object, ...]:
    """The cells from `parameter` on; an empty value where no size can be recommended."""
    doubts = r.failed_checks
    because = "verified under load"
    if r.recommended_size is None or r.verification is None or doubts:
        where = "from production metrics, " if r.source == "production" else ""
        because = doubts[0].seen if doubts else f"{where}not verified"
    source = "" if r.recommended_size is None else "measured"
    return ("recommended_size", r.recommended_size, "connections", source, because)


def _verdict(r: Recommendation) -> str:
    if r.verification is None:
        return "no" if r.status == "done" else r.status
    missing = [signal.name for signal in r.missing_signals]
    return "yes" if not missing else f"no: {', '.join(missing)}"


def _summary(r: Recommendation, created: str) -> str:
    if r.recommended_size is None:
        text = f"No size can be recommended ({r.status})."
    else:
        text = f"**{units.plural(r.recommended_size, 'connection')}** in each pool"
        if r.headroom:
            text += f", {r.headroom} of them headroom"
        text += "" if r.limited_by is None else f", limited by {r.limited_by}"
        if r.smallest_as_fast is not None:
            text += f"; **{r.smallest_as_fast}** serve callers as soon, what is asked decides"
        text += "."
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
        text += f" Target rate {units.rate(r.target_rate)}, from {in_markdown(r.target_rate_from)}."
    if r.production is not None:
        found = r.production
        sure = "trusted" if found.today.is_trusted else "**not trusted**"
        alone = "" if r.trials else " alone"
        text += (
            f" From production metrics{alone} ({in_markdown(found.source)}), "
            f"{units.plural(found.windows, 'window')} of {units.number(found.window)} s from "
            f"{found.since[:10]} to {found.until[:10]}: {sure}; "
            f"{in_markdown(found.today.because)}."
        )
        for day in found.next_day:
            text += f" {in_words(day).capitalize()}."
        if found.averages is not None and found.averages.assumes:
            text += f" A size from averages takes it that {'; '.join(found.averages.assumes)}."
    if r.trials:
        text += f" {units.plural(r.trials, 'trial')}, {units.number(r.seconds)} s of load."
    if words := left_out(r):
        text += f" {words}"
    if words := written(r, created):
        text += f" {words[:1].upper()}{words[1:]}."
    return text
