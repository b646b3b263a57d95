"""What a person feels of the panels: slider to chart in the kernel, and 1+1 while a sweep runs."""

from __future__ import annotations

import statistics
import sys
import time

from poolkit.panels import RecordedSource, SweepPanel, WhatIfPanel
from poolkit.report.source import RECORDED, shared
from tests.bench.interleaved import reached
from tests.browser.kernel import kernel

MOVES = 20  # of each slider
ASKED = 100
SWEEP = """
from poolkit.panels import LabSource, Request, SweepPanel
panel = SweepPanel(LabSource(), "lab-http", request=Request("lab-http", budget=20))
panel._repr_mimebundle_()
panel.start()
import time
while panel.story.phase != "running": time.sleep(0.05)
"""


def slider_times() -> list[float]:
    """Seconds from a slider's value to chart and table set, over rates, hold times and fleets."""
    found = SweepPanel(RecordedSource(shared(RECORDED)), "lab-cpu").start().result()
    panel = WhatIfPanel(found)
    panel._repr_mimebundle_()
    sliders: dict[str, list[float]] = {
        "target_rate": [300.0 + 15 * move for move in range(MOVES)],
        "hold_factor": [1.0 + move / 20 for move in range(MOVES)],
        "replicas": [1 + move % 5 for move in range(MOVES)],
    }
    seconds = []
    for name, values in sliders.items():
        for value in values:
            began = time.perf_counter()
            panel.ask(**{name: value})
            seconds.append(time.perf_counter() - began)
        panel.ask(target_rate=None, hold_factor=1.0, replicas=None)
    return seconds


def answer_times() -> list[float]:
    """Seconds until the kernel has answered 1+1, asked ten times a second during a sweep."""
    with kernel({"PYTHONWARNINGS": "ignore"}) as running:
        running.run(SWEEP)
        seconds = []
        for _ in range(ASKED):
            began = time.perf_counter()
            running.run("1+1")
            seconds.append(time.perf_counter() - began)
            time.sleep(0.1)
        story = running.run("print(panel.story.phase, panel.story.cause)").strip()
        assert story in ("running", "done"), story
    return seconds


def told(name: str, seconds: list[float], limit: float) -> bool:
    """One line: median, 95th percentile and longest; whether the 95th keeps to the figure."""
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * len(ordered))]
    print(
        f"{name}: median {statistics.median(ordered) * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms, "
        f"longest {ordered[-1] * 1e3:.0f} ms: {reached(p95 < limit)} (< {limit * 1e3:.0f} ms)"
    )
    return p95 < limit


def main() -> int:
    """Print both figures."""
    is_smooth = told("slider to chart and table", slider_times(), 0.1)
    answers = told("1+1 while a sweep runs", answer_times(), 0.2)
    return int(not (is_smooth and answers))


if __name__ == "__main__":
    sys.exit(main())
