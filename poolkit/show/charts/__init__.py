"""Drawing records: a chart takes and returns axes, computes nothing and never touches pyplot.

    from poolkit.show import charts
    axes = charts.throughput_curve(sizing, trials, recommendation)
    charts.svg(axes.figure)     # or charts.png(...), or charts.inline_svg(..., alt=...)

Each chart has its finding as a sentence (`..._finding`, its title) and its words (`..._alt`).

For a picture that follows sliders or a running sweep, in some 30 ms (100 ms where the
scale changes) and from any thread:

    scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
    charts.live_png(scene, width_px=900, height_px=560, dark=False)   # -> bytes of a PNG
    charts.scene_alt_text(scene)                                      # -> its words
"""

from poolkit.show.charts.before_after import before_after, before_after_alt, before_after_finding
from poolkit.show.charts.changes import changes, changes_alt, changes_finding, changes_shown
from poolkit.show.charts.cold_start import cold_alt, cold_finding, cold_start
from poolkit.show.charts.course import course, course_alt, course_finding
from poolkit.show.charts.demand_fan import demand_alt, demand_fan, demand_finding
from poolkit.show.charts.fairness import fairness, fairness_alt, fairness_finding
from poolkit.show.charts.figures import Drawn, inline_svg, new_figure, png, svg
from poolkit.show.charts.fleet_budget import (
    FleetBudget,
    FleetCase,
    fleet_alt,
    fleet_budget,
    fleet_finding,
)
from poolkit.show.charts.history import history, history_alt, history_finding
from poolkit.show.charts.live import live_png
from poolkit.show.charts.of_probe import (
    checkout_costs,
    checkout_costs_alt,
    checkout_costs_finding,
    idle_proof,
    idle_proof_alt,
    idle_proof_finding,
    stale_calls,
    stale_calls_alt,
    stale_calls_finding,
)
from poolkit.show.charts.replicas import replicas, replicas_alt, replicas_finding
from poolkit.show.charts.response_time import response_alt, response_finding, response_time
from poolkit.show.charts.scene import CurveAxes, Scene, alt_text, scene_alt_text, what_if
from poolkit.show.charts.spreads import Spread, spreads, spreads_alt
from poolkit.show.charts.throughput import OVERSIZED_FROM, scene_curve, throughput_curve
from poolkit.show.charts.time_budget import time_budget, time_budget_alt, time_budget_finding
from poolkit.show.charts.wait_distribution import wait_alt, wait_distribution, wait_finding
from poolkit.show.charts.windows import windows, windows_alt, windows_finding
from poolkit.show.words import finding

__all__ = [
    "OVERSIZED_FROM",
    "CurveAxes",
    "Drawn",
    "FleetBudget",
    "FleetCase",
    "Scene",
    "Spread",
    "alt_text",
    "before_after",
    "before_after_alt",
    "before_after_finding",
    "changes",
    "changes_alt",
    "changes_finding",
    "changes_shown",
    "checkout_costs",
    "checkout_costs_alt",
    "checkout_costs_finding",
    "cold_alt",
    "cold_finding",
    "cold_start",
    "course",
    "course_alt",
    "course_finding",
    "demand_alt",
    "demand_fan",
    "demand_finding",
    "fairness",
    "fairness_alt",
    "fairness_finding",
    "finding",
    "fleet_alt",
    "fleet_budget",
    "fleet_finding",
    "history",
    "history_alt",
    "history_finding",
    "idle_proof",
    "idle_proof_alt",
    "idle_proof_finding",
    "inline_svg",
    "live_png",
    "new_figure",
    "png",
    "replicas",
    "replicas_alt",
    "replicas_finding",
    "response_alt",
    "response_finding",
    "response_time",
    "scene_alt_text",
    "scene_curve",
    "spreads",
    "spreads_alt",
    "stale_calls",
    "stale_calls_alt",
    "stale_calls_finding",
    "svg",
    "throughput_curve",
    "time_budget",
    "time_budget_alt",
    "time_budget_finding",
    "wait_alt",
    "wait_distribution",
    "wait_finding",
    "what_if",
    "windows",
    "windows_alt",
    "windows_finding",
]
