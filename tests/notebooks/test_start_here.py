"""What the first notebook tells newcomers to write works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat as untyped
import pytest

from poolkit.panels import FileSource, LabSource, RecordedSource
from poolkit.report.source import RECORDED, shared
from poolkit.targets import load_targets
from poolkit.workbook import start

nbformat: Any = untyped
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_its_targets_toml_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied as it stands, the file is understood, and its secret is shown nowhere."""
    text = "\n".join(
        cell.source for cell in nbformat.read(NOTEBOOKS / "00_start_here.ipynb", 4).cells
    )
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "targets.toml"
    file.write_text(toml, encoding="utf-8")
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:s3cret@db.internal/orders")
    assert list(load_targets(file)) == ["orders-api", "orders-db"]
    shown = start.targets(FileSource(file))
    assert [row[0] for row in shown.rows] == ["orders-api", "orders-db"]
    assert "db.internal" in str(shown)
    assert "s3cret" not in str(shown)


def test_every_notebook_is_in_its_table() -> None:
    """Each notebook of the folder has a row, so that nobody has to guess."""
    text = (NOTEBOOKS / "00_start_here.ipynb").read_text(encoding="utf-8")
    for path in NOTEBOOKS.glob("*.ipynb"):
        assert path.stem == "00_start_here" or f"`{path.stem}`" in text


def test_the_targets_of_each_source_are_told() -> None:
    """The same four, live or recorded; the machine is this one, or the recorded one."""
    recording = RecordedSource(shared(RECORDED))
    lab, recorded = start.targets(LabSource()), start.targets(recording)
    assert [row[0] for row in lab.rows] == [row[0] for row in recorded.rows]
    assert [row[3:] for row in lab.rows] == [row[3:] for row in recorded.rows]
    assert start.fitness(recording).caption == "The machine that was recorded"
    assert len(start.fitness(LabSource()).rows) > len(start.fitness(recording).rows) >= 2
