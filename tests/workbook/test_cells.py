"""What a cell shows: tables and drawings of the frames that a reader made, with their words."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from poolkit.panels import Findings
from poolkit.workbook.cells import axes, chart, plotted, table, times, words


def test_a_frame_becomes_a_table() -> None:
    """Numbers to the right and short; what is missing is a dash; an index that counts is none."""
    frame = pd.DataFrame(
        {"size": [1, 2], "rate": [40.7312, None], "good": [True, False], "note": ["a", None]}
    )
    shown = table(frame, "A caption")
    assert shown.columns == ("size", "rate", "good", "note")
    assert shown.rows == (("1", "40.7", "✓ yes", "a"), ("2", "–", "✗ no", "–"))
    assert shown.numeric == {0, 1}
    assert "<caption>A caption</caption>" in shown.html()


def test_the_row_that_is_spoken_of_is_marked() -> None:
    """By its name; the colour is in the row itself, where JupyterLab's sanitizer leaves it."""
    frame = pd.DataFrame({"case": ["a", "b"], "size": [1, 2]})
    shown = table(frame, "", mark="b")
    assert (shown.emphasis, table(frame, "").emphasis) == ({1}, frozenset())
    (row,) = re.findall(r"<tr[^>]*pk-emphasis[^>]*><th[^>]*>b<", shown.html())
    assert 'style="background-color: rgba(' in row


def test_an_index_with_a_name_comes_first() -> None:
    """Also one of several levels, and that of an empty frame."""
    frame = pd.DataFrame({"target": ["a", "b"], "pool_size": [1, 2], "hold": [0.5, 0.25]})
    assert table(frame.set_index("target"), "").rows[0] == ("a", "1", "0.5")
    deep = table(frame.set_index(["target", "pool_size"]), "")
    assert deep.columns == ("target", "pool_size", "hold")
    assert table(frame.head(0), "").rows == ()


def test_a_drawing_speaks_and_follows_the_theme() -> None:
    """Its claim and its figures stand in its label; no word is drawn in plain black."""
    data = pd.DataFrame({"hold (ms)": [24.0, 66.4]}, index=pd.Index([1, 64], name="connections"))
    ax = axes()
    ax.plot(data, label="hold")
    ax.legend()
    shown = plotted(ax, "Calls hold longer", data)
    assert (
        repr(shown)
        == "Calls hold longer. connections 1: hold (ms) 24. connections 64: hold (ms) 66.4."
    )
    assert f'aria-label="{shown.words}"' in shown.html
    assert shown.html.count("<text") >= 4
    assert not re.search(r"<text[^>]*fill: (#000000|black)", shown.html)
    again = axes()
    again.plot(data, label="hold")
    again.legend()
    assert plotted(again, "Calls hold longer", data).html == shown.html


def test_series_differ_by_marker_too() -> None:
    """Never colour alone."""
    ax = axes()
    lines = [*ax.plot([1, 2]), *ax.plot([2, 1])]
    assert len({line.get_marker() for line in lines}) == 2
    assert len({line.get_color() for line in lines}) == 2


def test_times_side_by_side(web: Findings) -> None:
    """Each case by name, with its figures."""
    one, *_, last = web.trials
    shown = times({"alone": one.hold_time, "many": last.hold_time}, "Longer", "hold time", "many")
    assert repr(shown).startswith("Longer. alone: half ")
    assert "<svg" in shown.html
    with pytest.raises(ValueError, match="1 or more"):
        times({}, "Nothing", "hold time")


def test_charts_of_one_page_share_no_names() -> None:
    """What two charts refer to inside themselves differs, unless they are the same chart."""
    made = []
    for title in ("first", "second"):
        ax = axes()
        ax.plot([1, 2])
        made.append(set(re.findall(r' id="([^"]+)"', chart(ax, title).html)))
    assert made[0]
    assert not made[0] & made[1]


def test_a_sentence_stands_in_for_a_chart() -> None:
    """It is shown and read as it is, and no markup of it is one."""
    shown = words("fewer < more")
    assert repr(shown) == "fewer < more"
    assert "fewer &lt; more" in shown.html
