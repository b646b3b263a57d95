"""Which files are read, what is skipped, and the outputs that programs read."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from poolkit import __version__
from poolkit.audit import RULES, Settings, audit, audit_source
from poolkit.audit.cures import CURES
from poolkit.audit.output import as_json, as_sarif
from poolkit.cli.application import app
from poolkit.errors import BadInput
from tests.audit.sarif import SCHEMA

BAD = "import aiohttp\nconnector = aiohttp.TCPConnector(ssl=False)\n"


@pytest.fixture
def folder(tmp_path):
    """Two sources with a finding, three that cannot be read, and folders that are not entered."""
    (tmp_path / "a.py").write_text(BAD, encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/b.py").write_text("x = 1\n" + BAD, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import aiohttp\ndef (:\n", encoding="utf-8")
    (tmp_path / "latin.py").write_bytes(b"name = '\xe9'\n")
    (tmp_path / "nul.py").write_bytes(b"a = 1\x00\n")
    (tmp_path / "declared.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'\n")
    (tmp_path / "notes.txt").write_text(BAD, encoding="utf-8")
    for name in (".venv", "node_modules", "__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.py").write_text(BAD, encoding="utf-8")
    return tmp_path


def test_folders_are_searched_and_what_cannot_be_read_is_named(folder):
    """Every Python file once; what does not parse or decode is skipped with its reason."""
    found = audit([folder, folder / "a.py"])
    places = [(os.path.relpath(f.path, folder), f.line, f.column) for f in found.findings]
    assert places == [("a.py", 2, 13), (os.path.join("package", "b.py"), 3, 13)]
    reasons = {os.path.relpath(s.path, folder): s.reason for s in found.skipped}
    assert set(reasons) == {"broken.py", "latin.py", "nul.py"}
    assert "line 2" in reasons["broken.py"]
    assert "UTF-8" in reasons["latin.py"]
    assert found.files == 6


def test_a_folder_that_is_named_is_entered(folder):
    """What is left out by default can be asked for."""
    assert len(audit([folder / ".venv"]).findings) == 1


def test_deep_nesting_is_skipped_and_not_fatal(tmp_path):
    """A source that the parser gives up on is one more skipped file."""
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000, encoding="utf-8")
    (tmp_path / "chain.py").write_text("import aiohttp\nx = 1" + " + 1" * 20000, encoding="utf-8")
    found = audit([tmp_path])
    assert "deep.py" in {os.path.basename(s.path) for s in found.skipped}
    assert found.files == 2


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_nothing_to_read_is_bad_input(tmp_path, name):
    """A path that is not there, or holds no Python, is told with a remedy."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput) as told:
        audit([tmp_path / name])
    assert told.value.remedy


def test_json_holds_findings_skipped_files_and_rules(folder):
    """`poolkit.audit/1` as documented."""
    shown = json.loads(as_json(audit([folder])))
    assert shown["schema"] == "poolkit.audit/1"
    assert {*shown["findings"][0]} == {
        "rule",
        "path",
        "line",
        "column",
        "message",
        "code",
        "library",
    }
    assert [rule["name"] for rule in shown["rules"]] == [rule.name for rule in RULES]
    assert len(shown["skipped"]) == 3


def test_sarif_names_rule_place_and_skipped_files(folder, monkeypatch):
    """SARIF 2.1.0: each result points at its rule by index, paths are URIs."""
    monkeypatch.chdir(folder)
    run = json.loads(as_sarif(audit([*folder.glob("*.py")]), __version__))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"].startswith("file:///")
        assert place["region"] == {"startLine": 2, "startColumn": 13}
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 3


def test_sarif_keeps_to_its_schema(folder, monkeypatch):
    """Every object with its required members and none that it may not have; encoded paths."""
    monkeypatch.chdir(folder)
    (folder / "50 % ü#.py").write_text((folder / "a.py").read_text(), encoding="utf-8")
    document = json.loads(as_sarif(audit([Path()]), __version__))
    jsonschema.validate(document, SCHEMA)
    run = document["runs"][0]
    found = {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
        for place in result["locations"]
    }
    assert "50%20%25%20%C3%BC%23.py" in found
    for rule, shown in zip(RULES, run["tool"]["driver"]["rules"], strict=True):
        assert f"notebooks/{rule.notebook}" in shown["help"]["text"]


@pytest.mark.parametrize(
    ("before", "column"),
    [("", 13), ("'é'; ", 18), ("'漢字'; ", 19), ("'😀'; ", 19), ("\x0c", 14), ("'\u2028'; ", 18)],
)
def test_columns_count_as_editors_do(before, column):
    """In UTF-16 units, whatever stands before; lines end where the parser ends them."""
    call = "connector = aiohttp.TCPConnector(ssl=False)"
    (finding,), _ = audit_source(f"import aiohttp\n# a\x0cb\n{before}{call}\n")
    assert (finding.line, finding.column) == (3, column)
    assert finding.code.endswith(call)


