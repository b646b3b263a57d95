"""Where a notebook's numbers come from: a finished review, the recordings, or a live measurement.

POOLKIT_SOURCE is `lab` (default: the embedded lab, measured now), `recorded` (what the project
keeps), the path of a targets.toml (measured now) or of a finished review.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import poolkit
from poolkit.errors import BadInput, ExitCode

VARIABLE = "POOLKIT_SOURCE"
RECORDED = "data/recordings/lab-review"
# With these a review has left a folder that is worth reading.
_READABLE = {ExitCode.DONE, ExitCode.FINDINGS, ExitCode.STOPPED, ExitCode.OUT_OF_REACH}


def shared(relative: str) -> Path:
    """A file or folder of the project: beside the package in a checkout, else below sys.prefix.

    Raises:
        BadInput: it is in neither place.
    """
    places = (
        Path(poolkit.__file__).resolve().parent.parent / relative,
        Path(sys.prefix) / "share" / "poolkit" / relative,
    )
    for place in places:
        if place.exists():
            return place
    raise BadInput(
        f"{relative} is not installed with poolkit",
        "install poolkit from a wheel or run it from a checkout, which both carry it",
    )


def review_folder(review_dir: str = "", environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the review to show: `review_dir` if it is given, else what POOLKIT_SOURCE says.

    A live source is measured by `poolkit` in a process of its own, which takes a minute or two.

    Raises:
        BadInput: there is no such folder or file, or the measurement could not begin.
    """
    environment = os.environ if environment is None else environment
    source = environment.get(VARIABLE, "") or "lab"
    if review_dir:
        return Path(review_dir)
    if source == "recorded":
        return shared(RECORDED)
    if source == "lab":
        return _measured(["demo"])
    path = Path(source)
    if path.is_dir():
        return path
    if path.is_file():
        return _measured(["review", "--targets", str(path)])
    raise BadInput(
        f"{VARIABLE}={source} is no targets.toml and no folder of a review",
        "set it to lab, recorded, or the path of a targets.toml",
    )


def _measured(command: list[str]) -> Path:
    """Run a poolkit command that writes a review into a new temporary folder."""
    out = Path(tempfile.mkdtemp(prefix="poolkit-review-"))
    done = subprocess.run(
        [sys.executable, "-m", "poolkit", *command, "--out", str(out)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in _READABLE:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BadInput(f"poolkit {command[0]} failed: {words[0]}", "\n".join(words[1:]))
    return out
