"""The committed notebooks are in normal form, and what makes them so does."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat as untyped
import pytest
from nbval.plugin import get_sanitize_patterns  # type: ignore[import-untyped]

from poolkit.report.normal_form import executed, main, normal, problems
from poolkit.show import charts
from tests.show.cases import CASES, records

nbformat: Any = untyped
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_in_normal_form(path: Path) -> None:
    """Executed in order, stable ids, at most 30 cells of 10 lines, no host, path or time.

    `python -m poolkit.report.normal_form` writes them so.
    """
    assert problems(nbformat.read(path, 4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_have_the_shape_of_a_lesson(path: Path) -> None:
    """A question as title, one cell of imports, a cell tagged `parameters`, an assert cell."""
    cells = nbformat.read(path, 4).cells
    assert re.match(r"# .+\?\n", cells[0].source)
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert sum(bool(re.search(r"^(from|import) ", source, re.MULTILINE)) for source in code) == 1
    assert any("parameters" in cell.metadata.get("tags", ()) for cell in cells)
    assert any(re.search(r"^assert ", source, re.MULTILINE) for source in code)


def notebook(*sources: str) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


def test_normal_form_is_reached_and_kept(tmp_path: Path) -> None:
    """An executed notebook is in normal form after `normal`, and stays as it is the second time."""
    path = tmp_path / "a.ipynb"
    nbformat.write(notebook("1 + 1", "print('hello')"), path)
    content = normal(executed(path, {}))
    assert problems(content) == []
    once = nbformat.writes(content)
    assert nbformat.writes(normal(content)) == once
    assert content.cells[0].outputs[0].data["text/plain"] == "2"


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("<Thing at 0x7f0011223344>", "an address of an object"),
        ("started 2026-01-02T03:04:05", "a moment in time"),
        ("/home/somebody/file", "a path"),
    ],
)
def test_what_differs_from_run_to_run_is_found(output: str, fault: str) -> None:
    """An output that cannot be the same tomorrow is a problem."""
    content = normal(notebook("x"))
    data = {"text/plain": output}
    content.cells[0].outputs = [nbformat.v4.new_output("display_data", data=data)]
    assert len(problems(content)) == 1
    assert fault in problems(content)[0]


def test_disorder_is_found() -> None:
    """Wrong numbers, ids, metadata and too long cells are each named."""
    content = normal(notebook("1", "\n".join(["x = 1"] * 11)))
    content.cells[0].execution_count = 7
    content.cells[0].id = "other"
    content.cells[1].metadata["collapsed"] = True
    content.metadata["widgets"] = {}
    assert problems(content) == [
        "the notebook's metadata holds more than kernel and language",
        "cell 1 has the id 'other'",
        "cell 1 is numbered 7 instead of 1",
        "cell 2 has metadata beside tags",
        "cell 2 has 11 lines of code, more than 10",
    ]


def test_the_command_says_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook that cannot be executed is left as it was, and the exit code is 1."""
    path = tmp_path / "a.ipynb"
    nbformat.write(notebook("1 / 0"), path)
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert capsys.readouterr().out == "a.ipynb: a.ipynb: ZeroDivisionError: division by zero\n"


def test_the_kernel_is_this_interpreter(tmp_path: Path) -> None:
    """Whatever kernels are registered, notebooks run on the interpreter that was asked."""
    path = tmp_path / "a.ipynb"
    nbformat.write(notebook("import sys; sys.executable"), path)
    content = executed(path, {})
    assert content.cells[0].outputs[0].data["text/plain"] == repr(sys.executable)


def test_the_sanitize_file_is_understood() -> None:
    """nbval reads it by a regular expression that drops a malformed rule in silence."""
    text = (ROOT / "notebooks" / "sanitize.cfg").read_text(encoding="utf-8")
    patterns = dict(get_sanitize_patterns(text))
    assert len(patterns) == text.count("regex:") == text.count("replace:") == 1
    axes = charts.throughput_curve(*records(CASES["a soft knee"]))
    for shown in (charts.inline_svg(axes.figure, alt="15 connections"), "<p>499 calls/s</p>"):
        cleaned = f"before {shown} after"
        for pattern, replacement in patterns.items():
            cleaned = re.sub(pattern, replacement, cleaned)
        if "<svg" in shown:
            assert cleaned.count("<path") == 0
            assert 'aria-label="15 connections"></svg> after' in cleaned
        else:
            assert cleaned == f"before {shown} after"
