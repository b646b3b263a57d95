"""Where a notebook's numbers come from: a finished review, the recordings, or a live measurement.

POOLKIT_SOURCE is `lab` (default: the embedded lab, measured now), `recorded` (what the project
keeps), the path of a targets.toml (measured now) or of a finished review.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import poolkit
from poolkit.errors import BadInput, ExitCode
from poolkit.report.temporary import lasting_folder

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


def named(environment: Mapping[str, str] | None = None) -> Literal["lab", "recorded"] | Path:
    """What POOLKIT_SOURCE says: `lab` (default), `recorded`, or the absolute path of what it names.

    A notebook's kernel runs in the notebook's folder, so a relative path is looked for there, then
    in the folder of the shell that started Jupyter, then in the checkout.

    Raises:
        BadInput: it is a path that leads nowhere.
    """
    environment = os.environ if environment is None else environment
    said = environment.get(VARIABLE, "")
    if said in ("", "lab"):
        return "lab"
    if said == "recorded":
        return "recorded"
    path = Path(said).expanduser()
    checkout = Path(poolkit.__file__).resolve().parent.parent
    for place in (Path.cwd(), Path(environment.get("PWD", ".")), checkout):
        if (place / path).exists():
            return (place / path).resolve()
    raise BadInput(
        f"{VARIABLE}={said} is no targets.toml and no folder of a review",
        "set it to lab, recorded, or the path of a targets.toml",
    )


def review_folder(review_dir: str = "", environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the review to show: `review_dir` if it is given, else what POOLKIT_SOURCE says.

    A live source is measured by `poolkit` in a process of its own, which takes a minute or two.

    Raises:
        BadInput: there is no such folder or file, or the measurement could not begin.
    """
    if review_dir:
        return Path(review_dir)
    source = named(environment)
    if source == "recorded":
        return shared(RECORDED)
    if source == "lab":
        return _measured(["demo"])
    return source if source.is_dir() else _measured(["review", "--targets", str(source)])


def _measured(command: list[str]) -> Path:
    """Run a poolkit command that writes a review into a new temporary folder."""
    out = lasting_folder("poolkit-review-")
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
