"""The story of a measurement, told by the events of every ending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from poolkit import events
from poolkit.analysis.cold import advise
from poolkit.errors import Cancelled, ExitCode, PoolkitError
from poolkit.events import Event
from poolkit.panels import sweep_page
from poolkit.panels.story import Story
from poolkit.records import Trial
from poolkit.report.folder import read_review
from poolkit.report.source import RECORDED, shared
from poolkit.targets.objective import Objective
from tests.analysis.test_cold import start
from tests.cli import recorded
from tests.recommend import examples


def told(happened: Sequence[Event]) -> Story:
    story = Story("orders-api", "starting")
    for event in happened:
        story = story.after(event)
    return story


def recorded_trials(name: str) -> tuple[Trial, ...]:
    found = {target.name: target for target in read_review(shared(RECORDED)).targets}
    return found[name].trials


def done(code: int) -> Event:
    return events.Done(target="orders-api", exit_code=code)


ASKED = Objective(target_rate=600, wait_p99=0.01, max_size=64)
FAILED = recorded.failed()
CANCEL = events.Failed(target="orders-api", cause="cancelled", exit_code=130)


def test_a_whole_measurement_is_told() -> None:
    """Trials in order, sizing, recommendation, and the bar full at the end."""
    story = told(recorded.whole())
    assert (story.phase, story.exit_code, story.progress) == ("done", ExitCode.DONE, 1.0)
    assert len(story.trials) == 2
    assert story.sizing is not None
    assert story.recommendation is not None
    assert story.error is None
    assert story.headline.startswith("orders-api: 1")


def test_cold_starts_are_told_and_no_evidence_of_the_size() -> None:
    """Their table stands with the results; the curve and the cells below do without them."""
    lazy = examples.verifying_trial(purpose="cold", pool_size=6, cold=start())
    advice = advise([lazy], 6, 1)
    assert advice is not None
    story = told(recorded.whole())
    assert story.recommendation is not None
    found = story.recommendation.model_copy(update={"cold": advice})
    asked = replace(story, trials=(*story.trials, lazy), recommendation=found, objective=ASKED)
    assert asked.findings is not None
    assert asked.findings.trials == story.trials
    shown = sweep_page.results(asked)
    assert "Cold starts, by the connections that the pool dials first" in shown
    assert "Dial 6 connections before the service reports ready" in shown


@pytest.mark.parametrize(
    ("happened", "phase", "error"),
    [
        ([], "starting", type(None)),
        ([recorded.started()], "running", type(None)),
        ([recorded.started(), FAILED], "failed", PoolkitError),
        ([recorded.started(), FAILED, done(3)], "failed", PoolkitError),  # Done says no more
        ([CANCEL, done(130)], "cancelled", Cancelled),
        ([recorded.started(), done(4)], "done", type(None)),  # out of reach is a result
    ],
)
def test_every_ending_has_its_phase_and_its_error(
    happened: list[Event], phase: str, error: type
) -> None:
    """What `result` raises follows from the last words of the child."""
    story = told(happened)
    assert story.phase == phase
    assert type(story.error) is error


def test_the_error_carries_cause_remedy_and_exit_code() -> None:
    """What the page shows is what `result` raises."""
    story = told([recorded.started(), FAILED])
    assert isinstance(story.error, PoolkitError)
    assert story.error.cause == "stopped by the errors brake: 60 % of the calls failed"
    assert story.error.remedy == "see what the server says"
    assert story.error.exit_code == ExitCode.STOPPED


def test_being_cancelled_stays_until_the_end() -> None:
    """Events that were under way do not undo a Cancel; a story that is over is not cancelled."""
    story = told([recorded.started(), recorded.progress()]).cancelling()
    for event in (recorded.ramp(), events.TrialDone(trial=examples.trial())):
        story = story.after(event)
    assert story.phase == "cancelling"
    assert story.after(CANCEL).phase == "cancelled"
    over = told(recorded.whole())
    assert over.cancelling() is over


def test_resumed_trials_come_first() -> None:
    """A measurement that goes on shows what was finished before."""
    trial = examples.trial()
    story = Story("orders-api", "starting").after(recorded.started(1), [trial])
    assert story.trials == (trial,)
    story = story.after(events.TrialDone(trial=examples.verifying_trial()))
    assert len(story.trials) == 2


def test_how_old_resumed_trials_are_is_told_once_it_is_known() -> None:
    """Nothing was measured, or a part; how to measure again stands beside what nothing was."""
    trial = examples.trial()
    story = Story("orders-api", "starting", note="All still count.")
    story = story.after(recorded.started(1), [trial])
    assert story.sources == "All still count."
    span = "from 2026-11-21 08:00 to 08:01 UTC (4 hours old)."
    over = story.after(events.Recommended(recommendation=recorded.recommendation())).after(done(0))
    assert over.sources == (
        f"All still count. Nothing was measured now: the 1 trial is {span} "
        "Tick “Measure again” and start for new ones."
    )
    assert over.recommendation is not None
    assert over.recommendation.resumed == over.resumed
    more = story.after(events.TrialDone(trial=examples.verifying_trial()))
    assert more.sources == f"All still count. 1 of 2 trials is {span}"
    assert Story("orders-api", note="Replayed.").sources == "Replayed."
    assert told(recorded.whole()).sources == ""


def test_time_left_is_told_while_load_runs() -> None:
    """Seconds sent and at most to come, never below zero."""
    story = told([recorded.started(), recorded.progress()])
    left = "12 s of load sent, at most 33 s to go"
    assert story.time_left.startswith(f"{left} · ")
    assert story.cancelling().time_left == left
    assert "now" not in story.headline
    late = events.Progress(target="a", seconds=50, budget=45, pool_size=1, throughput=1, calls=1)
    assert story.after(late).time_left.startswith("50 s of load sent, at most 0 s to go")
    assert story.after(late).progress == 1.0
    assert Story("orders-api", "starting").time_left == ""


def test_counters_never_run_back() -> None:
    """A trial's drain counts while it lasts and not in the sum: the bar waits until that is past.

    Trials are counted up, also over a start that goes on from what was cancelled.
    """

    def at(seconds: float, budget: float = 40) -> Event:
        return events.Progress(
            target="a", seconds=seconds, budget=budget, pool_size=1, throughput=1, calls=1
        )

    story, shown = told([recorded.started()]), list[tuple[float, float]]()
    for event in (at(34.2), at(35.7), at(34.8), at(35.0, budget=50), at(36.0)):
        story = story.after(event)
        shown.append((story.seconds, story.progress))
    assert shown == sorted(shown)
    assert shown[2] == (35.7, 35.7 / 40)
    kept = examples.trial()
    ended = story.after(events.TrialDone(trial=kept)).failed("cut", "", ExitCode.CANCELLED)
    assert ended.time_left == "1 trial, 36 s of load"
    again = replace(ended.taken_up(), phase="starting")
    assert again.trials == (kept,)
    again = again.after(recorded.started(1), [kept])
    assert again.trials == (kept,)
    # Trials that no longer count are gone with what was read from them.
    assert ended.taken_up().after(recorded.started()).trials == ()


def test_the_line_names_the_trial_that_runs_and_the_one_that_ended() -> None:
    """By number, which the chart's alternative text shares with it in its size."""
    begun = events.TrialStarted(
        target="a", purpose="ramp", loop="closed", pool_size=4, seconds=2, because="first look"
    )
    story = told([recorded.started(), begun])
    assert story.headline == "orders-api: trial 1, 4 connections, first look"
    assert story.size == 4
    assert "Now measured: 4 connections" in sweep_page.chart(replace(story, objective=ASKED))
    done = story.after(events.TrialDone(trial=examples.trial()))
    assert done.headline.startswith("orders-api: trial 1, ")
    assert done.size is None
    assert done.after(begun).headline.startswith("orders-api: trial 2, ")
    roomy = begun.model_copy(update={"purpose": "approach"})
    assert story.after(roomy).size is None


def test_the_target_is_in_the_live_chart_before_the_first_trial() -> None:
    """Its rate and its wait, as soon as the target is read; nothing is drawn before that."""
    story = Story("orders-api", "starting")
    assert sweep_page.chart(story) == ""
    drawn = sweep_page.chart(replace(story, objective=ASKED))
    assert "Target 600 calls/s" in drawn
    climb = told([recorded.started()])
    steps = recorded_trials("lab-http")[:3]
    for trial in steps:
        climb = climb.after(events.TrialDone(trial=trial))
    assert {trial.purpose for trial in steps} == {"approach"}
    assert "By connections in use" in sweep_page.chart(replace(climb, objective=ASKED))
