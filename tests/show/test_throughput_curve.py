"""The throughput curve: every label readable, nothing by colour alone, the same bytes each time."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from poolkit.show import charts
from poolkit.show.charts import style
from tests.report.synthetic_review import Made
from tests.show.cases import CASES, UNSWEPT, records


def texts(figure: Figure) -> list[Text]:
    """Everything written on a figure that is seen."""
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip() and text.get_visible()
    ]


def drawn(figure: Figure) -> list[Text]:
    """The texts that reach the paper: a tick outside the limits keeps a label that does not."""
    figure.draw_without_rendering()
    ticks = {
        label: low <= tick.get_loc() <= high and label.get_visible()
        for axes in figure.axes
        for axis, (low, high) in (
            (axes.xaxis, sorted(axes.get_xlim())),
            (axes.yaxis, sorted(axes.get_ylim())),
        )
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
    }
    return [text for text in texts(figure) if ticks.get(text, True)]


@pytest.mark.parametrize("name", CASES)
def test_labels_neither_overlap_nor_leave_the_figure(name: str) -> None:
    """Whatever the curve looks like, no label covers another and none is cut off."""
    sizing, trials, recommendation = records(CASES[name])
    versions = "poolkit 0.1.0, aiohttp 3.14.5, python 3.11.7"
    figure = charts.throughput_curve(sizing, trials, recommendation, versions=versions).figure
    made = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(made)) for text in drawn(figure)]
    assert len(boxes) > 8
    for words, box in boxes:
        assert box.x0 >= 0, words
        assert box.y0 >= 0, words
        assert box.x1 <= figure.bbox.x1, words
        assert box.y1 <= figure.bbox.y1, words
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        overlap_x = min(a.x1, b.x1) - max(a.x0, b.x0)
        overlap_y = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap_x, overlap_y) <= 1.0, f"{one!r} covers {other!r}"


def words_on(made: Made) -> str:
    sizing, trials, recommendation = records(made)
    axes = charts.throughput_curve(sizing, trials, recommendation)
    return "\n".join(text.get_text() for text in texts(axes.figure))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a soft knee", "15 connections carry 500 calls/s with p99 wait under 10 ms"),
        ("a soft knee", "recommended 15\nverified: 499/s, wait p99 6.1 ms"),
        ("a soft knee", "target 500/s"),
        ("a soft knee", "plateau 785/s"),
        ("a soft knee", "n / S(1)"),
        ("a soft knee", "Little's Law knee\n12.9 (12.4–13.4)"),
        ("a soft knee", "undersized:"),
        ("a soft knee", "right size"),
        ("a soft knee", "oversized:"),
        ("a soft knee", "hold p50"),
        ("a soft knee", "hold p99"),
        ("a soft knee", "wait at target: p99"),
        ("a soft knee", "22 trials of 1 s · up to 2 repeats a size · seed 7"),
        ("a database, the largest size failed its checks", "failed a check:\nnot fitted"),
        ("target above the plateau", "No pool size carries 1200 calls/s"),
        ("target far above the plateau", "target 5200/s\nabove this chart"),
        ("stopped after three sizes", "Stopped early after 3 trials: no size recommended"),
        ("predicted, not verified", "not verified"),
        ("verification failed", "not confirmed: 604/s, wait p99 34 ms"),
        ("four pools", "recommended 4 in each of 4 pools"),
        ("states over a sweep", "by connections in use"),
        ("states over a sweep", "the same, seldom seen"),
        ("states over a sweep", "connections: pool size, or in use at once"),
        ("not pushed", "11 connections carry 350 calls/s with p99 wait under 10 ms; not pushed"),
        ("not pushed", "not pushed beyond that rate, by choice"),
        ("not pushed", "by connections in use"),
        ("not pushed", "mean hold, by connections in use"),
        ("not pushed", "target 350/s"),
        ("not pushed", "5 trials, 11 s of load"),
        ("not pushed", "no sweep: cannot say what more than 14 in use would carry"),
    ],
)
def test_every_line_is_named(name: str, words: str) -> None:
    """What a line, a band or a region means is written beside it, so colour is never needed."""
    flat = words_on(CASES[name]).replace("\n", " ")
    assert words.replace("\n", " ") in flat


def test_two_sizes_stand_beside_each_other() -> None:
    """A smaller size that serves as soon has its own line and region, and nobody waits there."""
    sizing, trials, one = records(CASES["a sharp knee"])
    two = one.model_copy(update={"smallest_as_fast": 12})
    drawn = {
        name: charts.throughput_curve(sizing, trials, recommendation)
        for name, recommendation in (("one", one), ("two", two))
    }
    said = {
        name: "\n".join(text.get_text() for text in texts(axes.figure)).replace("\n", " ")
        for name, axes in drawn.items()
    }
    assert "12 serve callers as soon" in said["two"]
    assert "12 give the same response time" in said["two"]
    assert "as fast" in said["two"]
    assert "as fast" not in said["one"]
    ends = {}
    for name, axes in drawn.items():
        region = axes.throughput.patches[0]  # that of sizes with which callers are served later
        assert isinstance(region, Rectangle)
        ends[name] = region.get_x() + region.get_width()
    assert 11 < ends["two"] < 12
    assert 19 < ends["one"] < 20
    alt = charts.alt_text(sizing, trials, two)
    assert "; 12 give the same response time (p99 wait under 10 ms decides)." in alt


def test_a_failed_trial_is_grey_and_not_on_the_curve() -> None:
    """A trial that failed a check appears as a grey cross, and the curve ends before it."""
    sizing, trials, recommendation = records(
        CASES["a database, the largest size failed its checks"]
    )
    axes = charts.throughput_curve(sizing, trials, recommendation)
    lines = axes.throughput.get_lines()
    crosses = [line for line in lines if line.get_marker() == "x"]
    curve = [line for line in lines if line.get_color() == style.BLUE]
    assert [line.get_color() for line in crosses] == [style.FAINT]
    assert {x for line in crosses for x in xs_of(line)} == {12.0}
    assert max(x for line in curve for x in xs_of(line)) == 8.0


def test_states_are_points_of_their_own_kind_over_the_curve() -> None:
    """Own marker and colour; small and pale where few calls were seen, or left out."""
    sizing, trials, recommendation = records(CASES["states over a sweep"])
    scene = charts.Scene(sizing, trials, recommendation)
    lines = charts.throughput_curve(sizing, trials, recommendation).throughput.get_lines()
    known, vague = (
        [line for line in lines if line.get_marker() == "s" and bool(line.get_alpha()) is pale]
        for pale in (False, True)
    )
    assert [xs_of(line) for line in known] == [[s.in_use for s in scene.states]]
    assert [xs_of(line) for line in vague] == [[s.in_use for s in scene.vague_states]]
    curve = next(line for line in lines if line.get_color() == style.BLUE)
    assert known[0].get_zorder() > curve.get_zorder()
    assert known[0].get_markersize() > vague[0].get_markersize()
    drawn_ones = {*scene.states, *scene.vague_states}
    left_out = [state for state in sizing.states if state not in drawn_ones]
    assert left_out
    assert max(state.releases for state in left_out) < min(s.releases for s in scene.states)


@pytest.mark.parametrize("name", UNSWEPT)
def test_without_a_sweep_the_states_carry_the_chart(name: str) -> None:
    """No curve, plateau, knee or asymptote; the axis ends at the last state, or at the size."""
    sizing, trials, recommendation = records(CASES[name])
    scene = charts.Scene(sizing, trials, recommendation)
    axes = charts.throughput_curve(sizing, trials, recommendation)
    words = "\n".join(text.get_text() for text in texts(axes.figure))
    for unseen in ("measured", "plateau", "Little's Law", "n / S(1)", "hold p50", "None", "nan"):
        assert unseen not in words
    last = max(scene.most_in_use or 0, scene.recommended or 0, 2)
    assert axes.throughput.get_xlim()[1] == pytest.approx(last * 1.13)


def xs_of(line: Line2D) -> list[float]:
    return [float(x) for x in np.asarray(line.get_xdata(), dtype=float)]


def test_the_axis_of_sizes_is_logarithmic_and_shared() -> None:
    """Doublings are equally far apart, and both halves agree about where a size lies."""
    axes = charts.throughput_curve(*records(CASES["a soft knee"]))
    assert axes.throughput.get_xscale() == "log"
    assert axes.throughput.get_xlim() == axes.times.get_xlim()


def test_the_same_data_give_the_same_bytes() -> None:
    """A chart that did not change leaves no difference in a repository."""
    one, other = (charts.throughput_curve(*records(CASES["a soft knee"])) for _ in range(2))
    assert charts.svg(one.figure) == charts.svg(other.figure)
    assert charts.png(one.figure) == charts.png(other.figure)
    assert not re.search(rb"\d{4}-\d\d-\d\d", charts.svg(one.figure).encode())


def test_given_axes_are_drawn_on_and_returned() -> None:
    """A caller's axes are used, so the chart can stand in a larger figure."""
    figure = charts.new_figure((8, 6))
    upper, lower = figure.subplots(2, 1, sharex=True)
    mine = charts.CurveAxes(upper, lower)
    assert charts.throughput_curve(*records(CASES["a soft knee"]), axes=mine) is mine
    assert mine.figure is figure
    assert upper.get_lines()


