"""What gates say, for others: Markdown for a pull request, JUnit XML for a build server."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from poolkit.errors import ExitCode
from poolkit.redact import in_markdown, printable
from poolkit.review.compare import Comparison
from poolkit.review.trend import Trend
from poolkit.review.waivers import Verdict
from poolkit.show import tables, words
from poolkit.show.tables.of_gates import notes, outcome, seen, to_do


def to_markdown(verdict: Verdict, trends: Sequence[Trend], code: ExitCode) -> str:
    """The gates first, then what changed by more than noise, the waivers and the exit code."""
    bad = len(verdict.not_passed)
    head = "passed" if not bad else f"{bad} of {len(verdict.judgements)} not passed"
    parts = [f"## Connection pools: {head}", tables.gates(verdict).markdown()]
    if told := notes(verdict):
        parts.append("\n".join(f"- {in_markdown(note)}" for note in told))
    more = [*map(_changes, trends), tables.waivers(verdict)]
    parts += [table.markdown() for table in more if table]
    if code != ExitCode.DONE:
        parts.append(f"Exit code {int(code)}: {code.meaning}.")
    return printable("\n".join(part.rstrip("\n") + "\n" for part in parts))


def _changes(trend: Trend) -> tables.Table:
    """What changed for a target by more than noise, with intervals; without rows: nothing did."""
    latest = trend.reviews[-1]
    moved = [one for one in latest.differences if words.is_beyond_noise(one)]
    comparison = Comparison(
        before=trend.reviews[-2].measured if moved else latest.measured,
        after=latest.measured,
        caution=latest.caution,
        differences=tuple(moved),
    )
    table = tables.changes(comparison, trend.target)
    return tables.Table(
        f"{trend.target}: {table.caption}", table.columns, table.rows, table.numeric
    )


def to_junit(verdict: Verdict) -> str:
    """One testcase for each target and gate: failed unless it passed, skipped where it is waived.

    In the form that Jenkins, GitLab and others read:
    https://github.com/testmoapp/junitxml
    """
    bad = verdict.not_passed
    skipped = sum(verdict.waiver_of(one) is not None for one in verdict.judgements)
    counts = {
        "name": "poolkit",
        "tests": str(len(verdict.judgements)),
        "failures": str(len(bad)),
        "errors": "0",
        "skipped": str(skipped),
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", counts)
    for one in verdict.judgements:
        # The name stays where the share that is asked for changes.
        attributes = {"classname": f"poolkit.{one.target}", "name": one.gate.name, "time": "0"}
        case = ET.SubElement(suite, "testcase", attributes)
        # XML has no form for control characters.
        said = f"{one.gate}: {seen(one)}", one.why, to_do(verdict, one)
        text = printable("\n".join(filter(None, said)))
        if one in bad:
            told = one.why if one.now is None else seen(one)
            message = printable(f"{outcome(verdict, one)[2:]}: {told}")
            ET.SubElement(case, "failure", {"message": message, "type": one.outcome}).text = text
        elif verdict.waiver_of(one) is not None:
            message = printable(f"waived: {to_do(verdict, one)}")
            ET.SubElement(case, "skipped", {"message": message}).text = text
        else:
            ET.SubElement(case, "system-out").text = text
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
