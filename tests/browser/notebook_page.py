"""A notebook open in JupyterLab, steered like a person would and looked at from outside."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

from tests.browser.lab_server import LabServer

PATIENCE = 90.0  # s
OPEN = """async path => { const app = window.jupyterapp;
  for (const widget of [...app.shell.widgets('main')]) widget.dispose();
  await app.commands.execute('docmanager:open', {path}); }"""


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook of code cells, to be opened."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    content = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    content.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(content, path)  # type: ignore[no-untyped-call]


def wait_until(
    holds: Callable[[], object], what: str | Callable[[], str], patience: float = PATIENCE
) -> float:
    """Seconds until `holds` is true; an AssertionError that names `what` once patience is over."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began >= patience:
            named = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {patience:g} s: {named}")
        time.sleep(0.05)
    return time.monotonic() - began


class NotebookPage:
    """The one notebook that is open in a window; what was open before is closed unsaved."""

    def __init__(self, page: Page, server: LabServer, notebook: str) -> None:
        self.page = page
        self._server = server
        if page.url.startswith(server.url):
            page.evaluate(OPEN, notebook)
        else:
            page.goto(server.address(notebook))
        self._wait_ready()

    def _wait_ready(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        self.page.wait_for_function(
            """() => { const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.sessionContext?.session?.kernel?.connectionStatus === 'connected'
              && panel.sessionContext.session.kernel.status === 'idle'; }""",
            timeout=120_000,
        )

    def command(self, name: str) -> None:
        """Carry out one of JupyterLab's commands, without waiting for its end."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    def run_all(self) -> None:
        """Run every cell, from the first."""
        self.command("notebook:run-all-cells")

    def save(self) -> None:
        """Save, and wait until that is done."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def reload(self) -> None:
        """Load the page anew, as F5 does."""
        self.page.reload()
        self._wait_ready()

    def restart_kernel(self) -> None:
        """Restart the kernel by the menu's command, and say yes."""
        self.command("notebook:restart-kernel")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def button(self, name: str) -> Locator:
        """A button of a panel."""
        return self.page.get_by_role("button", name=name, exact=True)

    def wait_shown(self, name: str) -> None:
        """Wait until a panel with this button is on the page, and no cell has failed."""
        wait_until(lambda: self.errors() or self.button(name).count(), f"a button {name}")
        assert self.errors() == []

    def field(self, label: str) -> Locator:
        """A control of a panel by its label."""
        return self.page.get_by_label(label, exact=True)

    def status(self) -> str:
        """The status line of the first panel; empty where none is shown."""
        line = self.page.locator(".jp-OutputArea [role=status]").first
        return line.inner_text() if line.count() else ""

    def alert(self) -> str:
        """The words of the alerts."""
        return "\n".join(self.page.locator(".jp-OutputArea [role=alert]").all_inner_texts())

    def progress(self) -> float:
        """How far the bar is (0 to 1); -1 where there is none."""
        bars = self.page.locator(".jp-OutputArea progress")
        if not bars.count():
            return -1.0
        return float(bars.first.evaluate("bar => bar.position"))

    def chart(self) -> str:
        """The alternative text of the first panel's chart; empty where there is none."""
        words = self.page.evaluate(
            """() => { const chart = document.querySelector(
                 '.jp-OutputArea img[alt], .jp-OutputArea svg[aria-label]');
               return chart?.getAttribute('alt') ?? chart?.getAttribute('aria-label') ?? ''; }"""
        )
        return str(words)

    def errors(self) -> list[str]:
        """What cells raised."""
        said = self.page.locator("[data-mime-type$=stderr], [data-mime-type$=error]")
        return [re.sub(r"\x1b\[[0-9;]*m", "", text)[-2000:] for text in said.all_inner_texts()]

    def answer(self) -> str:
        """What the kernel says to 1+1, asked from the page."""
        return str(
            self.page.evaluate(
                """async () => { const kernel =
                     window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                   const reply = await kernel.requestExecute({code: '1+1', silent: true}).done;
                   return reply.content.status; }"""
            )
        )

    def last_line(self) -> str:
        """What the last output of all says."""
        shown = self.page.locator(".jp-OutputArea-output")
        return shown.last.inner_text() if shown.count() else ""

    def show(self, theme: str, width: int, *, sidebar: bool = False) -> None:
        """Change to JupyterLab's `Light` or `Dark` theme and to this width (px)."""
        self.page.set_viewport_size({"width": width, "height": 2600})
        self.page.evaluate(
            """async ([theme, sidebar]) => { const app = window.jupyterapp;
              if (sidebar) app.shell.expandLeft(); else app.shell.collapseLeft();
              await app.commands.execute('apputils:change-theme', {theme}); }""",
            [f"JupyterLab {theme}", sidebar],
        )
        is_light = str(theme == "Light").lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{is_light}"]', state="attached")
        self.page.wait_for_timeout(300)  # ms; the new style is laid out
