"""How long each notebook takes on recordings, one after the other, its kernel's start included."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.interleaved import reached
from tests.notebooks.test_strict import NAMES, strict

LONGEST = 10.0  # s that a notebook takes on recordings, its kernel's start included


def main() -> int:
    """Print the seconds of each; the figure to reach is 10 s for every one."""
    with tempfile.TemporaryDirectory() as folder:
        ran = strict(NAMES, Path(folder) / "report.xml")
    for name, each in ran.items():
        print(f"{name:<26}{each.seconds:6.1f} s")
    longest = max(each.seconds for each in ran.values())
    faults = [name for name, each in ran.items() if each.faults]
    print(
        f"longest {longest:.1f} s: {reached(longest < LONGEST)} (< {LONGEST:g} s)"
        + (f"; not as stored: {', '.join(faults)}" if faults else "")
    )
    return int(longest >= LONGEST or bool(faults))


if __name__ == "__main__":
    sys.exit(main())
