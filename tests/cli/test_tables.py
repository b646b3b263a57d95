"""The tables that the commands print, as they look at 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from poolkit.cli.closing import knees, print_doubts
from poolkit.cli.printed import print_table
from poolkit.recommend import recommend, unreachable
from poolkit.records import RecommendedFile, Signal
from poolkit.review.compare import compare
from poolkit.show import tables
from poolkit.targets import Target
from tests.cli import recorded
from tests.recommend import examples

DOUBTFUL = examples.verification(
    signals=(Signal(name="wait_near_zero", passed=False, seen="p99 wait 31 ms"),)
)
UNREACHABLE = unreachable(
    examples.database_target(), "the first call failed: connection refused", "check host and port"
)


def shown(table: tables.Table) -> str:
    file = io.StringIO()
    print_table(Console(width=80, force_terminal=False, file=file), table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def test_the_recommended_table() -> None:
    """One row a target; a size in doubt and a target without a result are told apart."""
    text = shown(
        tables.decision_in_short(
            (recorded.recommendation(), recorded.recommendation(DOUBTFUL), UNREACHABLE)
        )
    )
    assert [" ".join(line.split()) for line in text.splitlines()[3:]] == [
        "orders-api 14 server bound 785/s 499/s 6.1 ms 13 (12–14)",
        "orders-api 14 server bound 785/s 499/s, in doubt 6.1 ms 13 (12–14)",
        "orders-db – unreachable – – – –",
    ]


@pytest.mark.parametrize("name", ["x", "a-name-of-forty-characters-or-very-nearly", "w" * 100])
def test_the_tables_fit_into_80_columns(name: str) -> None:
    """Whatever the target is called, its name and the numbers stay whole."""
    recommendation = recorded.recommendation(DOUBTFUL).model_copy(update={"target": name})
    text = shown(tables.decision_in_short((recommendation,)))
    assert name in text
    assert all(len(line) <= 80 or line == name for line in text.splitlines())
    assert "785/s" in text
    assert "13 (12–14)" in text


@pytest.mark.parametrize("target", [examples.http_target(), examples.database_target()])
def test_the_parameters_table_can_be_copied_from(target: Target) -> None:
    """Names and values are whole at 80 columns; only reasons wrap."""
    recommendation = recommend(
        target,
        examples.sizing(),
        examples.verification(),
        (examples.trial(), examples.verifying_trial()),
        "done",
        20.0,
    )
    text = shown(tables.parameters_in_short(recommendation))
    assert max(map(len, text.splitlines())) <= 80
    for parameter in recommendation.parameters:
        value = f"{parameter.value:g}" if isinstance(parameter.value, float) else parameter.value
        row = next(line for line in text.splitlines() if line.startswith(f"{parameter.name} "))
        assert f" {value} " in row


def test_the_curve_of_a_sweep() -> None:
    """One row a size, and the knees by name."""
    text = shown(tables.curve(examples.sizing()))
    assert [line.split() for line in text.splitlines()[3:]] == [
        ["1", "61", "60–62", "16", "ms", "2"],
        ["16", "780", "–", "20", "ms", "1"],
    ]
    assert knees(examples.sizing()).splitlines() == [
        "Knee, from which on throughput hardly grows, in connections (95 % interval):",
        "  13 (12–14)  Little's Law: plateau × hold time at one connection",
        "  none seen   peak of the Universal Scalability Law",
        "Bound by the server: the plateau is flat from 16 to 32",
    ]


def test_doubts_are_listed_with_what_to_do() -> None:
    """Only failed checks, each with its remedy."""
    file = io.StringIO()
    console = Console(width=80, force_terminal=False, file=file)
    print_doubts(console, (recorded.recommendation(), UNREACHABLE))
    assert [line.rstrip() for line in file.getvalue().splitlines()] == [
        "orders-db: check finished failed: the first call failed: connection refused",
        "  next: check host and port",
    ]


def test_what_changed_since() -> None:
    """Then, now, and whether it is more than noise."""
    old = recorded.recommendation()
    new = old.model_copy(update={"recommended_size": 20, "target_rate": 600.0})
    comparison = compare(
        RecommendedFile(created="2026-01-01T00:00:00Z", targets=(old,)),
        RecommendedFile(created="2026-04-01T00:00:00Z", targets=(new,)),
    )
    rows = [" ".join(line.split()) for line in shown(tables.changes(comparison)).splitlines()]
    assert rows[0] == "What changed since the review of 2026-01-01"
    assert "orders-api rate asked 500 calls/s 600 calls/s yes" in rows
    assert "orders-api size 14 20 yes" in rows
    assert "orders-api plateau 785 calls/s 785 calls/s no change" in rows


def test_checks_of_this_machine() -> None:
    """What is not well says why it matters and what to do."""
    text = shown(
        tables.checks_in_short((examples.check("clock"), examples.check("idle", passed=False)))
    )
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["ok", "clock", "fine"],
        ["no", "idle", "fine"],
        ["because"],
        ["next:", "do", "this"],
    ]
