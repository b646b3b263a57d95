"""The charts beside the throughput curve: true titles, labels inside, words for every eye."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.records import Distribution, RecommendedFile, Trial
from poolkit.report.expected import expected_waits
from poolkit.review.compare import Comparison, compare
from poolkit.show import charts
from poolkit.show.charts import style
from poolkit.show.charts.changes import changes_shown
from poolkit.show.charts.time_budget import PARTS, all_in_service, budgets, in_service
from poolkit.show.course import MOST
from tests.report.synthetic_review import times
from tests.show import lifecycle
from tests.show.cases import CASES, UNSWEPT, records
from tests.show.outlooks import outlooks
from tests.show.test_throughput_curve import drawn

# Those that differ in what these charts show: bars, rates, fleets, endings.
SHAPES = (
    "a soft knee",
    "a database, the largest size failed its checks",
    "twelve sizes, knee at 40",
    "one connection is enough",
    "stopped after one size",
    "target above the plateau",
    "four pools",
    "large rates",
    *UNSWEPT,
)
SERVED = [name for name in SHAPES if CASES[name].size is not None and CASES[name].verified]


def serving(name: str) -> tuple[Trial, list[tuple[float, float]]]:
    """The trial in service of a case, and what was expected of it."""
    _, trials, recommendation = records(CASES[name])
    found = in_service(trials, recommendation)
    assert found is not None
    return found, expected_waits(trials, found, 0.010)


def crowded() -> tuple[Trial, Trial]:
    """A crowd without a gate, of which some starve, and behind a gate."""
    trial, _ = serving("a soft knee")
    rng = np.random.default_rng(3)
    base = trial.model_copy(update={"purpose": "fairness", "callers": 60, "pools": 1})
    alone = times(rng, 0.05, 2.5)
    starved = base.model_copy(update={"wait_time": alone, "fairness": 0.06})
    gate = {"wait_time": times(rng, 0.08, 0.1), "fairness": 0.97, "gate": 15}
    return starved, base.model_copy(update=gate)


def comparison(size: int = 31) -> Comparison:
    """Two reviews of two targets; of the first the size moved."""
    sizing, _, first = records(CASES["a soft knee"])
    second = records(CASES["a sharp knee"])[2]
    now = RecommendedFile(created="2026-04-02T00:00:00Z", targets=(first, second))
    old = first.model_copy(update={"recommended_size": size})
    then = RecommendedFile(created="2026-01-02T00:00:00Z", targets=(old, second))
    sizings = {first.target: sizing}
    return compare(then, now, sizings_before=sizings, sizings_after=sizings)


def budget() -> charts.FleetBudget:
    cases = (
        charts.FleetCase("now", 4, 2, 8),
        charts.FleetCase("after growth", 6, 2, 8),
        charts.FleetCase("one replica lost", 3, 2, 8),
    )
    return charts.FleetBudget(max_connections=100, reserved=3, in_use=17, cases=cases)


def many_verified() -> list[Trial]:
    """As many trials in service as a chart has room for, of sizes and rates of many digits."""
    trial = next(t for t in records(CASES["states over a sweep"])[1] if t.purpose == "verify")
    wide = {"pools": 12, "pool_size": 128, "arrival_rate": 12_500.0}
    return [trial.model_copy(update={**wide, "seed": i}) for i in range(MOST)]


def all_charts() -> dict[str, Callable[[], Axes]]:
    """Each chart on each case that has what it shows, by a name."""
    made: dict[str, Callable[[], Axes]] = {
        "fairness": lambda: charts.fairness(*crowded()),
        "changes": lambda: charts.changes(comparison()),
        "fleet": lambda: charts.fleet_budget(budget()),
        "course": lambda: charts.course(many_verified()),
    }
    for name, found in outlooks().items():
        made[f"demand, {name}"] = partial(charts.demand_fan, found)
    for name in SHAPES:
        sizing, trials, r = records(CASES[name])
        made[f"time budget, {name}"] = partial(charts.time_budget, trials, r)
        if r.recommended_size is not None:
            made[f"response, {name}"] = partial(charts.response_time, sizing, trials, r)
    for name in SERVED:
        made[f"wait, {name}"] = partial(charts.wait_distribution, *serving(name), 0.010)
    return made | lifecycle.all_charts()


CHARTS = all_charts()


def figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


@pytest.mark.parametrize("name", CHARTS)
def test_labels_neither_overlap_nor_leave_the_figure(name: str) -> None:
    """Whatever is drawn, no label covers another and none is cut off."""
    figure = figure_of(CHARTS[name]())
    made = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(made)) for text in drawn(figure)]
    assert len(boxes) > 3
    for words, box in boxes:
        assert box.x0 >= -1, words
        assert box.y0 >= -1, words
        assert box.x1 <= figure.bbox.x1 + 1, words
        assert box.y1 <= figure.bbox.y1 + 1, words
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        overlap_x = min(a.x1, b.x1) - max(a.x0, b.x0)
        overlap_y = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap_x, overlap_y) <= 2.0, f"{one!r} covers {other!r}"


@pytest.mark.parametrize(
    "name", ["fairness", "changes", "fleet", "wait, a soft knee", "time budget, a soft knee"]
)
def test_the_same_data_give_the_same_bytes(name: str) -> None:
    """A chart that did not change leaves no difference in a repository."""
    one, other = figure_of(CHARTS[name]()), figure_of(CHARTS[name]())
    assert charts.svg(one) == charts.svg(other)
    drawing = charts.inline_svg(one, alt="x")
    assert drawing == charts.inline_svg(other, alt="x")
    assert len(drawing) < 40_000


def test_given_axes_are_drawn_on_and_returned() -> None:
    """A caller's axes are used and get the title, so a chart can stand in a larger figure."""
    soft = records(CASES["a soft knee"])
    drawing: list[Callable[..., Axes]] = [
        partial(charts.fleet_budget, budget()),
        partial(charts.fairness, *crowded()),
        partial(charts.changes, comparison()),
        partial(charts.wait_distribution, *serving("a soft knee"), 0.01),
        partial(charts.time_budget, soft[1]),
        partial(charts.response_time, *soft),
    ]
    for draw in drawing:
        axes = charts.new_figure((9, 5)).subplots()
        assert draw(axes=axes) is axes
        assert axes.get_title(loc="left")


