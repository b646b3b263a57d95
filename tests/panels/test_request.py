"""What the form of the sweep panel accepts, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.errors import BadInput
from poolkit.panels.running import Request, read_number, read_sizes


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("", ()), ("  ", ()), ("4", (4,)), ("8,4, 4 1", (1, 4, 8)), ("1, 2,4,", (1, 2, 4))],
)
def test_sizes_are_read_with_commas_or_spaces(text: str, sizes: tuple[int, ...]) -> None:
    """Each once and in order; empty means that sizes are chosen while measuring."""
    assert read_sizes(text) == sizes


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", "1;2", "²"])
def test_other_sizes_are_refused_with_the_right_form(text: str) -> None:
    """The mistake is quoted, and how to write it is shown."""
    with pytest.raises(BadInput, match="whole numbers of 1 or more") as caught:
        read_sizes(text)
    assert "1, 2, 4, 8" in caught.value.remedy


@pytest.mark.parametrize(("text", "number"), [("", None), (" 12.5 ", 12.5), ("1e3", 1000.0)])
def test_a_number_or_nothing(text: str, number: float | None) -> None:
    """An empty field asks nothing."""
    assert read_number(text, "budget") == number


def test_a_word_is_no_number() -> None:
    """The field is named."""
    with pytest.raises(BadInput, match="the budget must be a number, got 'soon'"):
        read_number("soon", "budget")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": 0.5}, "budget must be from 1 to 3600 s, got 0.5"),
        ({"budget": 3601.0}, "from 1 to 3600"),
        ({"budget": float("nan")}, "from 1 to 3600"),
        ({"target_rate": 0.0}, "target rate must be more than 0"),
        ({"target_rate": float("inf")}, "target rate must be more than 0"),
        ({"wait_p99": -1.0}, "wait target must be more than 0"),
        ({"verify": True, "sizes": (1, 2)}, "a verification chooses the sizes itself"),
        ({"push": False}, "a sweep pushes"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], words: str) -> None:
    """Before anything is started."""
    with pytest.raises(BadInput, match=words):
        Request(**({"target": "a"} | given))


@pytest.mark.parametrize("budget", [1.0, 20.0, 3600.0])
def test_limits_are_within(budget: float) -> None:
    """The smallest and the largest budget are allowed."""
    assert Request("a", budget=budget).budget == budget
