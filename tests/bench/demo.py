"""How long `poolkit demo` takes and how much memory its whole tree of processes uses."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def tree_memory(process: psutil.Process) -> float:
    """Megabytes of a process and all below it; pages shared by several are counted once (PSS)."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total / 1e6


def main() -> None:
    """Print both; the figures to reach are 180 s and 800 MB."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "poolkit", "demo", "--out", str(Path(folder) / "demo")],
            stdout=subprocess.DEVNULL,
        )
        watched = psutil.Process(process.pid)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, tree_memory(watched))
            time.sleep(0.5)
    print(
        f"demo: exit {process.returncode}, {time.monotonic() - begin:.0f} s (<= 180), "
        f"peak {peak:.0f} MB of the whole tree (< 800)"
    )


if __name__ == "__main__":
    main()
