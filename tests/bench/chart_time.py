"""How long charts take: a slider's picture, the report's drawing.

To reach: from a slider to a new chart in 100 ms in the kernel.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from poolkit.show import charts
from tests.show.cases import CASES, records

WIDTH, HEIGHT = 900, 560  # px
TIMES = 20
LIMIT = 100.0  # ms


def milliseconds(action: Callable[[int], object]) -> float:
    """The median of some runs, after one that is not counted."""
    action(0)
    seen = []
    for number in range(1, TIMES + 1):
        began = time.perf_counter()
        action(number)
        seen.append((time.perf_counter() - began) * 1000)
    return statistics.median(seen)


def main() -> int:
    """Print a line each."""
    sizing, trials, recommendation = records(CASES["a soft knee"])

    def slider(rate: float, hold_factor: float) -> bytes:
        scene = charts.what_if(
            sizing,
            trials,
            size=15,
            target_rate=rate,
            wait_p99=0.010,
            waits=[(p.pool_size, p.wait_p99) for p in sizing.predictions if p.wait_p99 is not None],
            hold_factor=hold_factor,
        )
        return charts.live_png(scene, WIDTH, HEIGHT)

    moved = milliseconds(lambda number: slider(500 + number, 1.0))
    rescaled = milliseconds(lambda number: slider(500, 1 + number / 50))
    running = milliseconds(
        lambda number: charts.live_png(charts.Scene(None, trials[: number + 1], None))
    )
    drawn = milliseconds(lambda _: charts.throughput_curve(sizing, trials, recommendation))
    figure = charts.throughput_curve(sizing, trials, recommendation).figure
    as_svg = milliseconds(lambda _: charts.inline_svg(figure, alt="x"))
    as_png = milliseconds(lambda _: charts.png(figure))
    for name, seen, limit in (
        ("live picture, the rate moves", moved, LIMIT),
        ("live picture, the scale moves", rescaled, LIMIT),
        ("live picture, one more trial", running, LIMIT),
        ("throughput curve, drawn", drawn, None),
        ("throughput curve, as SVG", as_svg, None),
        ("throughput curve, as PNG at 200 dpi", as_png, None),
    ):
        verdict = "" if limit is None else f"  (limit {limit:g} ms)"
        print(f"{name:38s} {seen:6.0f} ms{verdict}")
    return int(max(moved, rescaled, running) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
