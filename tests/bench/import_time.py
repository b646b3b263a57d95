"""How long `import poolkit` takes beside `import pandas`; medians of fresh interpreters."""

from __future__ import annotations

import statistics
import subprocess
import sys

REPEATS = 7


def seconds_to_import(module: str) -> float:
    """Seconds that a fresh interpreter spends on one import."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return float(output)


def main() -> None:
    """Print the ratio; the figure to reach is below 0.3."""
    ours, pandas = [], []
    for _ in range(REPEATS):
        ours.append(seconds_to_import("poolkit"))
        pandas.append(seconds_to_import("pandas"))
    a, b = statistics.median(ours), statistics.median(pandas)
    print(
        f"import poolkit {a * 1e3:.1f} ms, import pandas {b * 1e3:.0f} ms, "
        f"ratio {a / b:.3f} (< 0.3)"
    )


if __name__ == "__main__":
    main()
