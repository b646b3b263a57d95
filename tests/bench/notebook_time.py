"""How long each notebook takes on recordings, and how soon a live sweep shows its first chart."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.interleaved import reached
from tests.browser.kernel import kernel
from tests.notebooks.test_strict import NAMES, NOTEBOOKS, strict

LONGEST = 10.0  # s that a notebook takes on recordings, its kernel's start included
FIRST_CHART = 4.0  # s from Run All to the first chart of 02, its kernel running


def first_chart() -> tuple[float, float]:
    """Seconds from Run All in 02, live on the lab, to the panel's first chart and to first data.

    The kernel runs already, as it does in a notebook that was just opened; the page's own part
    (tests/browser) is left out.
    """
    cells = json.loads((NOTEBOOKS / "02_pool_sweep.ipynb").read_text(encoding="utf-8"))["cells"]
    with kernel({"POOLKIT_SOURCE": "lab", "PYTHONWARNINGS": "ignore"}) as running:
        began, seen = time.monotonic(), list[float]()
        for cell in (each for each in cells if each["cell_type"] == "code"):
            running.start("".join(cell["source"]))
            if "SweepPanel(target" in "".join(cell["source"]):
                break
        running.wait_any(lambda value: "<img" in value and "Target " in value)
        seen.append(time.monotonic() - began)
        running.wait_any(lambda value: "<img" in value and "Nothing measured yet" not in value)
        seen.append(time.monotonic() - began)
    first, data = seen
    return first, data


def main() -> int:
    """Print the seconds of each; the figures to reach are 10 s for every one, 4 s to a chart."""
    first, data = first_chart()
    is_soon = first <= FIRST_CHART
    print(
        f"Run All in 02 to the first chart {first:.1f} s: {reached(is_soon)} "
        f"(<= {FIRST_CHART:g} s, without the kernel's start), to its first data {data:.1f} s"
    )
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
    return int(longest >= LONGEST or bool(faults) or not is_soon)


if __name__ == "__main__":
    sys.exit(main())
