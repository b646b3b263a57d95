"""Every rule finds what it should in the sources of `cases/`, and nothing else."""

import re
from pathlib import Path

import pytest

from poolkit.audit import RULES, Settings, audit_source

CASES = Path(__file__).parent / "cases"
FIGURES = {"max_connections": int, "processes": int, "server_keepalive": float, "db_idle": float}


def settings_of(text):
    """What the first line of a case says that the source cannot tell."""
    written = dict(re.findall(r"(\w+)=(\d+)", text.partition("\n")[0]))
    return Settings(**{name: FIGURES[name](value) for name, value in written.items()})


def rule_of(case):
    return next(rule for rule in RULES if rule.find.__name__ == case.stem)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.py")), ids=lambda case: case.stem)
def test_a_rule_finds_the_marked_lines_and_no_others(case):
    """Each line with `# found` has one finding of the rule; the lines without have none."""
    text = case.read_text(encoding="utf-8")
    lines = text.splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith("# found")]
    found, ignored = audit_source(text, case.name, settings_of(text), [rule_of(case)])
    assert [finding.line for finding in found] == marked
    assert len(marked) >= 2
    assert ignored == 0
    assert all(lines[finding.line - 1].strip() == finding.code for finding in found)


def test_every_rule_has_its_cases():
    """A rule without a case that it finds and one that it leaves alone is not done."""
    cases = {case.stem for case in CASES.glob("*.py")}
    assert cases == {rule.find.__name__ for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_explains_itself(rule):
    """What, why, a cure that parses as Python, and a notebook of the workbook."""
    assert rule.what.endswith((".", ")."))
    assert rule.why.endswith(".")
    compile(rule.cure, rule.name, "exec", flags=0x2000)  # top-level await is fine
    assert re.fullmatch(r"0[0-6]_\w+\.ipynb", rule.notebook)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_finds_its_own_cure(rule):
    """Code that follows the advice is not found again."""
    imports = "import aiohttp, asyncpg, httpx, ssl\nfrom sqlalchemy.ext.asyncio import *\n"
    found, _ = audit_source(imports + rule.cure, settings=Settings(100, 8, 5.0, 300.0))
    assert not [finding for finding in found if finding.rule == rule.name]


@pytest.mark.parametrize(
    ("comment", "is_silent"),
    [
        ("# poolkit: ignore[ssl-off]", True),
        ("# poolkit: ignore", True),
        ("#poolkit:ignore[never-closed, ssl-off]", True),
        ("# poolkit: ignore[never-closed]", False),
        ("# ignore", False),
    ],
)
def test_a_comment_silences_a_rule_on_its_line(comment, is_silent):
    """`ignore[rule]` silences that rule, `ignore` all; the count says how many."""
    found, ignored = audit_source(f"import aiohttp\naiohttp.TCPConnector(ssl=False)  {comment}\n")
    assert (len(found), ignored) == ((0, 1) if is_silent else (1, 0))


def test_a_comment_inside_a_long_call_counts():
    """The comment may stand on any line of the call."""
    text = "import aiohttp\naiohttp.TCPConnector(\n    ssl=False,  # poolkit: ignore[ssl-off]\n)\n"
    assert audit_source(text) == ([], 1)


def test_a_text_that_looks_like_a_comment_silences_nothing():
    """Only comments count."""
    text = 'import aiohttp\naiohttp.TCPConnector(ssl=False, a="# poolkit: ignore")\n'
    assert len(audit_source(text)[0]) == 1
