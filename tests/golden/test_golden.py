"""The outputs of the code are those in `expected/`, byte for byte."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.golden.cases import CASES, EXPECTED

MOST_LINES = 200  # of a difference that is shown


@pytest.mark.lab
@pytest.mark.parametrize("name", CASES)
def test_what_must_not_change(name: str, tmp_path: Path) -> None:
    """A change on purpose is written by `python -m tests.golden.update`."""
    made = CASES[name](tmp_path)
    expected = {path.name: path.read_text(encoding="utf-8") for path in (EXPECTED / name).glob("*")}
    lines: list[str] = []
    for file in sorted({*made, *expected}):
        lines += difflib.unified_diff(
            expected.get(file, "").splitlines(),
            made.get(file, "").splitlines(),
            f"expected/{name}/{file}",
            f"made/{name}/{file}",
            lineterm="",
        )
    assert made == expected, "\n".join(["", *lines[:MOST_LINES]])


def test_every_expected_output_has_its_case() -> None:
    """What a case no longer makes does not stay behind."""
    assert {path.name for path in EXPECTED.iterdir()} == set(CASES)
