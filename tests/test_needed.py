"""The benchmark's judge: what counts as the needed size, and as near enough to it."""

from __future__ import annotations

import pytest

from tests.bench.needed import decisive, is_clear, is_within, needed, next_size


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ({10: 0.0, 11: 0.0, 12: 1.0}, "12"),
        ({10: 0.0, 11: 0.4, 12: 1.0}, "11-12"),  # 11 counts as either
        ({10: 0.0, 11: 0.2, 12: 0.8, 13: 1.0}, "11-13"),
        ({12: 1.0, 13: 1.0}, "...-12"),  # nothing smaller was tried
        ({12: 0.0, 13: 0.4}, "13-..."),
        ({1: 1.0}, "1"),
        ({}, "?"),
    ],
)
def test_the_needed_size_is_a_range(tried: dict[int, float], said: str) -> None:
    """From the smallest size that may be enough to the smallest that surely is."""
    assert str(needed(tried)) == said


@pytest.mark.parametrize(
    ("size", "tried", "within"),
    [
        (12, {10: 0.0, 11: 0.0, 12: 1.0}, True),  # exactly
        (12, {10: 0.0, 11: 1.0, 12: 1.0}, True),  # one more
        (12, {10: 0.4, 11: 1.0, 12: 1.0}, True),  # 10 may be too small, so 11 may be needed
        (12, {10: 1.0, 11: 1.0, 12: 1.0}, False),  # two more than enough
        (12, {10: 0.0, 11: 0.0, 12: 0.2}, True),  # at the edge
        (12, {10: 0.0, 11: 0.0, 12: 0.0}, False),  # below
        (33, {29: 0.8, 33: 1.0}, True),  # 30 may be needed: 10 % more
        (33, {29: 1.0, 33: 1.0}, False),
        (1, {1: 1.0}, True),
    ],
)
def test_a_tenth_or_one_connection_more_is_near_enough(
    size: int, tried: dict[int, float], within: bool
) -> None:
    """Never less than what may be enough."""
    assert is_within(size, tried) is within
    if tried[size] == 0.0:
        assert needed(tried).is_below(size, tried)


@pytest.mark.parametrize(("size", "limit"), [(1, 0), (2, 0), (3, 1), (12, 10), (22, 19), (33, 29)])
def test_one_size_decides_whether_a_recommendation_is_too_large(size: int, limit: int) -> None:
    """If it surely passes, the needed size is more than a tenth (and more than one) below."""
    assert decisive(size) == limit


def test_the_search_is_bounded_both_ways() -> None:
    """Its neighbours first, then up until a size surely passes or down until two fail."""
    assert [next_size(12, dict.fromkeys(done, 1.0), 64) for done in ([], [12], [12, 11])] == [
        12,
        11,
        10,
    ]
    assert next_size(12, {12: 0.2, 11: 0.0, 10: 0.0}, 64) == 13
    assert next_size(12, {12: 0.2, 11: 0.0, 10: 0.0}, 12) is None
    assert next_size(12, {12: 1.0, 11: 0.6, 10: 0.0}, 64) == 9
    assert next_size(12, {12: 1.0, 11: 0.0, 10: 0.0}, 64) is None


def test_a_hopeless_size_is_not_repeated_for_ever() -> None:
    """Three repeats at more than twice the allowance and none below."""
    assert is_clear([0.03, 0.05, 0.021], 0.01)
    assert not is_clear([0.03, 0.05], 0.01)
    assert not is_clear([0.03, 0.05, 0.015], 0.01)
