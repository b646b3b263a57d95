"""Drawing records: a chart takes and returns axes, computes nothing and never touches pyplot.

from poolkit import charts
axes = charts.throughput_curve(sizing, trials, recommendation)
charts.svg(axes.figure)      # or charts.png(...), charts.inline_svg(..., alt=charts.alt_text(...))
"""

from poolkit.charts.figures import inline_svg, new_figure, png, svg
from poolkit.charts.scene import CurveAxes
from poolkit.charts.throughput import OVERSIZED_FROM, throughput_curve
from poolkit.charts.words import alt_text, finding, footnote

__all__ = [
    "OVERSIZED_FROM",
    "CurveAxes",
    "alt_text",
    "finding",
    "footnote",
    "inline_svg",
    "new_figure",
    "png",
    "svg",
    "throughput_curve",
]