def test_words_in_an_inline_chart_are_text_as_wide_as_they_were_placed() -> None:
    """Words can be searched, are not rounded like coordinates, and cannot grow into each other."""
    axes = charts.fairness(*crowded())
    drawing = charts.inline_svg(figure_of(axes), alt="x")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    assert "without gate" in words
    assert any("Jain" in line and "0.06" in line for line in words)
    assert all("textLength" in tag for tag in re.findall(r"<text[^>]*>[^<]{3,}<", drawing))


def test_the_time_budget_adds_up_and_names_its_largest_part() -> None:
    """The parts of a call together are its response time, and the title says what most of it is."""
    _, trials, r = records(CASES["a soft knee"])
    closed = budgets(trials)
    assert list(closed) == [1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 48]
    assert set(closed[1]) == set(PARTS)
    hold = [t.hold_time.mean or 0 for t in trials if t.is_of_curve and t.pool_size == 1]
    service = closed[1]["service"] + closed[1]["release"]
    assert service == pytest.approx(sum(hold) / len(hold), rel=0.05)
    assert re.match(
        r"At 500/s a call takes \d+ ms: \d+ % service, \d+ % wait",
        charts.time_budget_finding(trials, r),
    )
    untimed = [t.model_copy(update={"service_time": Distribution(count=0)}) for t in trials]
    assert charts.time_budget_finding(untimed, r) == "The parts of a call were not recorded"


