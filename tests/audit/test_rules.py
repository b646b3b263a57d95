"""Every rule finds what it should in the sources of `cases/`, and nothing else."""

import re
from pathlib import Path

import pytest

from poolkit.audit import RULES, Settings, audit_source, cure_of
from poolkit.audit.cures import CURES
from poolkit.audit.libraries import BY_PACKAGE

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


# Every cure: a rule's own and those for other libraries.
CURED = [(rule, "", rule.cure) for rule in RULES] + [
    (rule, library, cure) for rule in RULES for library, cure in CURES.get(rule.name, {}).items()
]


@pytest.mark.parametrize(
    ("rule", "library", "cure"), CURED, ids=lambda one: getattr(one, "name", one)[:20]
)
def test_no_rule_finds_its_own_cure(rule, library, cure):
    """Code that follows the advice parses, names its library and is not found again."""
    compile(cure, rule.name, "exec", flags=0x2000)
    imports = (
        "import aiohttp, asyncpg, asyncio, httpx, ssl\nfrom uuid import uuid4\n"
        "from contextlib import asynccontextmanager\nfrom psycopg_pool import AsyncConnectionPool\n"
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
    )
    found, _ = audit_source(imports + cure, settings=Settings(100, 8, 5.0, 300.0))
    assert not [finding for finding in found if finding.rule == rule.name]
    assert library in (*BY_PACKAGE, "")


def test_every_row_of_cures_is_of_a_rule():
    """A rule that goes takes its cures with it."""
    assert {*CURES} <= {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("source", "rule", "said"),
    [
        (
            "from psycopg_pool import AsyncConnectionPool\n"
            "pool = AsyncConnectionPool('postgresql://db/a', open=False)\n",
            "keepalive-too-long",
            "AsyncConnectionPool(",
        ),
        ("import asyncpg\npool = asyncpg.create_pool(DSN)\n", "keepalive-too-long", "min_size=0"),
        ("import httpx\nclient = httpx.AsyncClient()\n", "keepalive-too-long", "keepalive_expiry"),
        (
            "import aiohttp\nimport asyncpg\npool = asyncpg.create_pool(DSN, max_size=5)\n\n"
            "async def load(session: aiohttp.ClientSession):\n"
            "    async with pool.acquire(timeout=1) as row:\n"
            "        async with session.get('http://a/') as reply:\n"
            "            await reply.read()\n",
            "held-across-call",
            "async with pool.acquire",
        ),
    ],
)
def test_a_finding_has_the_cure_of_its_library(source, rule, said):
    """Of several libraries near a finding, one that the rule is about."""
    found, _ = audit_source(source, settings=Settings(server_keepalive=5.0, db_idle=60.0))
    (finding,) = [one for one in found if one.rule == rule]
    own = next(one.cure for one in RULES if one.name == rule)
    assert said in cure_of(rule, finding.library, own)


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
