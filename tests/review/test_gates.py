"""Gates: when one fails, when none may, and what a waiver does about it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.errors import BadInput, ExitCode
from poolkit.records import Interval
from poolkit.report.gates import to_junit, to_markdown
from poolkit.report.source import RECORDED, shared
from poolkit.review.gates import RULES, Gate, Judgement, is_worse, judge, parse
from poolkit.review.history import read_history
from poolkit.review.trend import Figure, Reviewed, Trend, Why
from poolkit.review.waivers import EXAMPLE, Verdict, Waiver, apply, read_waivers
from poolkit.show.tables.of_gates import notes

TODAY = date(2027, 3, 31)
EXACT = {"plateau": (780.0, 790.0)}


def figure(low: float, high: float) -> Figure:
    return Figure(value=(low + high) / 2, interval95=(low, high))


def series(*plateaus: Interval | None, comparable: int = 0, **more: Any) -> Trend:
    """Reviews with these plateaus, a day after each other; None: without an interval."""
    reviews = [
        Reviewed(
            measured=f"2027-01-{day:02}T00:00:00Z",
            figures={"plateau": Figure(value=700.0) if ends is None else figure(*ends)},
            why=(Why(kind="versions", said=f"changed on day {day}"),) if day > 1 else (),
            caution=more.get("caution", ""),
        )
        for day, ends in enumerate(plateaus, 1)
    ]
    return Trend(
        target="orders",
        driver="aiohttp",
        reviews=tuple(reviews),
        comparable=comparable or len(reviews),
    )


def judged(trend: Trend, text: str = "plateau", *, must_persist: bool = False) -> Judgement:
    (found,) = judge(parse(text), trend, must_persist=must_persist)
    return found


# -- the option -----------------------------------------------------------------------------------


def test_the_option_is_read() -> None:
    """Per cent and shares mean the same; only headroom needs one."""
    found = parse("size, plateau=5% ,p99=.5,headroom=0.2")
    assert found == (Gate("size"), Gate("plateau", 0.05), Gate("p99", 0.5), Gate("headroom", 0.2))
    assert parse("headroom=20 %") == parse("headroom=0.2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plateu", "did you mean plateau?"),
        ("Size", "did you mean size?"),
        ("", "no gate ''"),
        ("size,,p99", "no gate ''"),
        ("size,size=5%", "size stands there twice"),
        ("headroom", "such as headroom=20%"),
        ("headroom=20", "did you mean headroom=20%?"),
        ("headroom=", "must be a share such as 20% or 0.2"),
        ("headroom=-5%", "must be a share"),
        ("headroom=nan", "must be a share"),
        ("size=1e3%", "must be a share"),
        ("size=٣%", "must be a share"),
        ("size=2000%", "at most 1000%"),
        ("plateau=100%", "less than 100%"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    """With what is wrong, and how it is written."""
    with pytest.raises(BadInput, match="--fail-on") as caught:
        parse(text)
    assert said in caught.value.cause
    assert "--fail-on size,plateau=5%,p99,headroom=20%" in caught.value.remedy


def test_all_mistakes_of_the_option_are_told_at_once() -> None:
    """One a line."""
    with pytest.raises(BadInput) as caught:
        parse("sice,headroom,plateau=7")
    assert caught.value.cause.splitlines()[0] == "3 mistakes in --fail-on"
    assert len(caught.value.cause.splitlines()) == 4


# -- one review against another -------------------------------------------------------------------


ends = st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)).map(lambda pair: (min(pair), max(pair)))
shares = st.floats(0, 0.99)
COMPARED = st.sampled_from([name for name in RULES if name != "headroom"])


@given(COMPARED, ends, ends, shares)
def test_none_is_worse_where_the_intervals_meet(
    name: str, was: Interval, now: Interval, share: float
) -> None:
    """Whatever the share; and what is apart is worse in one direction alone."""
    gate = Gate(name, share)
    worse = is_worse(gate, figure(*was), figure(*now))
    if was[0] <= now[1] and now[0] <= was[1]:
        assert worse is False
    assert not (worse and is_worse(gate, figure(*now), figure(*was)))


@given(COMPARED, ends, ends, shares, shares)
def test_a_larger_share_fails_no_more(
    name: str, was: Interval, now: Interval, one: float, other: float
) -> None:
    """Monotone: what passes goes on passing as more is forgiven."""
    low, high = sorted((one, other))
    if is_worse(Gate(name, high), figure(*was), figure(*now)):
        assert is_worse(Gate(name, low), figure(*was), figure(*now))


@given(ends, shares, shares)
def test_more_headroom_asked_passes_no_more(room: Interval, one: float, other: float) -> None:
    """Monotone the other way; it fails only where even the upper end is too low."""
    low, high = sorted((one, other))
    trend = series(EXACT["plateau"])
    review = trend.reviews[0].model_copy(update={"figures": {"headroom": figure(*room)}})
    trend = trend.model_copy(update={"reviews": (review,)})
    outcomes = [
        judge([Gate("headroom", share)], trend, must_persist=False)[0].outcome
        for share in (low, high)
    ]
    assert outcomes != ["failed", "passed"]
    assert (outcomes[0] == "failed") is (room[1] < low)


@pytest.mark.parametrize(
    ("trend", "text", "outcome", "said"),
    [
        (series((780, 790), (600, 620)), "plateau", "failed", "changed on day 2"),
        (series((780, 790), (600, 620)), "plateau=20%", "failed", "changed on day 2"),
        (series((780, 790), (600, 620)), "plateau=25%", "passed", ""),
        (series((780, 790), (770, 785)), "plateau", "passed", ""),
        (series((600, 620), (780, 790)), "plateau", "passed", ""),  # better
        (series((780, 790)), "plateau", "no baseline", "no earlier review"),
        (series((780, 790), None), "plateau", "cannot be judged", "without an interval"),
        (series(None, (780, 790)), "plateau", "cannot be judged", "without an interval"),
        (series((780, 790), (600, 620)), "size", "cannot be judged", "knows no size"),
        (series((780, 790)), "headroom=1%", "cannot be judged", "knows no headroom"),
        (
            series((780, 790), (600, 620), comparable=1, caution="another kind of machine"),
            "plateau",
            "cannot be judged",
            "another kind of machine",
        ),
    ],
)
def test_one_review_against_another(trend: Trend, text: str, outcome: str, said: str) -> None:
    """Each outcome, with its reason; whatever has not passed says what to do."""
    found = judged(trend, text)
    assert found.outcome == outcome
    assert said in found.why
    assert bool(found.next) is (outcome != "passed")


# -- a history ------------------------------------------------------------------------------------

HIGH, LOW = (780.0, 790.0), (600.0, 620.0)


@pytest.mark.parametrize(
    ("plateaus", "outcome", "said"),
    [
        ([HIGH], "no baseline", ""),
        ([HIGH, LOW], "cannot be judged", "alone is worse"),
        ([HIGH, HIGH, LOW], "passed", "alone is worse"),
        ([HIGH, LOW, LOW], "failed", "changed on day 2"),
        ([HIGH, HIGH, HIGH, LOW, LOW], "failed", "changed on day 4"),
        ([HIGH, LOW, HIGH], "passed", ""),
        ([LOW, HIGH, HIGH], "passed", ""),
        ([HIGH, None, LOW], "cannot be judged", "alone is worse"),
    ],
)
def test_below_eight_reviews_the_latest_two_must_both_be_worse(
    plateaus: list[Interval | None], outcome: str, said: str
) -> None:
    """One alone may be chance; what is left to do is said."""
    found = judged(series(*plateaus), must_persist=True)
    assert found.outcome == outcome
    assert said in found.why


def test_from_eight_reviews_on_a_step_must_persist() -> None:
    """The recorded history: an upstream became slower and stayed so; one review alone is none."""
    made = shared(RECORDED).parent / "history"
    trends = {trend.target: trend for trend in read_history([made]).trends}
    asked = parse("size,plateau,headroom=30%")
    slower = [one.outcome for one in judge(asked, trends["lab-cpu"], must_persist=True)]
    assert slower == ["failed", "failed", "failed"]
    steady = [one.outcome for one in judge(asked, trends["lab-db"], must_persist=True)]
    assert steady == ["passed", "passed", "passed"]
    failed = judge(asked, trends["lab-cpu"], must_persist=True)[1]
    assert failed.why.startswith("since 2026-10-05: ")
    assert "2026-09-28" in failed.next
    assert judged(trends["lab-cpu"], "plateau=30%", must_persist=True).outcome == "passed"


def test_a_step_that_was_taken_back_fails_no_more() -> None:
    """The level of now is held against that before each step for the worse."""
    steps = read_history([shared(RECORDED).parent / "history"], ["lab-cpu"]).trends[0]
    down = next(step for step in steps.steps if step.quantity == "plateau")
    later = steps.reviews[-1].measured
    back = down.model_copy(update={"measured": later, "before": down.after, "after": down.before})
    healed = steps.model_copy(update={"steps": (down, back)})
    assert judged(healed, must_persist=True).outcome == "passed"
    half = figure(690.0, 700.0)
    partly = steps.model_copy(update={"steps": (down, back.model_copy(update={"after": half}))})
    assert judged(partly, must_persist=True).outcome == "failed"


# -- waivers --------------------------------------------------------------------------------------


def waiver(**changes: Any) -> Waiver:
    settings = {
        "target": "orders",
        "gate": "plateau",
        "owner": "ana@example.com",
        "reason": "until the new servers come",
        "expires": TODAY,
    }
    return Waiver.model_validate(settings | changes)


def verdict(*waivers: Waiver, trend: Trend | None = None, today: date = TODAY) -> Verdict:
    trend = series(HIGH, LOW) if trend is None else trend
    return apply(judge(parse("plateau"), trend, must_persist=False), waivers, today)


@pytest.mark.parametrize(
    ("found", "state", "code"),
    [
        (verdict(waiver()), "waives", 0),  # on its last day
        (verdict(waiver(), today=date(2027, 4, 1)), "expired", 1),
        (verdict(waiver(gate="size")), "matches nothing", 1),
        (verdict(waiver(target="order")), "matches nothing", 1),
        (verdict(waiver(), trend=series(HIGH, HIGH)), "not needed", 0),
        (verdict(waiver(), trend=series(HIGH)), "does not apply", 1),  # no baseline is no pass
        (verdict(waiver(), trend=series(HIGH, None)), "does not apply", 1),
    ],
)
def test_what_a_waiver_comes_to(found: Verdict, state: str, code: int) -> None:
    """It covers a failure until its day, and nothing else; it is shown with its owner."""
    assert [one for _, one in found.waivers] == [state]
    assert found.exit_code(ExitCode.DONE) == code
    text = to_markdown(found, (), found.exit_code(ExitCode.DONE))
    assert "ana@example.com" in text
    assert "2027-03-31" in text
    assert ("Exit code 1" in text) is (code == 1)


@pytest.mark.parametrize("code", [c for c in ExitCode if c not in (ExitCode.DONE,)])
def test_the_measurement_s_exit_code_goes_first(code: ExitCode) -> None:
    """A gate that failed turns 0 into 1 and nothing else."""
    assert verdict().exit_code(code) == code
    assert verdict(trend=series(HIGH, HIGH)).exit_code(code) == code


def test_the_example_is_read(tmp_path: Path) -> None:
    """As README has it."""
    file = tmp_path / "waivers.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    (found,) = read_waivers(file)
    assert (found.target, found.gate, found.expires) == ("orders-api", "plateau", TODAY)
    file.write_text("", encoding="utf-8")
    assert read_waivers(file) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            EXAMPLE.replace("owner", "ownr"),
            ["ownr: unknown key; did you mean owner?", "owner: req"],
        ),
        (
            EXAMPLE.replace('"plateau"', '"plateu"'),
            ["gate: must be one of", "did you mean plateau"],
        ),
        (EXAMPLE.replace("= 2027-03-31", '= "2027-03-31"'), ["expires: must be a date without"]),
        (EXAMPLE.replace("2027-03-31", "2027-03-31T00:00:00Z"), ["expires: must be a date"]),
        (EXAMPLE.replace("2027-03-31", "20270331"), ["expires: must be a date"]),
        (EXAMPLE.replace('"ana@example.com"', '" "'), ["owner: must not be empty"]),
        (EXAMPLE.replace('"ana@example.com"', "1"), ["owner: must be text in quotes, got 1"]),
        (EXAMPLE.replace("[[waiver]]", "[waiver]"), ["in two brackets"]),
        (
            EXAMPLE.replace("[[waiver]]", "[[waivers]]"),
            ["waivers: unknown key; did you mean waiver"],
        ),
        (EXAMPLE * 2, ["waiver 2: a second one of orders-api plateau"]),
        ("waiver = [1]", ["[[waiver]] tables"]),
        ("[[waiver]]", [f"{key}: required" for key in Waiver.model_fields]),
        ("[[waiver]\n", ["is not TOML"]),
        (None, ["no such file"]),
    ],
)
def test_mistakes_of_a_file_are_told_all_at_once(
    tmp_path: Path, text: str | None, said: list[str]
) -> None:
    """By waiver and key."""
    file = tmp_path / "waivers.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_waivers(file)
    for words in said:
        assert words in caught.value.cause
    assert "--targets" not in str(caught.value)
    assert "targets.example" not in str(caught.value)


# -- what others read -----------------------------------------------------------------------------


def test_junit_has_a_test_for_each_target_and_gate() -> None:
    """Failed, skipped with who answers for it, or passed; whatever texts hold, it is XML."""
    failing = series(HIGH, LOW)
    steered = Why(kind="versions", said="a\x1b[31m\x00 & <b> ]]> \ufffe")
    last = failing.reviews[-1].model_copy(update={"why": (steered,)})
    failing = failing.model_copy(update={"reviews": (failing.reviews[0], last)})
    judgements = [
        *judge(parse("plateau,size"), failing, must_persist=False),
        *judge(
            parse("plateau"),
            series(HIGH, LOW).model_copy(update={"target": "users"}),
            must_persist=False,
        ),
        *judge(parse("plateau"), series(HIGH, HIGH), must_persist=False),
    ]
    found = apply(judgements, [waiver(target="users", reason="\x07 <now>")], TODAY)
    root = ET.fromstring(to_junit(found))
    assert dict(root.attrib) == {
        "name": "poolkit",
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
    }
    cases = {
        (case.get("classname"), case.get("name"), child.tag): child.text or ""
        for case in root.iter("testcase")
        for child in case
    }
    assert set(cases) == {
        ("poolkit.orders", "plateau", "failure"),
        ("poolkit.orders", "size", "failure"),
        ("poolkit.users", "plateau", "skipped"),
        ("poolkit.orders", "plateau", "system-out"),
    }
    assert "a?[31m? & <b> ]]> ?" in cases[("poolkit.orders", "plateau", "failure")]
    assert "ana@example.com answers for it" in cases[("poolkit.users", "plateau", "skipped")]


def test_a_figure_that_is_worse_once_is_named_though_it_passed() -> None:
    """And what is alike is said once for all that it is about."""
    found = apply(judge(parse("plateau"), series(HIGH, HIGH, LOW), must_persist=True), (), TODAY)
    assert found.exit_code(ExitCode.DONE) == 0
    assert "- plateau of orders: the latest review alone is worse" in to_markdown(
        found, (), ExitCode.DONE
    )
    one = judge(parse("plateau,size"), series(HIGH), must_persist=False)[0]
    alike = [one, one._replace(target="users")]
    (note,) = notes(apply(alike, (), TODAY))
    assert note.startswith("plateau of orders and users: no earlier review")


def test_the_summary_begins_with_the_gates() -> None:
    """Those that did not pass first; no cell breaks a row or begins markup."""
    found = verdict(waiver(reason="| [x](http://evil) | <img>"))
    lines = to_markdown(found, (), ExitCode.DONE).splitlines()
    assert lines[0] == "## Connection pools: passed"
    assert lines[2] == "**Gates: 1 of 1 passed or waived**"
    (row,) = [line for line in lines if line.startswith("| orders | plateau | ⚠ failed, waived")]
    assert "785 calls/s (780–790) → 610 calls/s (600–620)" in row
    (note,) = [line for line in lines if line.startswith("- plateau of orders: changed on day 2; ")]
    assert r"until 2027-03-31: \| \[x\](http://evil) \| \<img>" in note
