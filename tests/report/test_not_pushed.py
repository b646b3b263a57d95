"""A review that sent no more than the target rate: whole without a sweep, plateau or knee."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poolkit.analysis.sizing import size
from poolkit.panels import WhatIfPanel, sweep_page
from poolkit.panels.story import Findings, Story
from poolkit.recommend import recommend
from poolkit.records import Recommendation, Sizing, Sweep, Trial
from poolkit.report import page
from poolkit.report.expected import expected_waits
from poolkit.report.folder import read_review
from poolkit.review import export
from poolkit.show import charts, frames, tables, trust, words
from poolkit.show.charts.time_budget import in_service
from poolkit.targets.objective import Objective
from tests.recommend.examples import http_target
from tests.report import synthetic_review
from tests.show.cases import CASES, UNSWEPT, records

BY_CHOICE = "not pushed beyond that rate, by choice"
MISSING = re.compile(r"\b(None|nan|inf)\b")


def findings(name: str) -> Findings:
    """What a panel has of such a case."""
    made = CASES[name]
    sizing, trials, recommendation = records(made)
    objective = Objective(target_rate=made.rate, wait_p99=made.wait, push=False)
    return Findings(trials, sizing, recommendation, objective)


def story(name: str) -> Story:
    found = findings(name)
    return Story(
        target=found.sizing.target,
        phase="done",
        trials=found.trials,
        sizing=found.sizing,
        recommendation=found.recommendation,
        objective=found.objective,
    )


def said(sizing: Sizing, trials: tuple[Trial, ...], r: Recommendation) -> list[str]:
    """Every sentence and table that is made of a target."""
    return [
        *words.reasons(sizing),
        words.outcome(r),
        trust.how_sure(r),
        words.finding(sizing, r, trials),
        words.finding(sizing, None, trials),
        words.finding(None, None, trials),
        charts.alt_text(sizing, trials, r),
        charts.time_budget_alt(trials, r),
        charts.response_alt(sizing, trials, r),
        export.to_markdown([r], "2026-01-02T03:04:05Z"),
        *(
            table.markdown()
            for table in (
                tables.decision([r]),
                tables.decision_in_short([r]),
                tables.parameters(r),
                tables.checks(r),
                tables.curve(sizing),
                tables.knees(r, sizing),
                tables.states(sizing),
                tables.predictions(sizing),
                tables.rules_of_thumb(r),
                tables.signals(r),
                tables.trials(trials),
                tables.time_budget(trials),
                tables.cut_and_dials(trials),
                tables.trial_checks(trials),
            )
        ),
    ]


@pytest.mark.parametrize("name", UNSWEPT)
def test_nothing_is_said_of_what_was_not_looked_for(name: str) -> None:
    """No sentence or table shows a missing number, or says that a plateau was looked for."""
    for text in said(*records(CASES[name])):
        assert not MISSING.search(text), text
        assert "Bound by" not in text


def test_the_title_says_what_was_found_and_what_was_left_out() -> None:
    """The choice stands in the same sentence as the size; a review that failed says only that."""
    sizing, trials, r = records(CASES["not pushed"])
    assert words.finding(sizing, r, trials) == (
        f"11 connections carry 350 calls/s with p99 wait under 10 ms; {BY_CHOICE}"
    )
    assert words.bound_by(r) == "not looked for"
    failed = r.model_copy(update={"status": "stopped", "recommended_size": None})
    assert BY_CHOICE not in words.finding(sizing, failed, trials)


def test_a_climb_is_told_before_the_size_and_after_it() -> None:
    """While nothing is verified the title says how far the load came, then the first size."""
    sizing, trials, _ = records(CASES["not pushed"])
    assert words.finding(None, None, trials[:2]) == "At most 175 calls/s carried so far"
    assert words.finding(sizing, None, trials[:4]) == (
        "11 connections should do: predicted, to be verified"
    )


@pytest.mark.parametrize("name", UNSWEPT)
def test_the_panel_shows_a_story_without_a_sweep(name: str) -> None:
    """Chart and folded tables are there, by connections in use."""
    shown = story(name)
    chart = sweep_page.chart(shown)
    assert BY_CHOICE in chart
    results = sweep_page.results(shown)
    assert "Throughput by connections in use" in results
    assert not MISSING.search(re.sub(r"<[^>]*>", " ", chart + results))
    assert BY_CHOICE not in sweep_page.chart(Story(trials=shown.trials, sizing=None))


def test_the_panel_draws_from_the_climb_on() -> None:
    """Before the target is read there is nothing to draw; the climb shows what it has seen."""
    shown = story("not pushed")
    assert sweep_page.chart(Story("a", "running")) == ""
    assert "carried so far" in sweep_page.chart(Story("a", "running", trials=shown.trials[:2]))
    running = Story("a", "running", trials=shown.trials[:4], sizing=shown.sizing)
    assert "should do: predicted" in sweep_page.chart(running)


@pytest.mark.parametrize("name", UNSWEPT)
def test_what_if_answers_from_the_climb_or_says_why_not(name: str) -> None:
    """Without a sweep the open loops are the queue; where they are too few it is said."""
    panel = WhatIfPanel(findings(name))
    text = panel.html()
    assert not MISSING.search(re.sub(r"<[^>]*>", " ", text))
    assert "Predicted from the load up to the target rate" in text
    if CASES[name].rate == 350 and CASES[name].pools == 1:
        assert panel.ask(target_rate=250.0).size is not None
    else:
        assert panel.asked.answer.because


def test_the_waits_are_set_against_what_the_climb_foretold() -> None:
    """The verification is no part of its own prediction; too little load foretells nothing."""
    _, trials, r = records(CASES["not pushed"])
    serving = in_service(trials, r)
    assert serving is not None
    expected = expected_waits(trials, serving, 0.010)
    assert expected
    assert expected == expected_waits([*trials[:4], trials[-1]], serving, 0.010)
    assert expected_waits(trials[:1], serving, 0.010) == []


def test_a_frame_has_the_states() -> None:
    """T(n), C(n), X(n) = C(n) / T(n) and n / X(n) of each number in use."""
    sizing, trials, _ = records(CASES["not pushed"])
    frame = frames.states(sizing)
    assert len(frame) == len(sizing.states)
    assert frame.throughput.to_list() == pytest.approx((frame.releases / frame.seconds).to_list())
    assert frame.hold_mean.to_list() == pytest.approx((frame.in_use / frame.throughput).to_list())
    assert frame.attrs["units"]["in_use"] == "connections"
    assert frames.trials(trials).most_in_use.max() >= frame.in_use.max()
    empty = sizing.model_copy(update={"states": ()})
    assert list(frames.states(empty)) == list(frame)


def test_the_report_has_a_section(tmp_path: Path) -> None:
    """Claim, chart, parameters and signs; the plateau is not missed but was not looked for."""
    folder = synthetic_review.write(tmp_path / "review", tuple(CASES[name] for name in UNSWEPT[:3]))
    review = read_review(folder)
    for target in review.targets:
        section = page.section(target, review).html
        assert BY_CHOICE in section
        assert "Throughput by connections in use" in section
        assert "Squares: calls released" in section
        assert "n / S(1)" not in section
        assert not MISSING.search(re.sub(r"<[^>]*>", " ", section))
    assert "not looked for: no more than the target rate was sent" in page.weakest(review).words
    for part in (page.decision(review), page.summary(review)):
        assert not MISSING.search(part.words)
    assert page.prediction(review).rows
    assert page.scope(review).rows[0][-1] == "none, by choice"


def test_a_size_read_off_the_climb_can_be_saved() -> None:
    """The real sizing and recommendation of such trials: parameters with reasons, every file."""
    made = CASES["not pushed"]
    *climb, last = records(made)[1][:4]
    longer = synthetic_review.in_use(made, synthetic_review.ROOMY, made.rate, 3, 12.0)
    trials = (*climb, last.model_copy(update={"in_use": longer}))
    target = http_target(target_rate=350.0, push=False)
    found = size(Sweep(target=target.name, trials=trials), target)
    assert found.size is not None
    assert (found.points, found.knees, found.plateau) == ((), (), None)
    assert found.states
    r = recommend(target, found, None, trials, "done", 11.0)
    for text in said(found, trials, r):
        assert not MISSING.search(text), text
    saved = sweep_page.exports(
        Story(phase="done", trials=trials, sizing=found, recommendation=r, objective=target)
    )
    assert saved.count("download=") == 4
