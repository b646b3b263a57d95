"""An audit as JSON and as SARIF, for editors and code review."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from poolkit.audit.cures import CURES
from poolkit.audit.finding import Rule
from poolkit.audit.rules import RULES
from poolkit.audit.scan import Audit

SCHEMA = "poolkit.audit/1"
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(audit: Audit) -> str:
    """The audit as `poolkit.audit/1`: findings, skipped files, counts and the rules.

    A rule's `cures` are by library; where a finding's `library` has none, `cure` is the one.
    """
    return json.dumps(
        {
            "schema": SCHEMA,
            "files": audit.files,
            "lines": audit.lines,
            "ignored": audit.ignored,
            "of_tests": audit.of_tests,
            "findings": [asdict(finding) for finding in audit.findings],
            "uncounted": [
                {key: value for key, value in asdict(one).items() if key != "rule"}
                for one in audit.uncounted
            ],
            "skipped": [asdict(skipped) for skipped in audit.skipped],
            "rules": [
                {
                    **{name: getattr(rule, name) for name in ("name", "what", "why", "cure")},
                    "cures": dict(CURES.get(rule.name, {})),
                    "notebook": f"notebooks/{rule.notebook}",
                }
                for rule in RULES
            ],
        },
        indent=2,
    )


def as_sarif(audit: Audit, version: str) -> str:
    """The audit as SARIF 2.1.0 (OASIS); paths are URIs, relative where the audit's were."""
    order = [rule.name for rule in RULES]
    tool = {"name": "poolkit", "version": version, "rules": [_sarif_rule(rule) for rule in RULES]}
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": order.index(finding.rule),
            **_warning(finding.message, finding.path, finding.line, finding.column),
        }
        for finding in audit.findings
    ]
    told = [_warning(f"skipped: {one.reason}", one.path) for one in audit.skipped]
    told += [
        _warning(f"could not be counted: {one.message}", one.path, one.line, one.column)
        for one in audit.uncounted
    ]
    run = {
        "tool": {"driver": tool},
        "results": results,
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": told}],
        "columnKind": "utf16CodeUnits",
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _sarif_rule(rule: Rule) -> dict[str, object]:
    cures = dict.fromkeys([rule.cure, *CURES.get(rule.name, {}).values()])
    shown = [f"    {cure.rstrip()}".replace("\n", "\n    ") for cure in cures]
    # No helpUri, which has to be absolute: the notebooks lie beside whichever copy is at hand.
    text = "\n\n".join([rule.why, *shown, f"See notebooks/{rule.notebook}."])
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": rule.why},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "warning"},
    }


def _warning(
    text: str, path: str, line: int | None = None, column: int | None = None
) -> dict[str, object]:
    where = Path(path)
    uri = where.as_uri() if where.is_absolute() else quote(os.fsencode(where.as_posix()))
    place: dict[str, object] = {"artifactLocation": {"uri": uri}}
    if line is not None:
        place["region"] = {"startLine": line, "startColumn": column}
    return {
        "level": "warning",
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
