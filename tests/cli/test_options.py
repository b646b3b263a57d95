"""What the options take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.cli.options import checked_sizes
from poolkit.errors import BadInput


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        (None, ()),
        ("1", (1,)),
        ("64", (64,)),  # exactly max_size
        (" 4, 2 ,2,1 ", (1, 2, 4)),
    ],
)
def test_sizes_are_whole_numbers_each_once(text: str | None, sizes: tuple[int, ...]) -> None:
    """In order, whatever order they are written in."""
    assert checked_sizes(text, 64) == sizes


@given(st.text(alphabet="0123456789,. -+e٣²", max_size=12))
def test_any_other_text_is_refused_or_within_range(text: str) -> None:
    """No text gets past the check as a size out of range, nor as another error."""
    try:
        sizes = checked_sizes(text, 64)
    except BadInput:
        return
    assert sizes
    assert all(1 <= size <= 64 for size in sizes)
