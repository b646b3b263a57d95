"""The cells of the lessons on trials that were never pushed, and on a sweep with a climb."""

from __future__ import annotations

import ast
import re
from typing import Any

import nbformat as untyped
import pytest

from poolkit.panels.story import Findings
from poolkit.report.source import shared
from poolkit.show.words import NOT_PUSHED
from poolkit.targets.objective import Objective
from tests.show.cases import CASES, records

nbformat: Any = untyped
ELSEWHERE = ("SweepPanel(", "await lessons", "small.")  # cells that need an endpoint
MISSING = re.compile(r"\b(None|nan)\b")


def findings(name: str) -> Findings:
    made = CASES[name]
    objective = Objective(target_rate=made.rate, wait_p99=made.wait, push=made.push)
    sizing, trials, recommendation = records(made)
    return Findings(trials, sizing, recommendation, objective)


def shown_by(notebook: str, found: Any, *more: str) -> dict[str, str]:
    """What the cells of a notebook show, as words; those that ask an endpoint apart.

    Args:
        found: what is called so in the cells, or by one of the names in `more`.
    """
    space: dict[str, Any] = dict.fromkeys(("found", "panel", *more), found)
    shown = {}
    for cell in nbformat.read(shared("notebooks") / notebook, 4).cells:
        if cell.cell_type != "code" or any(word in cell.source for word in ELSEWHERE):
            continue
        # What is awaited is the measurement, and that is `found`.
        body = [line for line in ast.parse(cell.source).body if "await" not in ast.unparse(line)]
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), notebook, "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), notebook, "eval"), space)
            if value is None:  # of a cell that prints
                continue
            html = getattr(value, "_repr_html_", lambda: "")() or str(value)
            shown[cell.id] = re.sub(r"<[^>]*>", " ", html) + getattr(value, "words", "")
    return shown


@pytest.mark.parametrize("name", ["not pushed", "not pushed, no size", "states over a sweep"])
@pytest.mark.parametrize("notebook", ["02_pool_sweep.ipynb", "03_verify.ipynb"])
def test_every_cell_has_something_to_show(notebook: str, name: str) -> None:
    """No cell fails where the sweep was left out, and none shows a figure that is none."""
    shown = shown_by(notebook, findings(name))
    assert len(shown) > 7
    for cell, words in shown.items():
        assert not MISSING.search(words), (cell, words)


def test_the_sweep_lesson_puts_the_states_beside_the_sweep() -> None:
    """One chart has both, and one table the same throughput from either."""
    text = " ".join(shown_by("02_pool_sweep.ipynb", findings("states over a sweep")).values())
    assert "by connections in use" in text
    assert "X(n) (calls/s)" in text
    assert "apart (%)" in text
    assert "there is the sweep alone" not in text


def test_the_verification_lesson_begins_at_the_target_rate() -> None:
    """The climb is a table, and what was left out by choice is said where it would stand."""
    text = " ".join(shown_by("03_verify.ipynb", findings("not pushed")).values())
    assert "most in use" in text
    assert "Nothing beyond the target rate was sent here, by choice: push = false." in text
    assert NOT_PUSHED in " ".join(shown_by("02_pool_sweep.ipynb", findings("not pushed")).values())
    swept = " ".join(shown_by("03_verify.ipynb", findings("a soft knee")).values())
    assert "began with the sweep" in swept