def test_a_running_sweep_is_drawn_without_a_result() -> None:
    """While nothing is known but trials, the chart shows these and says how many."""
    _, trials, _ = records(CASES["a soft knee"])
    axes = charts.throughput_curve(None, trials[:4], None)
    assert "measured: at most" in "\n".join(t.get_text() for t in texts(axes.figure))
    assert charts.throughput_curve(None, (), None).figure is not None


def test_inline_charts_follow_the_page_and_keep_their_ids_apart() -> None:
    """An inline chart speaks its alternative text, takes the page's colours and shares no id."""
    axes = charts.throughput_curve(*records(CASES["a soft knee"]))
    one = charts.inline_svg(axes.figure, alt='15 "connections" & more', label="one")
    other = charts.inline_svg(axes.figure, alt="x", label="other")
    assert 'role="img" aria-label="15 &quot;connections&quot; &amp; more"' in one
    assert f"var(--pk-ink, {style.INK})" in one
    assert "://" not in one
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', one)) <= ids[0]


@pytest.mark.parametrize("name", CASES)
def test_alternative_text_has_the_figures(name: str) -> None:
    """Who cannot see the chart hears the finding, the target and the recommendation."""
    made = CASES[name]
    sizing, trials, recommendation = records(made)
    words = charts.alt_text(sizing, trials, recommendation)
    assert words.startswith(charts.finding(sizing, recommendation, trials))
    assert "Target" in words
    assert ("Recommended" in words) == (made.size is not None)
    assert "nan" not in words


def test_a_fleet_that_lost_a_replica_says_so() -> None:
    """Verified with fewer pools than the fleet has: the title and the label tell both numbers."""
    sizing, trials, recommendation = records(CASES["four pools"])
    title = charts.finding(sizing, recommendation, trials, pools=5)
    assert title.startswith("5 pools of 4 connections carry 500 calls/s")
    assert title.endswith("even when only 4 of the 5 are left")
    axes = charts.throughput_curve(sizing, trials, recommendation, pools=5)
    flat = " ".join(t.get_text() for t in texts(axes.figure)).replace("\n", " ")
    assert "recommended 4 in each of 5 pools, seen with 4 left (16 in all)" in flat
