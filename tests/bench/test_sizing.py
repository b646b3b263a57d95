"""The benchmark of sizes: what it keeps between runs, and what it takes for reached."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from poolkit.lab.catalogue import SIZING_CASES
from tests.analysis.simulate import Workers
from tests.bench.brute_force import Results
from tests.bench.needed import Repeats, needed
from tests.bench.population import Needed
from tests.bench.population import Row as Population
from tests.bench.provenance import caption, hash_of_code
from tests.bench.sizing import RULES, Row, report
from tests.bench.sizing_population import Examined, reaches


def test_results_of_other_code_are_not_taken_over(tmp_path: Path) -> None:
    """Rows carry a hash of the package; other rows stay in the file and out of the table."""
    path = tmp_path / "rows.jsonl"
    Results(path, "full", "old").add("mixed", "repeat", size=8, late=0.5)
    results = Results(path, "full", "new")
    assert len(results) == 0
    results.add("mixed", "repeat", size=9, late=0.0)
    assert Results(path, "full", "new").shares("mixed", "late") == {9: [0.0]}
    assert Results(path, "full", "old").shares("mixed", "late") == {8: [0.5]}
    assert len(Results(path, "quick", "new")) == 0
    assert [json.loads(line)["code"] for line in path.read_text().splitlines()] == ["old", "new"]


def test_the_hash_changes_with_any_line(tmp_path: Path) -> None:
    """And with a file's name."""
    (tmp_path / "a.py").write_text("x = 1\n")
    first = hash_of_code(tmp_path)
    assert hash_of_code(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2\n")
    second = hash_of_code(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, hash_of_code(tmp_path)}) == 3


def test_the_caption_names_day_machine_and_code() -> None:
    """So that a table can be pasted as it is."""
    assert re.match(r"\d{4}-\d\d-\d\d; .+, \d+ cores?; Python 3\.\d+\.\d+; commit \S+$", caption())


def row(name: str, *, size: int = 12, load: float = 40.0, knee_error: float | None = 0.01) -> Row:
    """An upstream that needs 12 connections."""
    tried = {11: Repeats(0, 3), 12: Repeats(3, 0), 13: Repeats(3, 0)}
    tried |= {10: Repeats(0, 3), 14: Repeats(3, 0)}
    rules = dict.fromkeys(RULES, 12)
    return Row(name, size, needed(tried), tried, load, knee_error, rules)


@pytest.mark.parametrize(
    ("changes", "reached", "because"),
    [
        ({}, True, "all as it should be"),
        ({"mixed": {"size": 13}}, True, "one connection more"),
        ({"mixed": {"size": 14}}, False, "none may be too large"),
        ({"mixed": {"size": 11}}, False, "none may be too small"),
        ({"cpu-60": {"load": 46.0}}, False, "a sizing may take 45 s of load"),
        ({"mixed": {"knee_error": 0.2}}, True, "the median of the knees counts"),
        (
            {name: {"knee_error": 0.06} for name in SIZING_CASES if "workers" in name},
            False,
            "which may be off by 5 %",
        ),
        (
            {name: {"knee_error": None} for name in SIZING_CASES if "workers" in name},
            False,
            "and must be seen",
        ),
        ({"cpu-90": {"knee_error": 0.5}}, True, "of workers only"),
    ],
)
def test_the_figures_that_must_be_reached(
    changes: dict[str, dict[str, Any]],
    reached: bool,
    because: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Sizes, load and knees; every rule of thumb stands in the same table."""
    rows = [row(name, **changes.get(name, {})) for name in SIZING_CASES]
    assert report(rows) is reached, because
    printed = capsys.readouterr().out
    assert printed.startswith(caption())
    assert "| netflix_gradient2 |" in printed


def test_nothing_examined_is_nothing_reached() -> None:
    """An empty table is no success."""
    assert not report([])


def examined(family: str, **answers: int | None) -> Examined:
    """One upstream that needs 12 connections, with one answer of each method."""
    row = Population(family, "drawn", Workers(8, 0.01), 800.0, 500.0)
    return Examined(row, Needed(12, 12), {name: (size,) for name, size in answers.items()})


@pytest.mark.parametrize(
    ("found", "reached", "because"),
    [
        ([examined("workers", poolkit=12, rule=9)], True, "right where the rule is not"),
        ([examined("workers", poolkit=9, rule=9)], False, "below what is needed"),
        ([examined("workers", poolkit=30, rule=9)], False, "far above"),
        (
            [examined("workers", poolkit=12, rule=12), examined("heavy", poolkit=9, rule=12)],
            False,
            "another method is right more often",
        ),
        ([], False, "nothing examined"),
    ],
)
def test_the_population_has_figures_too(found: list[Examined], reached: bool, because: str) -> None:
    """On the kinds that poolkit was made with, and against every other method."""
    assert reaches(found) is reached, because
