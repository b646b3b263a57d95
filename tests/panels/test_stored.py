"""Panels in committed notebooks: stored as HTML, for a widget ends with its kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat as untyped

from poolkit.panels.panel import VIEW
from poolkit.report.source import shared
from tests.notebooks.normal_form import executed, normal, problems

nbformat: Any = untyped
MAKE = """\
from poolkit.panels import SweepPanel, WhatIfPanel
panel = SweepPanel(target="lab-db").open()
panel"""


def test_a_panel_is_stored_without_its_widget(tmp_path: Path) -> None:
    """Executed, a panel is a widget and HTML; in normal form only the HTML is left."""
    path = tmp_path / "a.ipynb"
    cells = [nbformat.v4.new_code_cell(MAKE), nbformat.v4.new_code_cell("WhatIfPanel(panel)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    content = executed(path, {"POOLKIT_SOURCE": "recorded"})
    assert all(VIEW in cell.outputs[0].data for cell in content.cells)
    for cell in content.cells:
        cell.id = "other"
    assert sum("a widget of a kernel that is gone" in fault for fault in problems(content)) == 2
    assert problems(normal(content)) == []
    for cell in content.cells:
        assert set(cell.outputs[0].data) == {"text/html", "text/plain"}
        assert "<svg" in cell.outputs[0].data["text/html"]


def test_a_page_of_an_own_endpoint_ends_quietly(tmp_path: Path) -> None:
    """The sweep notebook as Voila serves it: an idle panel, no load, and no cell that fails."""
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.orders]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\n',
        encoding="utf-8",
    )
    page = {"SERVER_SOFTWARE": "voila/0.5", "POOLKIT_SOURCE": file.name, "PWD": str(tmp_path)}
    content = executed(shared("notebooks/02_pool_sweep.ipynb"), page)
    shown = [output for cell in content.cells for output in cell.get("outputs", ())]
    [panel] = [output for output in shown if VIEW in output.get("data", {})]
    assert shown == [panel]
    assert "Nothing measured yet" in panel.data["text/html"]
