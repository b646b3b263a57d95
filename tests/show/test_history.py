"""The history of targets as a chart, a table and words; the panel and the report show them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from poolkit.errors import BadInput
from poolkit.panels import HistoryPanel
from poolkit.panels.panel import VIEW
from poolkit.report import page
from poolkit.report.folder import read_review
from poolkit.report.source import RECORDED, shared
from poolkit.review.history import HISTORY_FILE, read_history
from poolkit.review.trend import History
from poolkit.show import charts, over_time, tables
from poolkit.show.charts import style
from tests.show.outlooks import outlooks

MADE = shared(RECORDED).parent / "history"


@pytest.fixture(scope="module")
def made() -> History:
    return read_history([MADE])


def test_each_target_has_a_row_and_each_step_a_mark(made: History) -> None:
    """Where it was planted, in every chart whose quantity moved."""
    figure = charts.history(made)
    assert len(figure.axes) == 3 * len(made.trends)
    marks = [
        sum(
            to_hex(line.get_color()) == style.VERMILION and line.get_ls() == "-" for line in a.lines
        )
        for a in figure.axes
    ]
    assert marks == [1, 1, 1, 0, 0, 0]
    assert [text.get_text() for a in figure.axes for text in a.texts] == ["+3", "-20 %", "+25 %"]


def test_the_report_shows_the_demand_to_come(made: History) -> None:
    """A fan for whom it can be told, the reason for whom not; a target of one review has no row."""
    first, second = made.trends
    ahead = first.model_copy(update={"outlook": outlooks()["runs out"]})
    second = second.model_copy(update={"reviews": second.reviews[:1], "no_outlook": "no trials"})
    found = History(trends=(ahead, second))
    shown = page.over_time(found)
    assert len(charts.history(found).axes) == 3
    assert shown.html.count("<svg") == 2
    assert "<p>lab-db: Cannot say when the size runs out: no trials.</p>" in shown.html
    assert "lab-cpu: The size (24 connections) runs out in July (May at the earliest" in shown.html
    assert shown.html.count("<p>The line goes on") == 1
    assert "season" not in page.over_time(made).words


def test_the_words_hold_what_the_chart_shows(made: History) -> None:
    """For who cannot see it: figures of both ends, and each step with its reason."""
    said = charts.history_alt(made)
    assert said.startswith("Over 14 reviews: steps that last in lab-cpu and lab-db.")
    assert "plateau 787 calls/s (778–796) → 630 calls/s (618–641) from 2026-10-05 on" in said
    assert "upstream: hold time at one connection 17 ms → 22 ms" in said
    few = read_history(sorted(MADE.iterdir())[3:6])
    assert charts.history_finding(few) == "Over 3 reviews: too few to tell a step from noise"
    stable = read_history(sorted(MADE.iterdir())[1:9], ["lab-cpu"])
    assert list(over_time.said(stable.trends[0])) == ["no step that lasts in 8 comparable reviews"]


def test_the_table_has_a_row_for_each_review(made: History) -> None:
    """The first after a step stands out; each says what changed, why, and what not to compare."""
    table = tables.history(made.trends[0])
    assert len(table.rows) == 14
    assert table.emphasis == {9}
    assert table.rows[9][-1].startswith("size 13 → 16; plateau -21 %; hold time +27 %; upstream: ")
    assert table.rows[1][-1].startswith("not comparable: another kind of machine")
    assert table.rows[5][-1].endswith("versions: aiohttp 3.14.4 → 3.14.5")


def test_in_a_terminal_what_changed_has_a_table_of_its_own(made: History) -> None:
    """Of the latest reviews, with a row for those only that differ from the one before."""
    figures, changed = tables.history_in_short(made.trends[0], 8)
    assert figures.caption == "lab-cpu: 14 reviews, the latest 8"
    assert len(figures.rows) == 8
    assert figures.rows[3][1:4] == ("16", "623 calls/s (616–628)", "25 % (23–26)")
    assert figures.emphasis == {3}
    dates = [row[0] for row in changed.rows]
    assert dates == [row[0] for row in tables.history(made.trends[0]).rows[6:] if row[-1] != "–"]
    assert "2026-09-21" not in dates


def test_what_production_does_not_tell_has_no_column(made: History) -> None:
    """Nor do years stand around two observations of an hour."""
    first = made.trends[0].reviews[0]
    figures = {name: one for name, one in first.figures.items() if name != "plateau"}
    seen = tuple(
        first.model_copy(update={"measured": f"2026-08-03T06:{minute}:00Z", "figures": figures})
        for minute in (10, 40)
    )
    trend = made.trends[0].model_copy(update={"reviews": seen, "steps": ()})
    drawn = charts.history(History(trends=(trend,)))
    assert [axes.get_title(loc="left") for axes in drawn.axes] == [
        "lab-cpu\nsize (connections)",
        "hold time at the size (ms)",
    ]
    low, high = drawn.axes[0].get_xlim()
    assert high - low < 1.0


def test_reviews_of_one_day_are_told_apart_by_their_time(made: History) -> None:
    """As observations are, of which there may be several in an hour."""
    first, second = made.trends[0].reviews[:2]
    same = second.model_copy(update={"measured": "2026-08-03T17:05:00Z"})
    trend = made.trends[0].model_copy(update={"reviews": (first, same), "steps": ()})
    assert [row[0] for row in tables.history(trend).rows] == [
        "2026-08-03 06:30",
        "2026-08-03 17:05",
    ]


def test_the_panel_shows_all_targets_or_one() -> None:
    """Live and as HTML; a folder without reviews is told as a mistake until there is one."""
    panel = HistoryPanel(MADE)
    assert VIEW in panel._repr_mimebundle_()
    assert panel.targets == ("lab-cpu", "lab-db")
    assert panel.page().count("<caption>") == 2
    panel.widget().children[1].value = "lab-db"
    assert panel.target == "lab-db"
    assert panel.page().count("<caption>") == 1
    assert "steps that last in lab-db" in panel.widget().children[3].value


def test_the_panel_shows_when_a_size_runs_out() -> None:
    """A fan for the target whose demand is given, and once what no forecast knows."""
    panel = HistoryPanel(MADE, [f"lab-db={MADE / 'demand/lab-db.csv'}"])
    assert panel.page().count("<svg") == 2
    assert "runs out in February 2027 (November to April 2027)" in panel.page()
    assert panel.page().count('<p class="pk-small">The line goes on') == 1
    panel.show("lab-cpu")
    assert panel.page().count("<svg") == 1
    assert "no target here is called" in HistoryPanel(MADE, ["other=x.csv"]).page()


def test_the_panel_without_reviews_says_what_to_do(tmp_path: Path) -> None:
    """And finds them once they are there."""
    panel = HistoryPanel(tmp_path)
    assert "no review is left to be shown" in panel.html()
    with pytest.raises(BadInput):
        panel.result()
    shutil.copytree(MADE / "2026-08-17T063000Z", tmp_path / "first")
    panel.refresh()
    assert panel.result().reviews == 1


def test_the_report_shows_the_trend_after_what_changed(tmp_path: Path, made: History) -> None:
    """Where the folder holds what the records told."""
    folder = Path(shutil.copytree(shared(RECORDED), tmp_path / "review"))
    assert "over-time" not in page.decision(read_review(folder)).html
    (folder / HISTORY_FILE).write_text(made.model_dump_json())
    shown = page.decision(read_review(folder))
    assert 'id="over-time"' in shown.html
    assert (
        "lab-cpu: size 13 → 16, plateau 787 calls/s (778–796) → 630 calls/s (618–641)"
        in shown.words
    )
    assert shown.words.count("from 2026-10-05 on, 5 reviews bear it out") == 1
