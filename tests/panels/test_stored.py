"""Panels in committed notebooks: stored as HTML, for a widget ends with its kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat as untyped

from poolkit.panels.mime import VIEW
from poolkit.report.normal_form import executed, normal, problems

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
