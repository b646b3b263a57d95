"""The benchmark on real servers: what it takes for reached, and that its targets can be read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from poolkit.targets import load_targets
from tests.bench.needed import Repeats
from tests.bench.real_servers import CASES, DSN, HEADS, Row, report
from tests.bench.repeat_reviews import alike
from tests.real_servers import Server

ANSWER = {
    "push": True,
    "size": 11,
    "as_fast": 8,
    "limits": ["at_once 12"],
    "load": 18.0,
    "exit_code": 0,
    "above": 300.0,
}


TRIED = {9: Repeats(0, 3), 10: Repeats(3, 0), 11: Repeats(3, 0)}


def row(*, refused_from: float = 12, tried: dict[int, Repeats] = TRIED, **changes: Any) -> Row:
    """An answer for a server that needs 10 and refuses at 12, so 300 calls too many are a push."""
    return Row("uvicorn-limit-12", {**ANSWER, **changes}, tried, refused_from)


@pytest.mark.parametrize(
    ("changes", "misses"),
    [
        ({}, []),
        ({"size": 10}, []),
        ({"size": 9}, ["too small"]),
        ({"size": 12}, ["refused"]),
        ({"size": 14, "refused_from": math.inf}, ["too large"]),
        ({"tried": {11: Repeats(3, 0)}}, ["not known"]),  # nothing smaller was tried
        ({"tried": {}}, ["not known"]),
        ({"size": None, "exit_code": 3}, ["no answer"]),
        ({"exit_code": 1}, ["exit code"]),
        ({"push": False}, ["pushed"]),
        ({"push": False, "above": 0.0}, []),
    ],
)
def test_what_a_row_misses(changes: dict[str, Any], misses: list[str]) -> None:
    """Size, exit code, and calls above the target rate where none were allowed."""
    assert row(**changes).misses == misses
    assert len(row(**changes).cells()) == len(HEADS)


@pytest.mark.parametrize(
    ("rows", "reached"),
    [
        ([row(), row(push=False, above=0.0)], True),
        ([row(), row(push=False, above=0.0, size=9)], False),
        ([row(load=31.0)], False),
        ([row(load=31.0), row(load=29.0), row(load=25.0)], True),  # the median counts
        ([row(push=False, above=0.0, load=21.0)], False),
        ([], False),
    ],
)
def test_the_figures_that_must_be_reached(rows: list[Row], reached: bool) -> None:
    """Every row, and the seconds of load in the median."""
    assert report(rows) is reached


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("push", [True, False])
def test_every_case_is_a_target(
    name: str, push: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `poolkit size` reads it."""
    server = Server("http://127.0.0.1:1/", list)
    monkeypatch.setenv(DSN, "postgresql://user:password@127.0.0.1:1/db")
    path = tmp_path / "targets.toml"
    path.write_text(CASES[name].toml(name, server, push=push), encoding="utf-8")
    target = load_targets(path)[name]
    assert target.push is push
    assert target.target_rate == CASES[name].rate


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([11, 12, 12, 13], 4),
        ([11, 12, 12, 14], 3),
        ([50, 52, 48, 53], 3),  # 4 % of 50
        ([12, None, 12], 2),
        ([None, None], 0),
    ],
)
def test_sizes_that_are_alike(sizes: list[int | None], count: int) -> None:
    """One connection or 4 %; no size is like none."""
    assert alike(sizes) == count
