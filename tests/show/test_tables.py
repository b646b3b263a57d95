"""Tables: what they say, and that their HTML can be read by everyone."""

from __future__ import annotations

import re

import pytest

from poolkit import units
from poolkit.analysis.cold import advise
from poolkit.records import ColdStart, DialParts, RecommendedFile
from poolkit.review.compare import compare
from poolkit.show import cold, tables, trust, words
from poolkit.show.tables import Table
from tests.analysis.test_cold import start
from tests.recommend.examples import verifying_trial
from tests.report.synthetic_review import CLIENT_BOUND, LITTLE
from tests.show.cases import CASES, records


def test_decision_table() -> None:
    """One row a target, from the size to how sure it is."""
    found = [records(CASES[name])[2] for name in ("a soft knee", "verification failed")]
    assert tables.decision(found).markdown() == (
        "**Connections that each pool should hold**\n\n"
        "| target | size | how sure | set | rate asked | rate carried | p99 wait seen "
        "| bound by |\n"
        "| --- | ---: | --- | --- | ---: | ---: | ---: | --- |\n"
        "| lab-cpu | 15 | ✓ verified: 4 of 4 signs seen, no doubts | limit=15 | 500 calls/s "
        "| 499 calls/s | 6.1 ms | the server |\n"
        "| a | ⚠ 22 | ✗ not confirmed, 2 of 4 signs seen: too many calls waited and it broke down "
        "at 1.2 times the rate | limit=22 | 650 calls/s | 604 calls/s | 34 ms | the server |\n"
    )


def test_a_size_in_doubt_is_neither_green_nor_told_by_colour_alone() -> None:
    """A failed check beside a verified size: size and verdict both carry the mark of a doubt."""
    sound = records(CASES["a soft knee"])[2]
    doubtful = sound.model_copy(update={"checks": (*sound.checks, CLIENT_BOUND)})
    assert trust.how_sure(doubtful).startswith("⚠ verified with doubts")
    assert words.size(doubtful) == "⚠ 15"
    html = tables.decision([sound, doubtful]).html()
    assert html.count('<span class="pk-warn">') == 2
    assert html.count('<span class="pk-good">') == 1


LAZY, STORM = start(wait_p99=0.002), start(min_size=6, wait_p99=0.002, dial_rate=40.0)
SLOW, HALF = start(), start(min_size=3, is_warm=True)


@pytest.mark.parametrize(
    ("starts", "advised"),
    [
        ((LAZY, STORM), 0),  # empty pools do, whatever was tried after them
        ((SLOW, STORM, HALF), None),  # all are to be dialled, which was not tried
        ((SLOW, STORM, HALF, start(min_size=6, is_warm=True)), 3),  # did not hold either
        ((STORM,), None),
        ((HALF,), None),
        ((start(min_size=3, is_warm=True, wait_p99=0.002),), 0),
    ],
)
def test_the_cold_start_that_stands_out_is_the_one_advised(
    starts: tuple[ColdStart, ...], advised: int | None
) -> None:
    """And what was tried is drawn, whichever of the kinds there are."""
    trials = [verifying_trial(purpose="cold", pool_size=6, pools=4, cold=one) for one in starts]
    advice = advise(trials, 6, 4)
    assert advice is not None
    emphasis = frozenset() if advised is None else frozenset({advised})
    assert tables.cold_starts(advice).emphasis == emphasis
    assert tables.cold_starts_in_short(advice).emphasis == emphasis
    assert cold.shown(advice)


def test_a_smaller_size_has_a_column_of_its_own() -> None:
    """One size stands as the recommendation; the other one is told as what it is."""
    sound = records(CASES["a soft knee"])[2]
    two = sound.model_copy(update={"smallest_as_fast": 8})
    table = tables.decision([sound, two])
    assert [row[1] for row in table.rows] == ["15", "⚠ 15"]
    assert table.columns[-1] == "a smaller size"
    said = "8 give the same response time (p99 wait under 10 ms decides)"
    assert [row[-1] for row in table.rows] == ["–", said]
    assert words.finding(None, two).endswith("; 8 give the same response time")
    assert "a smaller size" not in tables.decision([sound]).columns


@pytest.mark.parametrize(
    ("cells", "count"),
    [
        (
            ("✓ passed", "✗ failed", "✗ 3 of 4", "✓ 1"),
            '<span class="pk-bad">✗ 2 of 4 failed</span>',
        ),
        (("✓ passed", "⚠ so so"), '<span class="pk-warn">⚠ 1 of 2 in doubt</span>'),
        (("✓ passed", "✓ passed", ""), '<span class="pk-good">✓ all 2 passed</span>'),
        (("5", "6"), ""),
    ],
)
def test_the_closed_line_of_a_table_counts_what_failed(cells: tuple[str, ...], count: str) -> None:
    """Who does not open it still learns that something in it failed."""
    table = Table("Checks", ("name", "outcome"), tuple((f"{i}", c) for i, c in enumerate(cells)))
    said = f"Checks: {count}" if count else "Checks"
    assert table.folded().startswith(f"<details><summary>{said}</summary>")


