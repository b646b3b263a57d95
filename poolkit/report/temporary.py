"""Temporary folders that last as long as the process, for what a cell may still want to read."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def lasting_folder(prefix: str) -> Path:
    """A new temporary folder that is removed when this process ends, whatever is in it then."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
