"""The committed notebooks, run on recordings, give exactly their stored outputs (strict nbval)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_stored_outputs_are_those_of_the_recordings(name: str) -> None:
    """A number that moved, in code or in a recording, is something that somebody must look at."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"),
            f"--nbval-sanitize-with={NOTEBOOKS / 'sanitize.cfg'}",
            str(NOTEBOOKS / f"{name}.ipynb"),
        ],
        env=os.environ | {"POOLKIT_SOURCE": "recorded"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