def test_the_waits_are_set_against_what_was_expected() -> None:
    """The title has both shares; without a wait target it says only what was seen."""
    trial, expected = serving("a soft knee")
    assert [w for w, _ in expected] == sorted(w for w, _ in expected)
    assert all(0 <= share <= 1 for _, share in expected)
    assert re.match(
        r"[\d.]+ % of the calls waited longer than 10 ms at 500/s; [<\d. ]+ % were predicted",
        charts.wait_finding(trial, expected, 0.010),
    )
    assert "predicted" not in charts.wait_finding(trial, [], 0.010)
    assert charts.wait_finding(trial, [], None).endswith("waited longer than 1 ms at 500/s")
    assert "Asked: at most 1 % wait longer than 10 ms." in charts.wait_alt(trial, expected, 0.010)


@pytest.mark.parametrize(
    ("larger", "words"),
    [
        (0.0200, "20 connections in place of 15 would serve nobody sooner"),
        (0.0150, "20 connections in place of 15 would shorten a call from 20 ms to 15 ms"),
        (0.0300, "20 connections in place of 15 would lengthen a call from 20 ms to 30 ms"),
    ],
)
def test_the_response_time_says_what_a_larger_pool_would_do(larger: float, words: str) -> None:
    """A larger pool helps callers, or only moves the queue, or harms them."""
    sizing, _, r = records(CASES["a soft knee"])
    shown = [p for p in sizing.predictions if p.pool_size in (15, 20)]
    changed = tuple(
        p.model_copy(update={"response_time": 0.020 if p.pool_size == 15 else larger})
        for p in shown
    )
    assert charts.response_finding(
        sizing.model_copy(update={"predictions": changed}), r
    ).startswith(words)


@pytest.mark.parametrize(
    ("in_use", "words"),
    [
        (17, "The fleet leaves 16 of 100 connections free; after growth 16 are missing"),
        (1, "The fleet leaves 32 of 100 connections free, and enough in every case"),
        (40, "The fleet may ask for 7 connections more than the server has: 64 of 57"),
    ],
)
def test_the_fleet_budget_says_what_is_left(in_use: int, words: str) -> None:
    """What is left today comes first, then the case in which it breaks."""
    made = budget()
    spent = charts.FleetBudget(made.max_connections, made.reserved, in_use, made.cases)
    assert charts.fleet_finding(spent) == words
    assert "4 replicas × 2 workers × 8 = 64" in charts.fleet_alt(spent)


def test_fairness_sets_the_longest_waits_against_each_other() -> None:
    """Who starves without the gate is seen; where the gate changes nothing, that is said."""
    without, gated = crowded()
    assert charts.fairness_finding(without, gated).startswith("Without the gate somebody waits")
    assert charts.fairness_finding(gated, gated).startswith("With the gate or without it")
    assert "Jain's index 0.06" in charts.fairness_alt(without, gated)


def test_what_changed_is_set_against_the_noise() -> None:
    """A size that moved by more than a connection is a change, anything else is not."""
    found = comparison()
    assert charts.changes_finding(found) == (
        f"1 of {len(changes_shown(found))} figures changed by more than noise since 2026-01-02: "
        "lab-cpu"
    )
    assert "lab-cpu, size: 31 then, 15 now, more than noise." in charts.changes_alt(found)
    assert "lab-cpu, Little's Law knee" in charts.changes_alt(found)
    assert charts.changes_finding(comparison(15)) == "Nothing changed by more than noise since " + (
        "2026-01-02"
    )
    crosses = [
        line for line in charts.changes(found).get_lines() if line.get_color() == style.VERMILION
    ]
    assert crosses  # a diamond as well as a colour
    assert any(line.get_marker() == "D" for line in crosses)


def test_waits_are_those_of_every_trial_of_the_size() -> None:
    """The share that a chart tells is the one that verification judged: of its trials together."""
    _, trials, r = records(CASES["a soft knee"])
    first = in_service(trials, r)
    assert first is not None
    slow = times(np.random.default_rng(5), 0.04)
    both = all_in_service([*trials, first.model_copy(update={"wait_time": slow})], r)
    assert both is not None
    assert both.wait_time.count == first.wait_time.count + slow.count
    assert both.wait_time.longest == max(first.wait_time.longest or 0.0, slow.longest or 0.0)
    assert "49.9 % of the calls waited longer" in charts.wait_finding(both, (), 0.020)
    assert all_in_service(trials, r) == first
