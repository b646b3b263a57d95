"""The sweep panel in a real JupyterLab: clicks, reloads and restarts while load runs."""

from __future__ import annotations

import psutil
import pytest
from playwright.sync_api import Page

from tests.browser.chromium import NEEDED
from tests.browser.lab_server import LabServer
from tests.browser.notebook_page import NotebookPage, wait_until, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.lab, NEEDED]

MAKE = """\
from poolkit.panels import LabSource, Request, SweepPanel
panel = SweepPanel(LabSource(), "lab-http", request=Request("lab-http", sizes=(2, 4, 8), budget=60))
panel"""
OPENED = """\
from poolkit.panels import Request, SweepPanel
target, budget = "lab-http", 60
panel = SweepPanel(target=target, request=Request(target, budget=budget)).open()
panel"""


@pytest.fixture
def steered(lab: LabServer, tab: Page) -> NotebookPage:
    """A panel that was made and waits for clicks."""
    write_notebook(lab.folder / "steered.ipynb", MAKE)
    page = NotebookPage(tab, lab, "steered.ipynb")
    page.run_all()
    page.wait_shown("Start")
    return page


def start(page: NotebookPage, lab: LabServer) -> psutil.Process:
    """Click on Start; the process that measures then."""
    page.button("Start").click()
    wait_until(lab.measuring, "a process that measures")
    wait_until(lambda: page.progress() > 0, "progress")
    [process] = lab.measuring()
    return process


def test_start_moves_and_cancel_ends(steered: NotebookPage, lab: LabServer) -> None:
    """Progress moves, the chart changes, the kernel answers, and Cancel leaves no process.

    Messages go over a subshell of the kernel here; tests/browser/test_kernels.py does without.
    """
    page = steered
    process = start(page, lab)
    wait_until(page.chart, "a chart")
    before, first = page.progress(), page.chart()
    wait_until(lambda: page.progress() > before, "more progress")
    wait_until(lambda: page.chart() != first, "another chart")
    # Answered while load runs, and ended by the click: of its minute of load most is left.
    assert page.answer() == "ok"
    assert process.is_running()
    page.button("Cancel").click()
    wait_until(lambda: not process.is_running(), "the end of the process", 20.0)
    wait_until(lambda: "cancelled" in page.status(), "the word cancelled")
    assert lab.measuring() == []
    assert page.errors() == []
    assert page.alert() == ""
    wait_until(page.button("Start").is_enabled, "another Start")


def test_a_reload_finds_the_run_and_a_restart_ends_it(lab: LabServer, tab: Page) -> None:
    """After a reload the panel goes on showing the same run; with its kernel the child ends.

    The cell is that of 02_pool_sweep: run again, it shows the sweep that it began.
    """
    write_notebook(lab.folder / "opened.ipynb", OPENED)
    page = NotebookPage(tab, lab, "opened.ipynb")
    page.run_all()
    page.wait_shown("Start")
    wait_until(lambda: page.progress() > 0, "progress")
    [process] = lab.measuring()
    page.save()
    page.reload()
    wait_until(lambda: page.progress() > 0, "the panel of the saved output, live again")
    before = page.progress()
    wait_until(lambda: page.progress() > before, "progress after the reload")
    page.run_all()  # makes the panel anew
    wait_until(lambda: page.progress() > before, "the running sweep in the new panel")
    assert page.errors() == []
    assert [p.pid for p in lab.measuring()] == [process.pid]
    page.restart_kernel()
    wait_until(lambda: not process.is_running(), "the end of the child", 20.0)


def test_a_wrong_target_shows_its_remedy(lab: LabServer, tab: Page) -> None:
    """What is wrong is on the page with cause and remedy, and the panel stays usable."""
    (lab.folder / "wrong.toml").write_text(
        '[targets.gone]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\n',
        encoding="utf-8",
    )
    write_notebook(
        lab.folder / "wrong.ipynb",
        "from poolkit.panels import FileSource, SweepPanel\n"
        'panel = SweepPanel(FileSource("wrong.toml"))\npanel',
    )
    page = NotebookPage(tab, lab, "wrong.ipynb")
    page.run_all()
    page.wait_shown("Start")
    page.button("Start").click()
    wait_until(lambda: "connection refused" in page.alert(), "the cause")
    [alert] = page.page.locator(".jp-OutputArea [role=alert]").all()
    assert len(alert.inner_text().splitlines()) >= 2, "a remedy on a line of its own"
    assert lab.measuring() == []
    page.field("Sizes").fill("1, two")
    page.button("Start").click()
    wait_until(lambda: "'two'" in page.alert(), "the second cause")
    assert "1, 2, 4, 8" in page.alert()
    assert page.button("Start").is_enabled()


def test_the_panel_works_by_keyboard(steered: NotebookPage, lab: LabServer) -> None:
    """Every control has a label; Tab and Enter reach Start and Cancel."""
    labels = ("Target", "Sizes", "Budget (s)", "Target rate (/s)", "Wait p99 (ms)", "Generators")
    for label in labels:
        assert steered.field(label).count() == 1, label
    steered.field("Generators").focus()
    keyboard = steered.page.keyboard
    for _ in ("verify", "push", "cold starts", "measure again", "start"):
        keyboard.press("Tab")
    keyboard.press("Enter")
    wait_until(lab.measuring, "a process that measures")
    wait_until(steered.button("Cancel").is_enabled, "Cancel")
    steered.button("Cancel").focus()
    keyboard.press("Enter")
    wait_until(lambda: not lab.measuring(), "the end of the process")
    wait_until(lambda: "cancelled" in steered.status(), "the word cancelled")
