"""A folder that a command makes anew each time, and never somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

from poolkit.errors import BadInput
from poolkit.store import prepare_out

_WRITTEN = re.compile(
    r"[\w.-]+\.(trials\.jsonl|sizing\.json|probe\.json)"
    r"|recommended\.(json|csv|md)|pools\.py|review\.ipynb|report\.(html|pdf)"
    r"|manifest\.json|since\.json|service\.json|targets\.toml|\..+\.\d+\.tmp"
)


def make_anew(out: Path, mark: str, command: str) -> None:
    """Empty `out` of what an earlier run of `command` wrote there; the file `mark` tells.

    Raises:
        BadInput: the folder holds something and has no mark, or it cannot be written.
    """
    if out.is_dir() and not (out / mark).is_file() and any(out.iterdir()):
        raise BadInput(
            f"--out {out} is not empty and was not made by {command}",
            "name a folder that does not exist yet: nothing of yours is overwritten",
        )
    prepare_out(out)
    for path in out.iterdir():
        if _WRITTEN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()
    (out / mark).write_text(f"This folder is emptied by each {command}.\n", encoding="utf-8")
