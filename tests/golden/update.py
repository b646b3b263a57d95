"""Writes `expected/` anew: python -m tests.golden.update [CASE...]."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.golden.cases import CASES, EXPECTED


def update(names: list[str]) -> None:
    """Put what the cases of these names make into `expected/`; all of them where none is given."""
    for name in names or list(CASES):
        with tempfile.TemporaryDirectory(prefix="poolkit-golden-") as folder:
            made = CASES[name](Path(folder))
        shutil.rmtree(EXPECTED / name, ignore_errors=True)
        (EXPECTED / name).mkdir(parents=True)
        for file, text in made.items():
            (EXPECTED / name / file).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {len(made)} files\n")


if __name__ == "__main__":
    update(sys.argv[1:])
