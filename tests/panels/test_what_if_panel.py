"""The what-if panel: answers beside today's, sliders that ask, and mistakes that are told."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from poolkit import units
from poolkit.errors import BadInput
from poolkit.panels import Question, RecordedSource, SweepPanel, WhatIfPanel
from poolkit.panels.panel import VIEW
from poolkit.panels.what_if import scene, sentence, words
from poolkit.report.source import RECORDED, shared


@pytest.fixture(scope="module")
def sweep() -> SweepPanel:
    return SweepPanel(RecordedSource(shared(RECORDED)), "lab-http").start()


@pytest.fixture
def panel(sweep: SweepPanel) -> WhatIfPanel:
    return WhatIfPanel(sweep.result())


def test_nothing_different_is_today(panel: WhatIfPanel) -> None:
    """The first answer is the sizing's own, give or take what verification moved."""
    assert panel.asked.today == panel.asked.answer
    assert panel.result().size == panel.asked.findings.sizing.size


@pytest.mark.parametrize("name", ["lab-http", "lab-cpu", "lab-contended", "lab-db"])
def test_today_is_what_the_sizing_expects(name: str) -> None:
    """One answer to one question: the figures beside the sliders and those of the size's reason."""
    found = SweepPanel(RecordedSource(shared(RECORDED)), name).start().result()
    today = WhatIfPanel(found).asked.today
    [expected] = [at for at in found.sizing.predictions if at.pool_size == today.size]
    assert today.because == found.sizing.because
    assert today.late == pytest.approx(expected.exceedance)
    assert today.wait_p99 == pytest.approx(expected.wait_p99)


def test_a_size_that_verification_moved_is_named_beside_the_curves() -> None:
    """13 were verified where the curve says 12: nobody finds two sizes for today without a word."""
    found = SweepPanel(RecordedSource(shared(RECORDED)), "lab-contended").start().result()
    assert "the curve says 12 and load at the target rate moved that to 13" in words(
        WhatIfPanel(found).asked
    )


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"target_rate": 700.0}, True),
        ({"growth": 1.2}, True),
        ({"hold_factor": 1.2}, True),
        ({"wait_p99": 0.001}, True),
        ({"wait_p99": 0.05}, False),
        ({"target_rate": 300.0}, False),
        ({"hold_factor": 0.7}, False),
    ],
)
def test_more_load_needs_more_connections(
    panel: WhatIfPanel, changes: dict[str, float], more: bool
) -> None:
    """Each slider pulls the size in the direction that it should."""
    today = panel.result().size
    size = panel.ask(**changes).size
    assert size is not None
    assert today is not None
    assert (size > today) is more
    assert size != today


def test_out_of_reach_is_said(panel: WhatIfPanel) -> None:
    """A rate above the plateau has no size, and the page says so in words."""
    assert panel.ask(target_rate=5000.0).size is None
    assert "No size will do" in panel.html()


def test_what_cannot_be_meant_is_refused(panel: WhatIfPanel) -> None:
    """As an error with a remedy; the last answer stays."""
    before = panel.result()
    with pytest.raises(BadInput, match="hold_factor must be more than 0"):
        panel.ask(hold_factor=0.0)
    assert panel.result() == before


def test_a_person_moves_the_sliders_after_two_threads_of_the_panel_did(panel: WhatIfPanel) -> None:
    """While a cell resets them the thread that paints may move one, and end after it."""
    panel._repr_mimebundle_()
    view = panel._view
    painting = threading.Thread(target=lambda: view._follow_lost(1))
    is_moving, may_end = threading.Event(), threading.Event()

    def hold(change: Any) -> None:
        if threading.current_thread() is painting:
            is_moving.set()
            assert may_end.wait(10)
        elif painting.ident is None:
            painting.start()
            assert is_moving.wait(10)

    view.sliders["lost_replicas"].observe(hold, names="value")
    panel.ask(replicas=4, lost_replicas=2)
    may_end.set()
    painting.join(10)
    view.sliders["growth"].value = 1.3
    assert view._question["growth"] == 1.3


def test_a_slider_moves_chart_and_table(sweep: SweepPanel) -> None:
    """The callback only asks; the answer comes from a thread of the panel, the latest one only."""
    panel = WhatIfPanel(sweep.result())
    assert VIEW in panel._repr_mimebundle_()
    view = panel._view
    words, chart = view.words.value, view.chart.value
    for rate in range(610, 700, 10):
        view.sliders["target_rate"].value = rate
    assert panel.wait_shown()
    assert panel.asked.question["target_rate"] == view.sliders["target_rate"].value
    assert view.words.value != words
    assert view.chart.value != chart
    assert 'alt="' in view.chart.value


def test_a_slider_that_makes_no_sense_is_told_on_the_page(sweep: SweepPanel) -> None:
    """And the next move that does takes the alert away."""
    panel = WhatIfPanel(sweep.result())
    panel._repr_mimebundle_()
    panel.follow(Question(hold_factor=-1.0))
    assert panel.wait_shown()
    assert 'role="alert"' in panel._view.alert.value
    with pytest.raises(BadInput):
        panel.result()
    panel._view.sliders["growth"].value = 1.5
    assert panel.wait_shown()
    assert panel._view.alert.value == ""
    assert panel.result().question["growth"] == 1.5


