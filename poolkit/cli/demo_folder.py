"""The demo's folder: made anew each time, and never somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

from poolkit.errors import BadInput
from poolkit.store import prepare_out

TARGETS = "targets.toml"
MARK = ".poolkit-demo"  # a folder that holds it was made by the demo
_WRITTEN = re.compile(
    r"[\w.-]+\.(trials\.jsonl|sizing\.json)"
    r"|recommended\.(json|csv|md)|pools\.py|review\.ipynb|report\.html|manifest\.json|since\.json"
    r"|targets\.toml|\..+\.\d+\.tmp"
)


def make_ready(out: Path) -> Path:
    """Empty `out` of what an earlier demo wrote, and return where its targets.toml belongs.

    Raises:
        BadInput: the folder holds something and no demo made it, or it cannot be written.
    """
    if out.is_dir() and not (out / MARK).is_file() and any(out.iterdir()):
        raise BadInput(
            f"--out {out} is not empty and was not made by poolkit demo",
            "name a folder that does not exist yet: nothing of yours is overwritten",
        )
    prepare_out(out)
    for path in out.iterdir():
        if _WRITTEN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()
    (out / MARK).write_text("This folder is emptied by each poolkit demo.\n", encoding="utf-8")
    return out / TARGETS
