"""Keeps the course's notebooks as they are stored when somebody runs and saves them.

    jupyter lab notebooks --FileContentsManager.pre_save_hook=poolkit.workbook.saving.as_stored

`make workbook` starts JupyterLab so. What JupyterLab adds of its own (views of widgets whose kernel
will be gone, names and versions of a kernel, times, ids) is left out of the file, so that Run All
on recordings and a save change no byte of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poolkit.report.source import shared

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def normal(content: Any) -> Any:
    """The notebook (a mapping of format 4) in normal form, changed in place.

    It is the same on every machine; what it shows stays as it is.
    """
    content["metadata"].clear()
    content["metadata"].update(METADATA)
    content["nbformat"], content["nbformat_minor"] = 4, 5
    count = 0
    for position, cell in enumerate(content["cells"], start=1):
        cell["id"] = f"cell-{position:02d}"
        tags = cell["metadata"].get("tags")
        cell["metadata"].clear()
        if tags:
            cell["metadata"]["tags"] = tags
        if cell["cell_type"] != "code":
            continue
        count += 1
        cell["execution_count"] = count
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = count
            if "metadata" in output:
                output["metadata"].clear()
            # A view of a widget whose kernel is gone; its static form stands beside it.
            output.get("data", {}).pop(WIDGET, None)
    return content


def as_stored(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """The hook of Jupyter's server before a save: notebooks of the course alone are touched."""
    if model.get("type") != "notebook" or model["content"].get("nbformat") != 4:
        return
    file = Path(contents_manager.root_dir, path.strip("/")).resolve()
    if file.parent == shared("notebooks").resolve() and _was_run(model["content"]):
        normal(model["content"])


def _was_run(content: Any) -> bool:
    """Whether every cell of code has run: a count of one that has not would be a lie."""
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    return all(cell.get("execution_count") is not None for cell in code)