def test_the_pools_of_a_program_are_added_up(tmp_path):
    """Over all modules, by database; tests do not count, an ignored one does but is not shown."""
    made = "import os\nimport asyncpg\nasyncpg.create_pool(os.environ['{}'], max_size={}){}\n"
    for name, variable, size, comment in [
        ("a.py", "ORDERS_DSN", 40, ""),
        ("b.py", "ORDERS_DSN", 40, ""),
        ("c.py", "ORDERS_DSN", 30, "  # poolkit: ignore[over-budget]"),
        ("other.py", "STOCK_DSN", 90, ""),
        ("test_a.py", "STOCK_DSN", 90, ""),
    ]:
        (tmp_path / name).write_text(made.format(variable, size, comment), encoding="utf-8")
    found = audit([tmp_path], Settings(max_connections=100))
    budget = [one for one in found.findings if one.rule == "over-budget"]
    assert [Path(one.path).name for one in budget] == ["a.py", "b.py"]
    assert "with 70 in 2 other pools of the same database 110" in budget[0].message
    assert found.ignored == 1
    alone = audit([tmp_path / "a.py"], Settings(max_connections=100))
    assert not [one for one in alone.findings if one.rule == "over-budget"]


def process(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "poolkit", "audit", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def poolkit_audit(*arguments, cwd):
    """The same without another start of Python."""
    with contextlib.chdir(cwd):
        return CliRunner().invoke(app, ["audit", *arguments])


def test_the_command_prints_places_and_exits_1(folder):
    """Text: path:line:column, why, the cure; exit code 1 on a finding; skipped files are named."""
    done = process(".", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "a.py:2:13" in done.stdout
    assert "Instead:" in done.stdout
    assert "skipped latin.py" in done.stdout
    assert "2 findings in 6 files" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["clean.py"], 0), (["absent.py"], 2), ([], 2), (["clean.py", "--format", "sarif"], 0)],
)
def test_exit_codes(tmp_path, arguments, code):
    """0 without findings, 2 for bad input."""
    (tmp_path / "clean.py").write_text("import aiohttp\n", encoding="utf-8")
    done = poolkit_audit(*arguments, cwd=tmp_path)
    assert done.exit_code == code, done.output
    if "sarif" in arguments:
        assert json.loads(done.stdout)["version"] == "2.1.0"


NEWER = "from a import b\n\ndef first[T](items: list[T]) -> T:\n    return items[0]\n"


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_a_file_of_a_newer_python_is_named_with_it(tmp_path, strict, code):
    """It is counted apart, and --strict makes an exit code of it."""
    (tmp_path / "repo.py").write_text(NEWER, encoding="utf-8")
    (tmp_path / "clean.py").write_text("import aiohttp\n", encoding="utf-8")
    done = poolkit_audit(".", *strict, cwd=tmp_path)
    assert done.exit_code == code, done.output
    assert "skipped repo.py: needs Python 3.12 or newer: " in done.stdout
    assert "1 file skipped (1 of a newer Python: run it with 3.12)" in done.stdout


def test_tests_are_looked_at_when_asked(tmp_path):
    """Left out by default, which the closing line says."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text(BAD, encoding="utf-8")
    (tmp_path / "a.py").write_text("import aiohttp\n", encoding="utf-8")
    done = poolkit_audit(".", cwd=tmp_path)
    assert (done.exit_code, "1 file of tests left out (--tests)" in done.stdout) == (0, True)
    asked = poolkit_audit(".", "--tests", cwd=tmp_path)
    assert asked.exit_code == 1, asked.stdout
    assert "left out" not in asked.stdout


def test_a_pipe_gets_whole_lines(tmp_path):
    """What a terminal would break stays one line: places, reasons and cures."""
    text = "from psycopg_pool import AsyncConnectionPool\n" + "pool = AsyncConnectionPool(dsn)\n"
    (tmp_path / "db.py").write_text(text, encoding="utf-8")
    done = process(".", "--db-idle", "60", cwd=tmp_path)
    lines = done.stdout.splitlines()
    for rule in RULES:
        if f"{rule.name}: {rule.what}" in lines:
            assert f"  Why: {rule.why}" in lines
    for line in CURES["keepalive-too-long"]["psycopg_pool"].splitlines():
        assert f"      {line}" in lines
    assert "aiohttp" not in done.stdout


def test_pools_that_cannot_be_counted_are_told(tmp_path):
    """Each by its place, and all of them in the closing line."""
    (tmp_path / "db.py").write_text("import asyncpg\na = asyncpg.create_pool(dsn, **load())\n")
    done = poolkit_audit(".", "--max-connections", "50", "--surge", "2", cwd=tmp_path)
    assert "not counted db.py:2:5: its arguments do not show" in done.stdout
    assert "1 pool could not be counted" in done.stdout
