"""Temporary folders that a cell may still read, and that nobody has to remove."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_lasting_folder_ends_with_its_process() -> None:
    """It is there as long as the process is, whatever was put into it, and not a moment longer."""
    code = (
        "from poolkit.report.temporary import lasting_folder\n"
        "folder = lasting_folder('poolkit-test-')\n"
        "(folder / 'file').write_text('kept')\n"
        "print(folder, (folder / 'file').read_text())"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    folder, kept = done.stdout.split()
    assert kept == "kept"
    assert not Path(folder).exists()
