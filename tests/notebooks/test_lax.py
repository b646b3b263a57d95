"""Every notebook runs live (lax nbval): its asserts hold for what is measured now.

Some run on the lab, others on a targets.toml as a user writes one: named by a relative path, from
the folder above the notebooks, with a name that no notebook knows. These are `make notebooks-live`;
the one that `make test` runs live is that of tests/browser/test_sweep_notebook.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat as untyped
import pytest

from poolkit.lab.running import Lab

nbformat: Any = untyped
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
OWN = ("02_pool_sweep", "03_verify", "05_database_budget")
OWN_NAME = "orders-api"  # an HTTP target: 05 must take the lab's database
REVIEW = "capacity_review"  # made from a finished review, so one is measured for it
BUDGET = re.compile(r"^budget = (\d+)$", re.MULTILINE)
SHORTER = 0.35  # of the budget that a reader spends
LEAST = 4  # s: a sweep of fewer says nothing
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
PATIENCE = 600  # s, for a hang: the longest takes about 50

pytestmark = [pytest.mark.lab, pytest.mark.live, pytest.mark.timeout(2 * PATIENCE)]


def shortened(name: str, folder: Path, parameters: str = "") -> Path:
    """A copy of the notebook with a shorter budget, and `parameters` in place of its own."""
    content = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    (cell,) = [c for c in content.cells if "parameters" in c.metadata.get("tags", ())]
    cell.source = parameters or BUDGET.sub(
        lambda found: f"budget = {max(LEAST, round(SHORTER * int(found[1])))}", cell.source
    )
    copy = folder / f"{name}.ipynb"
    nbformat.write(content, copy)
    return copy


def run_lax(notebook: Path, source: str = "lab", shell: Path | None = None) -> None:
    """Every cell runs to its end, in the notebook's folder; outputs are not compared."""
    own = {} if shell is None else {"PWD": str(shell)}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"),
            str(notebook),
        ],
        env=os.environ | {"POOLKIT_SOURCE": source} | own,
        cwd=shell,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def run_review(folder: Path) -> None:
    """One target of the lab, reviewed live; the notebook of the report takes it."""
    out = folder / "review"
    with Lab(["lab-cpu"]) as lab:
        targets = lab.write_targets(folder / "targets.toml")
        command = [sys.executable, "-m", "poolkit", "review", "--budget", "6"]
        done = subprocess.run(
            [*command, "--targets", str(targets), "--out", str(out)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    # 1: with so short a sweep the size may be in doubt, which is what the notebook must show.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    run_lax(shortened(REVIEW, folder, f"review_dir = {str(out)!r}"))


def run_own(name: str, folder: Path) -> None:
    """The notebook as a user with an endpoint of their own runs it, nothing else set."""
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    with Lab(["lab-http"]) as lab:
        file = lab.write_targets(folder / "targets.toml")
        named = file.read_text(encoding="utf-8").replace("lab-http", OWN_NAME)
        file.write_text(named, encoding="utf-8")
        run_lax(shortened(name, notebooks), file.name, folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_live_on_the_lab(name: str, tmp_path: Path) -> None:
    """From import to the last assert, each measurement made now and as short as it may be."""
    if name == REVIEW:
        run_review(tmp_path)
    elif name in OWN:
        run_own(name, tmp_path)
    else:
        run_lax(shortened(name, tmp_path))
