"""What a server says reaches files and terminals without steering them, whichever file it is."""

from __future__ import annotations

import ast
import csv
import html
import io
import json
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console

from poolkit.cli.closing import print_results
from poolkit.records import Check, Parameter, Recommendation, Trial
from poolkit.redact import in_csv, in_html, in_json, in_markdown, printable
from poolkit.report import page
from poolkit.report.folder import read_review
from poolkit.review.adding import add_results
from poolkit.review.export import to_csv, to_markdown
from poolkit.show import tables
from tests.recommend.examples import check, database_target, sizing, trial
from tests.review.test_adding import found

STEERING = (
    "\x00 \x07 \x08 \x0b \x0c \r \x1b[31m \x1b]0;title\x07 \x7f \x85 \x9b31m \x9d0;x\x9c "
    "\u200b \u200e \u202e \u2028 \u2029 \u2066 \ufeff \U000e0041"
)
MARKUP = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:b) ![p](http://q) "
    "`c` | *d* _e_ ~~f~~ \"\"\" ''' \\"
)
HOSTILE = f"{STEERING} {MARKUP}\r\nnext line\rand a lone one"


def steers(text: str) -> set[str]:
    """Characters of a text that would steer what shows it."""
    return {
        c
        for c in text
        if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    }


def hostile(text: str = HOSTILE) -> Recommendation:
    base = found("orders-db")
    parameters = [
        Parameter(name=p.name, value=p.value, unit=text, because=text, source=p.source)
        for p in base.parameters
    ]
    parameters.append(Parameter(name=f"x{text}", value=text, unit="", because=text, source="rule"))
    return Recommendation.model_validate(
        {
            **dict(base),
            "parameters": parameters,
            "target_rate_from": text,
            "checks": (Check(name=text, passed=False, seen=text, why=text, next=text),),
        }
    )


def test_every_file_of_a_review_is_printable(tmp_path: Path) -> None:
    """URL, SQL, error texts and reasons hold all of it; each file is whole and steers nothing."""
    # As a target holds it: no rule forbids these in a statement.
    target = database_target(statements=(f"select 1 /* {HOSTILE} */",))
    add_results(tmp_path, [hostile()], {hostile().target: target})
    made = {path.name: path.read_bytes().decode() for path in tmp_path.iterdir()}
    assert {"recommended.json", "recommended.md", "recommended.csv", "pools.py"} < set(made)
    for name, text in made.items():
        assert not steers(text), name
        assert "\r" not in text, name
    ast.parse(made["pools.py"])
    (entry,) = json.loads(made["recommended.json"])["targets"]
    assert entry["target"] == "orders-db"


def test_the_markdown_holds_no_markup_of_a_server() -> None:
    """Every table keeps its columns, and nothing in it is a tag, a link, a picture or code."""
    text = to_markdown([hostile()], "2026-01-01T00:00:00Z")
    for mark in ("<script", "<img", "[a](", "![p](", " `c`", "~~f"):
        assert text.count(mark) == text.count(f"\\{mark.strip()}"), mark
    columns = [
        line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| ")
    ]
    assert set(columns) == {8, 6}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|'/C calc'!A0", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_the_csv_is_a_formula(text: str) -> None:
    """A spreadsheet shows it as it is; and rows stay rows."""
    rows = list(csv.reader(io.StringIO(to_csv([hostile(text)])), strict=True))
    assert {len(row) for row in rows} == {8}
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]


def test_numbers_of_the_csv_stay_numbers() -> None:
    """Only texts get a quote."""
    assert in_csv(-1.5) == -1.5
    assert in_csv("plain - text") == "plain - text"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 🎉 \u202f1\u00a02", "plain äöü 漢字 🎉 \u202f1\u00a02"),
        ("a\r\nb\nc\td", "a\nb\nc\td"),
        ("a\rb\x00\x1b\x9b\u202e\ud800", "a?b?????"),
    ],
)
def test_what_is_printable(text: str, shown: str) -> None:
    """Letters of every script, spaces and line ends stay."""
    assert printable(text) == shown


def test_each_writer_says_the_same_text() -> None:
    """What is escaped reads as it was, but for what steers."""
    assert html.unescape(in_html(MARKUP)) == MARKUP
    assert json.loads(in_json(json.dumps(HOSTILE, ensure_ascii=False))) == HOSTILE
    assert not steers(in_json(json.dumps(HOSTILE, ensure_ascii=False)))
    assert in_markdown("a_b c|d `e`\nf <g>") == "a_b c\\|d \\`e\\` f \\<g>"


def test_a_record_is_printable_wherever_it_is_shown() -> None:
    """Charts, notebooks and panels take the texts of records as they are."""
    read = Trial.model_validate_json(
        trial(checks=(check(seen="x"),))
        .model_dump_json()
        .replace('"seen":"x"', f'"seen":{json.dumps(HOSTILE)}')
    )
    assert not steers(read.checks[0].seen)
    named = trial(error_kinds={f"http_500{STEERING}": 3})
    assert not steers("".join(named.error_kinds))


def test_terminal_and_report_are_printable(tmp_path: Path) -> None:
    """The same result on the screen and on the page."""
    file = io.StringIO()
    print_results(
        Console(file=file, width=100), [hostile()], (tables.parameters_in_short(hostile()),)
    )
    assert not steers(file.getvalue())
    add_results(tmp_path, [hostile()], {hostile().target: database_target()})
    (tmp_path / "orders-db.sizing.json").write_text(
        sizing().model_dump_json().replace('"because":"', f'"because":{json.dumps(HOSTILE)[:-1]}')
    )
    review = read_review(tmp_path)
    for part in (
        page.decision(review),
        page.section(review.targets[0], review),
        page.weakest(review),
    ):
        assert not steers(part.html)
        assert not steers(part.words)
        assert "<script>alert" not in part.html
        assert "<img src=x" not in part.html
