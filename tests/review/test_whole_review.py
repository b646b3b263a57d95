"""A whole review of a real server: every file, no password anywhere, an offline report."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

from poolkit.lab.postgres import PostgresServer

pytestmark = [pytest.mark.lab, pytest.mark.alone]

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TARGETS = """
[targets.gone]
driver = "aiohttp"
url = "http://127.0.0.1:1/"
target_rate = 10

[targets.db]
driver = "asyncpg"
dsn_env = "WHOLE_REVIEW_DSN"
statements = ["select pg_sleep(0.008)"]
target_rate = 200
max_size = 8
"""


class Reviewed(NamedTuple):
    out: Path
    code: int
    printed: str
    password: str


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    folder = tmp_path_factory.mktemp("review")
    with PostgresServer(accounts=100) as database:
        targets = folder / "targets.toml"
        targets.write_text(TARGETS, encoding="utf-8")
        command = [sys.executable, "-m", "poolkit", "review", "--budget", "14"]
        done = subprocess.run(
            [*command, "--targets", str(targets), "--out", str(folder / "out")],
            cwd=folder,
            env=os.environ | {"WHOLE_REVIEW_DSN": database.dsn},
            capture_output=True,
            text=True,
            check=False,
        )
        password = database.dsn.split("://", 1)[1].split("@", 1)[0].split(":", 1)[1]
    return Reviewed(folder / "out", done.returncode, done.stdout + done.stderr, password)


def test_every_file_of_the_contract_is_there(reviewed: Reviewed) -> None:
    """Trials of each target measured, the recommendation in four forms, report, manifest."""
    names = {path.name for path in reviewed.out.iterdir()}
    assert names >= {
        "db.trials.jsonl",
        "recommended.json",
        "recommended.csv",
        "recommended.md",
        "pools.py",
        "review.ipynb",
        "report.html",
        "manifest.json",
    }, reviewed.printed


def test_an_unreachable_target_does_not_end_the_others(reviewed: Reviewed) -> None:
    """Its entry says so, the one after it is measured, and the exit code tells of it."""
    entries = json.loads((reviewed.out / "recommended.json").read_text())["targets"]
    assert [entry["status"] for entry in entries] == ["unreachable", "done"]
    assert entries[0]["recommended_size"] is None
    size, checks = entries[1]["recommended_size"], entries[1]["checks"]
    # A machine that is busy with other work may show no curve: then a check says so.
    assert any(not check["passed"] for check in checks) if size is None else size >= 2
    assert reviewed.code == 3
    assert "connection refused" in reviewed.printed


def test_the_password_is_written_nowhere(reviewed: Reviewed) -> None:
    """Not in a trial, a notebook, the report, the manifest or on the screen."""
    assert len(reviewed.password) >= 8
    assert reviewed.password not in reviewed.printed
    for path in reviewed.out.iterdir():
        assert reviewed.password.encode() not in _plain(path), path.name


def _plain(path: Path) -> bytes:
    """The bytes of a file; of a PDF also what its compressed streams hold."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        for packed in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
            with contextlib.suppress(zlib.error):
                content += zlib.decompressobj().decompress(packed)
    return content


@pytest.mark.browser
@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium: apt-get install chromium"
)
def test_the_report_opens_offline(reviewed: Reviewed) -> None:
    """No request, no console message, and a chart with alternative text for each claim."""
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                "--disable-sync",
            ],
        )
        page = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url))
        address = (reviewed.out / "report.html").as_uri()
        page.goto(address)
        charts = page.locator("svg[aria-label], svg[role=img], img[alt]").count()
        heading = page.locator("h1").inner_text()
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert [text for text in said if text != address and not text.startswith("data:")] == []
    assert charts >= 2
    assert heading
    assert wide <= 1200


@pytest.mark.browser
@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium: apt-get install chromium"
)
def test_the_report_is_printed_too(reviewed: Reviewed) -> None:
    """report.pdf stands beside report.html, a target a page, and the command names it."""
    content = (reviewed.out / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3
    assert "report.pdf" in reviewed.printed
