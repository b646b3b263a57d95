"""Drawing records: a chart takes and returns axes, computes nothing and never touches pyplot.

    from poolkit import charts
    axes = charts.throughput_curve(sizing, trials, recommendation)
    charts.svg(axes.figure)     # or charts.png(...), or charts.inline_svg(..., alt=...)

Each chart has its finding as a sentence (`..._finding`, its title) and its words (`..._alt`).

For a picture that follows sliders or a running sweep, in some 30 ms (100 ms where the
scale changes) and from any thread:

    scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
    charts.live_png(scene, width_px=900, height_px=560, dark=False)   # -> bytes of a PNG
    charts.scene_alt_text(scene)                                      # -> its words
"""

from poolkit.charts.changes import changes, changes_alt, changes_finding, changes_shown
from poolkit.charts.fairness import fairness, fairness_alt, fairness_finding
from poolkit.charts.figures import Drawn, inline_svg, new_figure, png, svg
from poolkit.charts.fleet_budget import (
    FleetBudget,
    FleetCase,
    fleet_alt,
    fleet_budget,
    fleet_finding,
)
from poolkit.charts.live import live_png
from poolkit.charts.response_time import response_alt, response_finding, response_time
from poolkit.charts.scene import CurveAxes, Scene, scene_alt_text, what_if
from poolkit.charts.throughput import OVERSIZED_FROM, throughput_curve
from poolkit.charts.time_budget import time_budget, time_budget_alt, time_budget_finding
from poolkit.charts.wait_distribution import wait_alt, wait_distribution, wait_finding
from poolkit.charts.words import alt_text, finding, footnote

__all__ = [
    "OVERSIZED_FROM",
    "CurveAxes",
    "Drawn",
    "FleetBudget",
    "FleetCase",
    "Scene",
    "alt_text",
    "changes",
    "changes_alt",
    "changes_finding",
    "changes_shown",
    "fairness",
    "fairness_alt",
    "fairness_finding",
    "finding",
    "fleet_alt",
    "fleet_budget",
    "fleet_finding",
    "footnote",
    "inline_svg",
    "live_png",
    "new_figure",
    "png",
    "response_alt",
    "response_finding",
    "response_time",
    "scene_alt_text",
    "svg",
    "throughput_curve",
    "time_budget",
    "time_budget_alt",
    "time_budget_finding",
    "wait_alt",
    "wait_distribution",
    "wait_finding",
    "what_if",
]