def test_a_trial_without_its_gate_is_no_failed_check() -> None:
    """It shows what the gate is for: neither counted among the checks nor marked as failed."""
    trial = records(CASES["a soft knee"])[1][0]
    starved = LITTLE.model_copy(update={"name": "fair", "passed": False})
    crowd = trial.model_copy(update={"purpose": "fairness", "gate": None, "checks": (starved,)})
    assert not tables.trial_checks([crowd])
    assert "✗" not in tables.trials([crowd]).markdown()
    gated = crowd.model_copy(update={"gate": 15})
    assert "✗ 0 of 1" in tables.trial_checks([gated]).markdown()


def test_a_size_that_verification_moved_has_that_for_its_reason() -> None:
    """What the curve alone said of another size is not given as the reason for this one."""
    sizing, trials, r = records(CASES["a soft knee"])
    assert words.reasons(sizing, r, trials) == words.reasons(sizing)
    moved = r.model_copy(update={"recommended_size": 16})
    said = words.reasons(sizing, moved, trials)[1]
    assert said == (
        "The curve alone asked for 15 connections, verification moved it to 16: "
        "p99 wait 8.5 ms with 15 connections under load."
    )
    others = [trial for trial in trials if trial.pool_size != 15]
    assert words.reasons(sizing, moved, others)[1] == (
        "The curve alone asked for 15 connections, verification moved it to 16."
    )


def test_html_has_a_caption_and_scoped_headers_and_escapes() -> None:
    """A screen reader can tell what a cell belongs to, and no cell can break out of the table."""
    table = Table(
        "a & b", ("name", "n"), (("<x>", "1"), ("✗ bad", "2")), frozenset({1}), frozenset({0})
    )
    assert table.html() == (
        '<div class="pk-scroll"><table class="pk-table"><caption>a &amp; b</caption>\n'
        '<thead><tr><th scope="col">name</th><th scope="col" class="pk-number">n</th></tr></thead>'
        "\n<tbody>\n"
        '<tr class="pk-emphasis" style="background-color: rgba(0, 150, 105, 0.22)">'
        '<th scope="row">&lt;x&gt;</th><td class="pk-number">1</td></tr>\n'
        '<tr><th scope="row"><span class="pk-bad">✗ bad</span></th>'
        '<td class="pk-number">2</td></tr>\n'
        "</tbody></table></div>"
    )


def test_each_cell_of_a_wide_table_names_its_column() -> None:
    """So that a narrow page can show it row by row, where heads would be far away."""
    wide = Table("a", ("name", "n", "<unit>", "because"), (("x", "1", "s", "so"),)).html()
    assert '<table class="pk-table pk-wide">' in wide
    assert re.findall(r'data-label="([^"]*)"', wide) == ["n", "&lt;unit&gt;", "because"]


def test_markdown_cells_cannot_break_a_row() -> None:
    """A bar or a line end in a cell does not begin a new cell or row."""
    assert Table("t", ("a",), (("x|y\nz",),)).markdown().splitlines()[-1] == "| x\\|y z |"


def test_a_row_of_the_wrong_length_is_refused() -> None:
    """A table never shows a value under another column's name."""
    with pytest.raises(ValueError, match="a row must have 2 cells, got 1"):
        Table("t", ("a", "b"), (("x",),))


@pytest.mark.parametrize("name", CASES)
def test_every_table_can_be_made_of_every_case(name: str) -> None:
    """No ending of a review leaves a table that cannot be drawn or shows a number that is none."""
    sizing, trials, recommendation = records(CASES[name])
    made = [
        tables.decision([recommendation]),
        tables.parameters(recommendation),
        tables.checks(recommendation),
        tables.knees(recommendation, sizing),
        tables.rules_of_thumb(recommendation),
        tables.signals(recommendation),
        tables.trials(trials),
        tables.trial_checks(trials),
        tables.time_budget(trials),
        tables.cut_and_dials(trials),
        tables.server_side(trials),
        tables.pooler(trials),
        tables.predictions(sizing, recommendation.recommended_size),
    ]
    for table in made:
        assert not {"nan", "inf", "None ms"} & set(table.markdown().split()), table.caption


def test_the_parameter_that_carries_the_size_is_marked() -> None:
    """Among the rows of the table the one to set first is the one that was measured."""
    table = tables.parameters(records(CASES["a soft knee"])[2])
    assert table.emphasis == {0}
    assert table.rows[0][:3] == ("limit", "15", "connections")


