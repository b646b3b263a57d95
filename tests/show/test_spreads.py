"""The chart of several cases' times side by side."""

from __future__ import annotations

import pytest

from poolkit.records import Distribution
from poolkit.show.charts import Spread, inline_svg, spreads, spreads_alt

ROWS = (
    Spread("sent", Distribution(count=9, p50=0.02, p95=0.03, p99=0.06, longest=0.1)),
    Spread("due", Distribution(count=9, p50=0.2, p95=0.4, p99=0.5, longest=0.6), is_focus=True),
)


def test_it_speaks_and_is_the_same_each_time() -> None:
    """Title, rows and figures stand in the words; the same rows give the same bytes."""
    words = spreads_alt(ROWS, "Twice as long")
    assert words.startswith("Twice as long. sent: half 20 ms or less, 99 % 60 ms or less")
    drawn = [inline_svg(spreads(ROWS, "Twice as long", "time"), alt=words) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert "half ≤ 20 ms" in drawn[0]


@pytest.mark.parametrize("longest", [0.0, 1e-6, 5.0])
def test_no_time_leaves_the_axes(longest: float) -> None:
    """Nothing waited, hardly anything, or five seconds: every mark and its words have room."""
    row = Spread("w", Distribution(count=3, p50=0.0, p95=longest, p99=longest, longest=longest))
    axes = spreads([row], "A title", "wait")
    low, high = axes.get_xlim()
    assert low < max(longest, 1e-5) * 1000 < high


def test_nothing_to_draw_is_refused() -> None:
    """No row, no chart."""
    with pytest.raises(ValueError, match="rows must be 1 or more"):
        spreads([], "t", "wait")
