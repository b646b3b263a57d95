"""Charts and tables of the course: each says its claim in words, too, and none breaks for lack."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from poolkit.panels import Findings, LabSource, RecordedSource, Request
from poolkit.records import Recommendation
from poolkit.workbook import fleet, lessons, measured, pictures, start
from poolkit.workbook import tables_of_lessons as lesson
from poolkit.workbook.measuring import line


def unverified(found: Findings) -> Findings:
    """The same sweep, never tried under load and without a size."""
    trials = tuple(trial for trial in found.trials if trial.is_of_curve)
    empty = Recommendation(
        target=found.sizing.target,
        driver="aiohttp",
        status="done",
        target_rate=found.objective.target_rate,
        hold_time=found.recommendation.hold_time,
    )
    return replace(found, trials=trials, recommendation=empty)


@pytest.mark.parametrize(
    "chart",
    [
        pictures.time_budget,
        pictures.holds,
        pictures.waits,
        pictures.recovery,
        pictures.gate,
        pictures.response,
    ],
    ids=lambda chart: chart.__name__,
)
def test_a_chart_speaks_and_a_missing_one_says_why(web: Findings, chart: object) -> None:
    """An <svg> with its words; where nothing was tried under load, a sentence in its place."""
    assert callable(chart)
    shown = chart(web)
    assert 'role="img" aria-label="' in shown.html
    assert len(repr(shown)) > 40
    without = chart(unverified(web))
    assert ("<svg" in without.html) == (chart in (pictures.time_budget, pictures.holds))
    assert repr(without).endswith(".")


def test_lessons_are_drawn(source: RecordedSource, web: Findings, database: Findings) -> None:
    """What is recorded of them shows what the lessons say."""
    (small,) = asyncio.run(lessons.served(lessons.too_small(web), source))
    assert "stamped when due" in repr(pictures.hidden(small))
    assert (small.response_time.p99 or 0.0) > 2 * (small.hold_time.p99 or 1.0)
    splits = lessons.overflows(database)
    tried = asyncio.run(lessons.served(splits, source))
    assert "connections dial" in repr(pictures.overflow(splits, tried))
    dials = [trial.connections_opened for trial in tried]
    assert dials == sorted(dials)
    assert len(lesson.overflow(splits, tried).rows) == 3
    behind = asyncio.run(lessons.served(lessons.hosts(), source))
    assert "Behind one gate half of all calls wait" in repr(pictures.hosts(behind, lessons.HOSTS))
    assert lesson.late_share(behind[0]) > 2 * lesson.late_share(behind[-1])
    assert len(lesson.hosts(behind, lessons.HOSTS).rows) == 3


def test_a_fleet_without_a_size_says_why(database: Findings) -> None:
    """In place of the chart stands the reason."""
    found = fleet.plan(database, fleet.Fleet(3, 1, 100, 3, 20))
    assert "<svg" in pictures.fleet(found).html
    none = replace(found, answer=replace(found.answer, size=None, because="the plateau is lower"))
    assert repr(pictures.fleet(none)) == "No size will do: the plateau is lower."


def test_both_sides_of_littles_law(web: Findings) -> None:
    """A trial whose count is off by a tenth is a tenth apart; the table has a row for each."""
    trials = lesson.curve(web)
    assert len(lesson.littles_law([web]).rows) == len(trials)
    assert all((lesson.apart(trial) or 0.0) <= lesson.LITTLE for trial in trials)
    one = trials[-1]
    assert one.wait_time.mean is not None
    assert one.hold_time.mean is not None
    exact = one.throughput * (one.wait_time.mean + one.hold_time.mean)
    off = one.model_copy(update={"concurrency": 1.1 * exact})
    assert lesson.apart(off) == pytest.approx(0.1)
    assert lesson.apart(one.model_copy(update={"concurrency": None})) is None


def test_what_one_connection_asks_for(web: Findings) -> None:
    """rate x p50 and 1.3 times that, by hand."""
    (row,) = lesson.of_one_connection([web]).records()
    p50 = lesson.curve(web)[0].hold_time.p50
    assert p50 is not None
    assert int(row["× 1.3"]) == round(web.objective.rate * p50 * 1.3)


def test_headroom_without_a_size_is_still_told(web: Findings) -> None:
    """The endpoint's own room does not depend on a size."""
    rows = {row[0]: row[1] for row in lesson.headroom(web).rows}
    assert rows["size"] == str(web.recommendation.recommended_size)
    plain = {row[0]: row[1] for row in lesson.headroom(unverified(web)).rows}
    assert plain["plateau left free"] == rows["plateau left free"]


def test_a_replay_shows_nothing_of_its_own(source: RecordedSource, web: Findings) -> None:
    """`measured` gives what was recorded at once; outside a notebook its line goes nowhere."""
    found = asyncio.run(measured(Request("lab-http"), source))
    assert found.trials == web.trials
    line()("nobody sees it")


def test_the_start_tells_the_targets_of_each_source(source: RecordedSource) -> None:
    """The same four targets, live or recorded; the machine is this one, or the recorded one."""
    lab, recorded = start.targets(LabSource()), start.targets(source)
    assert [row[0] for row in lab.rows] == [row[0] for row in recorded.rows]
    assert [row[3:] for row in lab.rows] == [row[3:] for row in recorded.rows]
    assert start.fitness(source).caption == "The machine that was recorded"
    assert len(start.fitness(LabSource()).rows) > len(start.fitness(source).rows) >= 2
    assert start.reviews(source).name == "recordings"