def with_objective(sweep: SweepPanel, **changes: Any) -> WhatIfPanel:
    found = sweep.result()
    panel = WhatIfPanel(replace(found, objective=found.objective.but(**changes)))
    panel._repr_mimebundle_()
    return panel


def test_a_slider_asks_what_it_says_and_nothing_else(sweep: SweepPanel) -> None:
    """A target with a response time alone gets no wait limit by the move of another slider."""
    panel = with_objective(sweep, wait_p99=None, response_p99=0.1)
    assert panel._view.sliders["wait_p99"].layout.display == "none"
    panel._view.sliders["growth"].value = 1.1
    panel._view.sliders["hold_factor"].value = 1.2
    assert panel.wait_shown()
    assert panel.asked.question == Question(growth=1.1, hold_factor=1.2)
    panel.ask(workers=2, lost_replicas=0)
    panel._view.sliders["growth"].value = 1.2
    assert panel.wait_shown()
    assert panel.asked.question == Question(growth=1.2, hold_factor=1.2, workers=2, lost_replicas=0)


def test_sliders_have_room_for_what_is_asked(sweep: SweepPanel) -> None:
    """Nothing is cut to a slider's end: forty replicas stay forty."""
    asked = {"replicas": 40, "lost_replicas": 10, "growth": 6.0, "wait_p99": 2.0, "max_size": 900}
    view = with_objective(sweep, **asked)._view
    assert (
        view.sliders["replicas"].value,
        view.sliders["lost_replicas"].value,
        view.sliders["growth"].value,
    ) == (40, 10, 6.0)
    assert (view.sliders["wait_p99"].value, view.sliders["max_connections"].value) == (
        pytest.approx(2000.0),
        900,
    )
    slow = with_objective(sweep, target_rate=1.5)
    assert slow._view.sliders["target_rate"].value == 1.5


def test_sliders_stand_at_what_the_answer_used(sweep: SweepPanel) -> None:
    """A fleet may lose a replica unless told otherwise: slider, table and sentence agree on it."""
    panel = WhatIfPanel(sweep.result())
    panel.ask(replicas=3, workers=1, max_connections=77)
    panel._repr_mimebundle_()
    sliders = panel._view.sliders
    names = ("replicas", "lost_replicas", "max_connections")
    assert [sliders[name].value for name in names] == [3, 1, 77]
    assert panel.asked.answer.objective.lost == 1
    sliders["lost_replicas"].value = 2
    sliders["replicas"].value = 2
    assert panel.wait_shown()
    assert sliders["lost_replicas"].value == panel.asked.answer.objective.lost == 1
    sliders["replicas"].value = 1
    assert panel.wait_shown()
    assert sliders["lost_replicas"].value == panel.asked.answer.objective.lost == 0


@pytest.mark.parametrize("target", ["lab-http", "lab-cpu", "lab-contended", "lab-db"])
@pytest.mark.parametrize("changes", [{}, {"hold_factor": 1.25}])
def test_sentence_table_and_chart_quote_one_plateau(target: str, changes: dict[str, float]) -> None:
    """Also of a figure of the fitted curve that lies a little higher or lower than the plateau."""
    panel = WhatIfPanel(SweepPanel(RecordedSource(shared(RECORDED)), target).start().result())
    height = panel.ask(**changes).plateau
    assert height is not None
    panel.ask(target_rate=0.995 * height, **changes)
    drawn = scene(panel.asked)
    assert drawn.plateau is not None
    assert drawn.plateau.throughput == pytest.approx(height)
    assert panel.asked.answer.size is None
    assert units.rate(height) in sentence(panel.asked)
    assert units.rate(height) in drawn.finding


def test_a_smaller_sweep_resets_the_sliders(sweep: SweepPanel) -> None:
    """From thousands of calls/s to one: the upper end never falls below the lower one."""
    panel = with_objective(sweep, target_rate=1_000_000.0)
    trials = tuple(
        trial.model_copy(update={"throughput": trial.throughput / 1000})
        for trial in sweep.result().trials
    )
    found = replace(sweep.result(), trials=trials)
    panel.take(replace(found, objective=found.objective.but(target_rate=0.5)))
    assert panel._view.sliders["target_rate"].value == 0.5
    assert panel._view.sliders["target_rate"].max < 100


def test_it_follows_the_panel_that_measures(sweep: SweepPanel) -> None:
    """A later sweep of the panel is what is asked about from then on."""
    followed = SweepPanel(RecordedSource(shared(RECORDED)), "lab-http").start()
    panel = WhatIfPanel(followed)
    panel._repr_mimebundle_()
    followed.target = "lab-db"
    followed.start()
    assert followed.wait_shown()
    assert panel.asked.findings.sizing.target == "lab-db"
    assert panel._view.sliders["target_rate"].value == panel.asked.findings.objective.target_rate


def test_the_page_is_the_same_each_time(panel: WhatIfPanel) -> None:
    """Stored outputs can be compared byte by byte."""
    assert panel.html() == panel.html()
    assert "<svg" in panel.html()
