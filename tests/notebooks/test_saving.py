"""A notebook that was run on recordings and saved is the file that it was, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat as untyped
import pytest

from poolkit.report.source import VARIABLE, shared
from poolkit.workbook import saving
from tests.notebooks.normal_form import executed

nbformat: Any = untyped


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the notebooks that stands for the project's own."""
    folder = tmp_path / "notebooks"
    shutil.copytree(shared("notebooks"), folder)
    monkeypatch.setattr(saving, "shared", lambda name: tmp_path / name)
    return folder


def saved(content: Any, file: Path) -> bytes:
    """What Jupyter's server writes: the hook's notebook, by nbformat."""
    model = {"type": "notebook", "content": content}
    saving.as_stored(model, file.name, SimpleNamespace(root_dir=str(file.parent)))
    nbformat.write(content, file)
    return file.read_bytes()


def as_jupyterlab_has_it(content: Any) -> Any:
    """What it adds to a notebook that was run: names of a kernel, counts, times, widgets."""
    content.metadata["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    content.metadata["language_info"]["version"] = "3.99.0"
    content.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    for cell in content.cells:
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-02T03:04:05Z"}
        for output in cell.get("outputs", ()):
            if output.output_type == "execute_result":
                cell.execution_count = output.execution_count = 70
                output.data[saving.WIDGET] = {"model_id": "f00d", "version_major": 2}
    return content


@pytest.mark.parametrize("name", ["00_start_here", "03_verify", "05_database_budget"])
def test_run_all_on_recordings_and_a_save_change_no_byte(course: Path, name: str) -> None:
    """Executed anew by a kernel of its own, with all that JupyterLab would add."""
    file = course / f"{name}.ipynb"
    before = file.read_bytes()
    content = executed(file, {VARIABLE: "recorded"})
    assert saved(as_jupyterlab_has_it(content), file) == before


def test_other_notebooks_are_left_as_they_are(course: Path, tmp_path: Path) -> None:
    """A copy of one's own keeps its metadata, and so does one that was not run to its end."""
    file = course / "03_verify.ipynb"
    content = as_jupyterlab_has_it(nbformat.read(file, 4))
    own = saved(content, tmp_path / "03_verify.ipynb")
    assert b"ipykernel" in own
    half = as_jupyterlab_has_it(nbformat.read(file, 4))
    half.cells[-2].execution_count = None
    assert half.cells[-2].cell_type == "code"
    assert b"ipykernel" in saved(half, file)
