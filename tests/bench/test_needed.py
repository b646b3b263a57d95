"""The benchmark's judge: what counts as the needed size, and as near enough to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bench.needed import (
    FEW,
    MANY,
    Repeats,
    Standing,
    decisive,
    is_below,
    is_clear,
    is_too_large,
    is_within,
    needed,
    next_repeat,
)


def shown(**passed_of: tuple[int, int]) -> dict[int, Repeats]:
    """n12=(4, 5): 12 connections passed four of five repeats."""
    return {int(n[1:]): Repeats(p, of - p) for n, (p, of) in passed_of.items()}


@pytest.mark.parametrize(
    ("passed", "of", "standing"),
    [
        (3, 5, "passes"),  # most of five
        (4, 5, "passes"),
        (2, 5, "fails"),  # not at the edge: five repeats do not show that
        (1, 5, "fails"),
        (0, 3, "fails"),
        (2, 4, "fails"),
        (2, 12, "fails"),  # below a fifth of many
        (3, 12, "either"),
        (9, 12, "either"),
        (10, 12, "passes"),  # above four fifths
        (3, 6, "either"),  # whatever the other six do
        (3, 15, "either"),  # exactly a fifth
    ],
)
def test_the_band_holds_for_many_repeats_only(passed: int, of: int, standing: Standing) -> None:
    """A majority of few; between a fifth and four fifths of many counts as either."""
    assert Repeats(passed, of - passed).standing == standing


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        (shown(n10=(0, 5), n11=(0, 5), n12=(5, 5)), "12"),
        (shown(n10=(0, 5), n11=(2, 5), n12=(5, 5)), "12"),
        (shown(n10=(0, 5), n11=(4, 5), n12=(5, 5)), "11"),
        (shown(n10=(0, 5), n11=(4, 12), n12=(5, 5)), "11-12"),  # 11 counts as either
        (shown(n12=(5, 5), n13=(5, 5)), "...-12"),  # nothing smaller was tried
        (shown(n12=(0, 5), n13=(4, 12)), "13-..."),
        (shown(n1=(5, 5)), "1"),
        ({}, "?"),
    ],
)
def test_the_needed_size_is_a_range(tried: dict[int, Repeats], said: str) -> None:
    """From the smallest size that may be enough to the smallest that surely is."""
    assert str(needed(tried)) == said


@pytest.mark.parametrize(
    ("size", "tried", "within"),
    [
        (12, shown(n10=(0, 5), n11=(0, 5), n12=(5, 5)), True),  # exactly
        (12, shown(n10=(0, 5), n11=(5, 5), n12=(5, 5)), True),  # one more
        (12, shown(n10=(4, 12), n11=(5, 5), n12=(5, 5)), True),  # 11 may be needed
        (12, shown(n10=(4, 5), n11=(5, 5), n12=(5, 5)), False),  # two more than enough
        (12, shown(n10=(5, 5), n11=(5, 5), n12=(5, 5)), False),
        (12, shown(n11=(0, 5), n12=(4, 12), n13=(5, 5)), True),  # at the edge
        (12, shown(n11=(0, 5), n12=(4, 12)), False),  # nothing was seen to pass
        (12, shown(n11=(0, 5), n12=(1, 5), n13=(5, 5)), False),  # one of five is too small
        (12, shown(n12=(5, 5)), False),  # nothing smaller was tried
        (66, shown(n62=(9, 12), n66=(5, 5)), True),  # 63 may be needed: 5 % more
        (66, shown(n62=(4, 5), n66=(5, 5)), False),
        (1, shown(n1=(5, 5)), True),
        (2, shown(n1=(5, 5), n2=(5, 5)), True),
    ],
)
def test_a_twentieth_or_one_connection_more_is_near_enough(
    size: int, tried: dict[int, Repeats], within: bool
) -> None:
    """Never less than what may be enough, and never while nothing was seen to pass."""
    assert is_within(size, tried) is within
    assert not (within and is_below(size, tried))
    assert not (within and is_too_large(size, tried))


@pytest.mark.parametrize(
    ("size", "tried", "ratio"),
    [
        (12, shown(n10=(0, 5), n11=(5, 5), n12=(5, 5)), 12 / 11),
        (9, shown(n10=(0, 5), n11=(5, 5)), 9 / 11),
        (11, shown(n10=(0, 5), n11=(5, 5)), 1.0),
        (12, shown(n11=(0, 5), n12=(4, 12)), None),  # the upper end is open
    ],
)
def test_the_ratio_is_to_the_nearest_end(
    size: int, tried: dict[int, Repeats], ratio: float | None
) -> None:
    """None where nobody knows."""
    assert needed(tried).ratio(size) == (None if ratio is None else pytest.approx(ratio))


@pytest.mark.parametrize(("size", "limit"), [(1, 0), (2, 0), (3, 1), (12, 10), (22, 20), (66, 62)])
def test_one_size_decides_whether_a_recommendation_is_too_large(size: int, limit: int) -> None:
    """If it passes, the needed size is more than a twentieth (and more than one) below."""
    assert decisive(size) == limit


def walk(
    size: int,
    passes: Callable[[int, int], bool],
    *,
    most: int = 40,
    largest: int = 64,
    few: int = FEW,
    many: bool = True,
) -> dict[int, Repeats]:
    """Every repeat that is asked for, where repeat number k of size n passes as said."""
    tried: dict[int, Repeats] = {}
    for _ in range(most):
        n = next_repeat(size, tried, largest=largest, few=few, many=many)
        if n is None:
            return tried
        before = tried.get(n, Repeats(0, 0))
        passed = passes(n, before.count)
        tried[n] = Repeats(before.passed + passed, before.failed + (not passed))
    return tried


@pytest.mark.parametrize(
    ("size", "passes", "counts", "because"),
    [
        (12, lambda n, k: n >= 12, {12: 3, 11: 3}, "three alike are most of five"),
        (12, lambda n, k: n >= 11, {12: 3, 11: 3, 10: 3}, "one more than needed"),
        (12, lambda n, k: n >= 14, {12: 5, 11: 3, 13: 3, 14: 3}, "up until a size passes"),
        (1, lambda n, k: True, {1: 3}, "nothing below"),
        (2, lambda n, k: True, {2: 3, 1: 3}, "one below"),
        (
            12,
            lambda n, k: n >= 13 or (n == 12 and k % 2 == 0),
            {12: 5, 11: 3},
            "most of five passed: enough",
        ),
        (
            12,
            lambda n, k: n >= 13 or (n == 12 and k in (1, 5, 8)),
            {12: 9, 11: 3, 13: 3},
            "one of five passed: repeated until three each way show that it is at the edge",
        ),
        (
            12,
            lambda n, k: n >= 13 or (n == 12 and k == 1),
            {12: MANY, 11: 3, 13: 3},
            "one of many: too small",
        ),
        (
            12,
            lambda n, k: n >= 11 or (n == 10 and k not in (3, 6, 7)),
            {12: 3, 11: 3, 10: 8},
            "what passed most of five below is repeated before the answer is called too large",
        ),
        (
            12,
            lambda n, k: n >= 9,
            {12: 3, 11: 5, 10: 5, 9: 3, 8: 3},
            "too large: down to a size that fails",
        ),
    ],
)
def test_repeats_go_where_the_judgement_hangs(
    size: int, passes: Callable[[int, int], bool], counts: dict[int, int], because: str
) -> None:
    """And no further: 19 of them are what an upstream has time for."""
    tried = walk(size, passes)
    assert {n: repeats.count for n, repeats in tried.items()} == counts, because
    assert sum(counts.values()) <= 22


def test_repeats_of_neighbours_take_turns() -> None:
    """So that a machine that is busy for a while is so for both."""
    assert next_repeat(12, {}, largest=64) == 12
    assert next_repeat(12, {12: Repeats(1, 0)}, largest=64) == 11
    assert next_repeat(12, {12: Repeats(1, 0), 11: Repeats(0, 1)}, largest=64) == 12


def test_nothing_larger_than_allowed_is_tried() -> None:
    """The walk up ends at the largest size, and the answer is below what is needed."""
    tried = walk(12, lambda n, k: False, largest=13)
    assert set(tried) == {11, 12, 13}
    assert is_below(12, tried)
    assert not is_within(12, tried)


def test_the_quick_form_repeats_nothing_on() -> None:
    """Two alike are most of three."""
    tried = walk(12, lambda n, k: n >= 12 and k != 1, few=3, many=False)
    assert {n: repeats.count for n, repeats in tried.items()} == {12: 3, 11: 2}


def test_a_hopeless_size_is_not_repeated_for_ever() -> None:
    """Three repeats at more than twice the allowance and none below."""
    assert is_clear([0.03, 0.05, 0.021], 0.01)
    assert not is_clear([0.03, 0.05], 0.01)
    assert not is_clear([0.03, 0.05, 0.015], 0.01)
    clear = Repeats.of_late([0.03, 0.05, 0.021], 0.01)
    assert (clear.standing, clear.is_final) == ("fails", True)
