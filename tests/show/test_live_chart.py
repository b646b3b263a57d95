"""The picture that follows a slider: right at once, from any thread, and the same each time."""

from __future__ import annotations

import io
import itertools
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from poolkit.show import charts
from poolkit.show.charts import live
from tests.show.cases import CASES, UNSWEPT, records


def scene(rate: float = 500.0, size: int | None = 15, hold_factor: float = 1.0) -> charts.Scene:
    sizing, trials, _ = records(CASES["a soft knee"])
    return charts.what_if(
        sizing,
        trials,
        size=size,
        target_rate=rate,
        wait_p99=0.010,
        waits=[(12, 0.03), (15, 0.008), (20, 0.0)],
        hold_factor=hold_factor,
    )


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


@pytest.mark.parametrize(("width", "height"), [(400, 300), (1200, 700)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_a_png_of_the_size_asked(width: int, height: int, dark: bool) -> None:
    """Any reader can open it, and its paper is that of the theme."""
    seen = pixels(charts.live_png(scene(), width, height, dark))
    assert seen.shape == (height, width, 3)
    assert bool(seen[-1, -1].mean() < 50) is dark


def test_a_kept_figure_gives_what_a_fresh_one_gives() -> None:
    """What was drawn before leaves no trace: the same scene is the same bytes, in any order."""
    live._kept.cache_clear()
    first = charts.live_png(scene(500))
    other = charts.live_png(scene(640, 22, hold_factor=1.5))
    assert other != first
    assert charts.live_png(charts.Scene(None, records(CASES["four pools"])[1][:3], None)) != first
    assert charts.live_png(scene(500)) == first
    live._kept.cache_clear()
    assert charts.live_png(scene(500)) == first


@pytest.mark.parametrize(
    "name", ["a soft knee", "target far above the plateau", "every trial failed", "four pools"]
)
def test_every_case_can_be_painted(name: str) -> None:
    """A running sweep, a review, an answer and none: each becomes a picture."""
    sizing, trials, recommendation = records(CASES[name])
    assert charts.live_png(charts.Scene(sizing, trials, recommendation))
    assert charts.live_png(charts.Scene(None, trials[:2], None))
    none = charts.what_if(sizing, trials, size=None, target_rate=5000.0, pools=4, pools_left=3)
    assert charts.live_png(none)
    assert charts.scene_alt_text(none)
    assert charts.live_png(charts.Scene(None, (), None))


SCENES = {
    "a rate in the middle": scene(500),
    "a rate near the plateau": scene(770, 40),
    "a rate beyond the plateau": scene(1200, None),
    "a rate far beyond the chart": scene(5200, None),
    "calls twice as long": scene(300, 22, hold_factor=2.0),
    "one connection": scene(40, 1),
    "many connections": scene(700, 60),
    "a wait above the chart": charts.what_if(
        *records(CASES["a soft knee"])[:2], size=9, target_rate=400, wait_p99=5.0
    ),
    **{name: charts.Scene(*records(CASES[name])) for name in ("four pools", "every trial failed")},
    **{name: charts.Scene(*records(CASES[name])) for name in ("states over a sweep", *UNSWEPT)},
    "climbed, before a size": charts.Scene(
        records(CASES["not pushed"])[0], records(CASES["not pushed"])[1][:4], None
    ),
    "under way": charts.Scene(None, records(CASES["a sharp knee"])[1][:5], None),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(("width", "height"), [(900, 560), (640, 420)])
def test_names_cover_nothing(name: str, width: int, height: int) -> None:
    """No name lies on a plot or another name or is cut off; the answer's own are always there."""
    shown = SCENES[name]
    charts.live_png(shown, width, height)
    figure = live._kept(width, height, False).figure
    made = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    legends = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]
    names = [text for legend in legends for text in legend.get_texts()]
    boxes = {text.get_text(): text.get_window_extent(made) for text in (*names, *figure.texts)}
    for words, box in boxes.items():
        assert 0 <= box.x0 < box.x1 <= width, words
        assert 0 <= box.y0 < box.y1 <= height, words
        assert not any(box.overlaps(axes.get_window_extent(made)) for axes in figure.axes), words
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert not a.overlaps(b), f"{one!r} covers {other!r}"
    if shown.target is not None:
        assert any(words.startswith("target ") for words in boxes)
    if shown.recommended is not None:
        assert any(words.startswith(("predicted ", "recommended ")) for words in boxes)


@pytest.mark.parametrize(
    ("asked", "finding"),
    [
        (
            {"target_rate": 1200, "limited_by": "plateau", "wait_p99": 0.01},
            "No pool size carries 1200 calls/s: throughput levels off at 785 calls/s",
        ),
        (
            {"target_rate": 780, "limited_by": "plateau", "wait_p99": 0.01},
            "No pool size carries 780 calls/s with p99 wait under 10 ms: that is too near the "
            "plateau, 785 calls/s",
        ),
        (
            {"target_rate": 500, "limited_by": "response", "response_p99": 0.02},
            "No pool size keeps p99 response under 20 ms at 500 calls/s: calls take longer even "
            "without a wait",
        ),
        (
            {"target_rate": 500, "limited_by": "cap", "wait_p99": 0.01},
            "500 calls/s with p99 wait under 10 ms need more connections than are allowed",
        ),
        ({"target_rate": 500}, "No size can be recommended for 500 calls/s"),
    ],
)
def test_out_of_reach_names_what_is_in_the_way(asked: dict[str, Any], finding: str) -> None:
    """The title never contradicts the picture: a rate below the plateau is not said to be above."""
    sizing, trials, _ = records(CASES["a soft knee"])
    found = charts.what_if(sizing, trials, size=None, **asked)
    assert charts.finding(found.sizing, found.recommendation, found.trials) == finding


def test_slower_calls_lower_the_curve() -> None:
    """Every call 1.5 times as long: throughput and plateau by as much lower, holds longer."""
    plain, slow = scene(), scene(hold_factor=1.5)
    assert plain.sizing is not None
    assert slow.sizing is not None
    for a, b in zip(plain.sizing.points, slow.sizing.points, strict=True):
        assert b.throughput == pytest.approx(a.throughput / 1.5)
    assert slow.plateau is not None
    assert plain.plateau is not None
    assert slow.plateau.throughput == pytest.approx(plain.plateau.throughput / 1.5)
    assert slow.curve[0].hold_time.p50 == pytest.approx((plain.curve[0].hold_time.p50 or 0) * 1.5)


def test_threads_may_paint_side_by_side() -> None:
    """Callbacks come on any thread: pictures are those of one thread alone."""
    rates = [450.0, 500.0, 550.0, 600.0]
    wanted = {rate: charts.live_png(scene(rate)) for rate in rates}
    seen: dict[float, bytes] = {}

    def paint(rate: float) -> None:
        seen[rate] = charts.live_png(scene(rate))

    threads = [threading.Thread(target=paint, args=(rate,), daemon=True) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert seen == wanted


def test_a_picture_too_small_to_read_is_refused() -> None:
    """The message names the least size and the one that was asked."""
    with pytest.raises(ValueError, match="400 x 300 px or more, got 300 x 200"):
        charts.live_png(scene(), 300, 200)
