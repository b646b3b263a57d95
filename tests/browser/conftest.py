"""One JupyterLab and one browser for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.browser.lab_server import LabServer, lab_server


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A JupyterLab whose kernels measure the embedded lab."""
    with lab_server(tmp_path_factory.mktemp("jupyterlab"), {"POOLKIT_SOURCE": "lab"}) as server:
        yield server


class Windows:
    """One window for all notebooks, as JupyterLab itself takes longest to load.

    A browser that died, as one may on a busy machine, costs the test that it died in, and no other.
    """

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._browser: Browser | None = None
        self._page: Page | None = None
        self._crashed: list[Page] = []

    def browser(self) -> Browser:
        """Chromium, started anew where it is no more."""
        if self._browser is None or not self._browser.is_connected():
            launch = self._playwright.chromium.launch
            self._browser = launch(executable_path=CHROMIUM, args=ARGUMENTS)
        return self._browser

    def open(self) -> Page:
        """The window, made anew where it is no more."""
        page = self._page
        if page is None or page.is_closed() or page in self._crashed:
            context = self.browser().new_context(viewport={"width": 1280, "height": 1000})
            page = self._page = context.new_page()
            page.on("crash", lambda crashed: self._crashed.append(crashed))
        return page

    def close(self) -> None:
        """Close the browser."""
        if self._browser is not None:
            self._browser.close()


@pytest.fixture(scope="package")
def windows() -> Iterator[Windows]:
    """Chromium, offline but for this machine."""
    with sync_playwright() as playwright:
        made = Windows(playwright)
        yield made
        made.close()


@pytest.fixture(scope="module")
def browser(windows: Windows) -> Browser:
    """The browser for all tests of a file."""
    return windows.browser()


@pytest.fixture(scope="module")
def window(windows: Windows) -> Page:
    """The window for all tests of a file."""
    return windows.open()


@pytest.fixture
def tab(windows: Windows, lab: LabServer) -> Iterator[Page]:
    """The window for one test; the kernels that it used end with it."""
    yield windows.open()
    lab.end_kernels()


@pytest.fixture
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: POOLKIT_PICTURES, or a temporary folder."""
    named = os.environ.get("POOLKIT_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
