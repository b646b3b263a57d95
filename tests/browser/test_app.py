"""The sweep notebook served as a page without code, by Voila."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import NEEDED
from tests.browser.notebook_page import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.lab, NEEDED]

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_pool_sweep.ipynb"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does; asking for a page would run the notebook."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address, while Voila serves it."""
    folder, port = tmp_path_factory.mktemp("voila"), free_port()
    own = {
        "POOLKIT_SOURCE": "lab",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with (folder / "log").open("w", encoding="utf-8") as log:
        voila = subprocess.Popen(
            [
                *(sys.executable, "-m", "voila", str(NOTEBOOK), "--no-browser"),
                *(f"--port={port}", "--Voila.ip=127.0.0.1"),
            ],
            stdout=log,
            stderr=log,
            env=os.environ | own,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: listens(port), "Voila")
        yield address
    finally:
        children = psutil.Process(voila.pid).children(recursive=True)
        voila.terminate()
        try:
            voila.wait(10)
        except subprocess.TimeoutExpired:
            voila.kill()
            voila.wait()
        for process in psutil.wait_procs(children, 5)[1]:
            process.kill()


def test_the_page_shows_the_panel_without_code(app: str, browser: Browser, pictures: Path) -> None:
    """Opening it sends no load and shows the recording; Start measures, Cancel ends it."""
    context = browser.new_context(viewport={"width": 1100, "height": 1400})
    page = context.new_page()
    page.goto(app, timeout=120_000)
    page.get_by_role("button", name="Start", exact=True).wait_for(timeout=120_000)
    status = page.locator("[role=status]").first
    wait_until(lambda: "connections" in status.inner_text(), "the recording")
    assert "import" not in page.locator("body").inner_text()
    assert page.locator(".jp-InputArea-editor").count() == 0
    page.screenshot(path=pictures / "app.png")
    page.get_by_role("button", name="Start", exact=True).click()
    bar = page.locator("progress")
    wait_until(lambda: bar.count() and bar.first.evaluate("bar => bar.position") > 0, "progress")
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_until(lambda: "cancelled" in status.inner_text(), "the word cancelled")
    context.close()
