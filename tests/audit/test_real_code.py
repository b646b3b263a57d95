"""What the rules say about other people's code: every finding in it was judged."""

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

import poolkit
from poolkit.audit import audit

JUDGED = json.loads((Path(__file__).parent / "judged.json").read_text(encoding="utf-8"))
VERDICTS = {"true", "wrong", "missed"}
# Packages of the test environment that use or are the libraries; each finding is one that was read.
INSTALLED: dict[str, list[tuple[str, str]]] = {
    "aiohttp": [],
    "asyncpg": [],
    "fastapi": [],
    "httpx": [],
    "httpx2": [],
    "jupyter_server": [],
    "jupyterlab": [],
    "prometheus_client": [],
    "psycopg_pool": [],
    "starlette": [],
    "sqlalchemy": [],
    "uvicorn": [],
}


@pytest.mark.parametrize("name", INSTALLED)
def test_installed_packages_have_no_finding_that_nobody_judged(name):
    """Version by version the lines move; a new finding has to be read before it is accepted."""
    folder = Path(find_spec(name).submodule_search_locations[0])
    found = audit([folder])
    assert found.files > 5
    seen = {(f.rule, Path(f.path).relative_to(folder).as_posix()) for f in found.findings}
    assert seen <= set(INSTALLED[name])


def test_poolkit_follows_its_own_rules():
    """The package itself has no finding."""
    found = audit([Path(poolkit.__file__).parent])
    assert [(f.path, f.line, f.message) for f in found.findings] == []
    assert found.skipped == ()


def test_the_judged_facts_can_be_counted():
    """208 files taken at random and read: `python -m tests.bench.audit` finds just these again."""
    files = [file for package in JUDGED for file in package["files"]]
    findings = [finding for file in files for finding in file["findings"]]
    assert len(files) >= 100
    assert {file["sample"] for file in files} == {1, 2, 3, 4, 5, 6}
    assert {finding["verdict"] for finding in findings} <= VERDICTS
    assert all(finding["why"] for finding in findings)
    counted = Counter(finding["verdict"] for finding in findings)
    assert counted["wrong"] <= 0.1 * (counted["true"] + counted["wrong"])
    assert counted["missed"] <= 0.1 * (counted["true"] + counted["missed"])