def test_predictions_show_the_sizes_around_the_recommended_one() -> None:
    """The recommended size is marked, with three sizes on either side."""
    sizing, _, recommendation = records(CASES["a soft knee"])
    table = tables.predictions(sizing, recommendation.recommended_size)
    assert [row[0] for row in table.rows] == ["12", "13", "14", "15", "16", "17", "18"]
    assert table.emphasis == {3}
    far = [p.model_copy(update={"is_extrapolated": p.pool_size > 16}) for p in sizing.predictions]
    sizing = sizing.model_copy(update={"predictions": tuple(far)})
    shown = [row[0] for row in tables.predictions(sizing, recommendation.recommended_size).rows]
    assert shown[-3:] == ["16", "17 (extrapolated)", "18 (extrapolated)"]


def test_cuts_and_dials_are_shown() -> None:
    """What MSER-5 cut off, and calls that dialled each time; the parts of a dial where seen."""
    (first, *_) = records(CASES["a soft knee"])[1]
    kept = first.model_copy(
        update={"warm_up": 0.72, "window": 1.2, "connections_opened": 3, "reuse_ratio": 0.998}
    )
    parts = DialParts(dials=240, dns=0.0, tcp=0.0004, tls=0.002)
    dialled = kept.model_copy(
        update={"connections_opened": 240, "reuse_ratio": 0.0, "dial_parts": parts}
    )
    plain = tables.cut_and_dials([kept])
    assert plain.rows[0][2:] == ("0.72 s", "1.20 s", "3", "0.2 %")
    both = tables.cut_and_dials([kept, dialled])
    assert both.columns[-3:] == ("DNS", "TCP", "TLS")
    assert both.rows[0][4:] == ("3", "0.2 %", "–", "–", "–")
    assert both.rows[1][4:] == ("240", "100 %", "0 ms", "0.4 ms", "2 ms")


def test_a_trial_that_failed_a_check_is_marked_in_the_list_of_trials() -> None:
    """A reader sees which trials were left out, and why."""
    _, trials, _ = records(CASES["a database, the largest size failed its checks"])
    marks = {row[0]: row[-1] for row in tables.trials(trials).rows if row[1] == "closed"}
    assert marks["12"] == "✗ the load generator was at its own limit"
    assert marks["8"] == "✓ yes"
    counts = {row[0]: row[1] for row in tables.trial_checks(trials).rows}
    assert counts["the client had room left"] == "✗ 0 of 2"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0, "0"),
        (15, "15"),
        (0.0164, "0.0164"),
        (12.94, "12.9"),
        (999.6, "1000"),
        (12345.6, "12346"),
        (1_234_567, "1\u202f234\u202f567"),
        (-3.14159, "-3.14"),
    ],
)
def test_numbers(value: float | None, words: str) -> None:
    """Three figures, whole numbers in full, never an exponent."""
    assert units.number(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.0, "0 ms"), (0.0061, "6.1 ms"), (1.5, "1500 ms"), (1e-6, "< 0.01 ms")],
)
def test_times(seconds: float | None, words: str) -> None:
    """Milliseconds; what is tiny does not read as nothing."""
    assert units.milliseconds(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (0.0, "0 %"), (0.5, "50 %"), (0.9999, "> 99.9 %"), (0.0001, "< 0.1 %")],
)
def test_shares(value: float | None, words: str) -> None:
    """A share that is not all never reads as 100 %, one that is not none never as 0 %."""
    assert units.share(value) == words


def test_inferred_waits_are_called_so() -> None:
    """Where a client does not show when a call acquires, its waits are not shown as measured."""
    _, measured, _ = records(CASES["a soft knee"])
    inferred = [t.model_copy(update={"wait_is_exact": False}) for t in measured[:1]]
    assert tables.trials(inferred).rows[0][6].endswith(" ms (inferred)")
    assert tables.time_budget(inferred).rows[0][3].endswith(" ms (inferred)")
    assert "inferred" not in tables.trials(measured).markdown()


def test_the_decision_says_what_changed() -> None:
    """With an earlier review the last column names what moved by more than noise."""
    recommendation = records(CASES["a soft knee"])[2]
    now = RecommendedFile(created="2026-04-02T00:00:00Z", targets=(recommendation,))
    old = recommendation.model_copy(update={"recommended_size": 31})
    then = RecommendedFile(created="2026-01-02T00:00:00Z", targets=(old,))
    table = tables.decision([recommendation], compare(then, now))
    assert table.columns[-1] == "changed since 2026-01-02"
    assert table.rows[0][-1] == "size 31 → 15"
    same = tables.decision([recommendation], compare(now, now))
    assert same.rows[0][-1] == "nothing beyond noise"
