"""Where a notebook's numbers come from: a finished review, the recordings, or a live measurement.

POOLKIT_SOURCE is `lab` (default: the embedded lab, measured now), `recorded` (what the project
keeps), the path of a targets.toml (measured now) or of a finished review.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import poolkit
from poolkit.errors import BadInput

VARIABLE = "POOLKIT_SOURCE"
RECORDED = "data/recordings/lab-review"


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
