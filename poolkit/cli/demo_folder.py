"""The demo's folder: made anew each time, and never somebody else's."""

from __future__ import annotations

from pathlib import Path

from poolkit.measure.store import make_anew

TARGETS = "targets.toml"
MARK = ".poolkit-demo"  # a folder that holds it was made by the demo


def make_ready(out: Path) -> Path:
    """Empty `out` of what an earlier demo wrote, and return where its targets.toml belongs.

    Raises:
        BadInput: the folder holds something and no demo made it, or it cannot be written.
    """
    make_anew(out, MARK, "poolkit demo")
    return out / TARGETS
