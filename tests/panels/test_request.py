"""What the form of the sweep panel accepts, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.errors import BadInput
from poolkit.measure import SWEEP_BUDGET
from poolkit.panels.request import Request, read_number, read_sizes
from poolkit.panels.sweep_form import Texts, placeholders, read
from poolkit.targets.objective import Objective


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
    assert read_number(text, "budget", "s") == number


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("soon", "without the unit"),
        ("10 ms", "without the unit"),
        ("600/s", "without the unit"),
        ("2,5", "write it with a point: 2.5"),
        ("1_000", "without the unit"),
        ("²", "without the unit"),
    ],
)
def test_what_is_no_number_is_told_with_the_right_form(text: str, remedy: str) -> None:
    """The field is named, and its unit."""
    with pytest.raises(BadInput, match="the budget must be a number of s, got") as caught:
        read_number(text, "budget", "s")
    assert remedy in caught.value.remedy


def test_a_size_beyond_what_the_target_allows_is_refused() -> None:
    """Before a process is started that would say so; and no number is too long to be read."""
    assert read_sizes("1 64", most=64) == (1, 64)
    for text, most in (("1, 65", 64), ("9" * 5000, None), ("1000000", None)):
        with pytest.raises(BadInput, match="more than the") as caught:
            read_sizes(text, most)
        assert "max_size" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": 0.5}, "budget must be from 1 to 3600 s, got 0.5"),
        ({"fleet": 0}, "there must be 1 to 256 generators, got 0"),
        ({"fleet": 257}, "there must be 1 to 256 generators, got 257"),
        ({"budget": 3601.0}, "from 1 to 3600"),
        ({"budget": float("nan")}, "from 1 to 3600"),
        ({"target_rate": 0.0}, "target rate must be more than 0 calls/s"),
        ({"target_rate": float("inf")}, "target rate must be more than 0"),
        ({"wait_p99": -0.005}, "wait target must be more than 0 ms, got -5"),
        ({"verify": True, "sizes": (1, 2), "budget": 0.0}, "budget must be from"),
        ({"verify": True, "sizes": (1, 2)}, "a verification chooses the sizes itself"),
        ({"push": False}, "a sweep pushes"),
        ({"cold": True}, "cold starts are tried at a size that was verified"),
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


def test_a_form_names_every_mistake_the_most_telling_first() -> None:
    """A word where a number must stand, then a number out of bounds, then a contradiction."""
    texts = Texts(sizes="1, 2", budget="0.5", rate="fast", wait="-5")
    with pytest.raises(BadInput) as caught:
        read(texts, target="a", verify=True, push=True, again=False)
    told = str(caught.value.cause) + "\n" + caught.value.remedy
    order = [told.index(words) for words in ("'fast'", "got 0.5", "got -5", "chooses the sizes")]
    assert order == sorted(order)
    assert told.count("Also: ") == 3


def test_a_form_that_is_right_asks_what_it_says() -> None:
    """The wait in ms; empty fields ask nothing."""
    texts = Texts(budget="30", wait="12.5", fleet="2")
    asked = read(texts, target="a", verify=True, push=False, again=True, cold=True, most=8)
    assert asked == Request(
        "a", budget=30, wait_p99=0.0125, verify=True, push=False, again=True, fleet=2,
        cold=True,
    )  # fmt: skip
    assert Texts.of(asked) == texts


@pytest.mark.parametrize(
    ("asked", "rate", "wait"),
    [
        (None, "the target's", "the target's"),
        ({"wait_p99": 0.01}, "600", "10"),
        ({"response_p99": 0.3}, "600", "none"),
    ],
)
def test_an_empty_field_says_what_it_means_for_this_target(
    asked: dict[str, float] | None, rate: str, wait: str
) -> None:
    """The target's own figures, as far as they are known before it is measured."""
    objective = None if asked is None else Objective(target_rate=600, max_size=64, **asked)
    shown = placeholders(objective, verify=False)
    assert (shown.rate, shown.wait, shown.budget) == (rate, wait, f"{SWEEP_BUDGET:g}")
    assert placeholders(objective, verify=True, cold=True).budget == "60"
    assert ("up to 64" in shown.sizes) is (objective is not None)
