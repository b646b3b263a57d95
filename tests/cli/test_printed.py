"""Tables in few columns: whole words, lines that fit, and blocks where nothing else does."""

from __future__ import annotations

import pytest

from poolkit.cli.printed import laid_out, wrap

NAMES = ("target", "size", "verdict", "p99 wait", "because")
ROWS = (
    ("a", "14", "server bound", "6.1 ms", "throughput stays at 785 calls/s from 13 connections"),
    ("orders-api-of-the-north-and-the-south", "8 or 25", "not pushed", "604/s, in doubt", "–"),
)
NUMERIC = frozenset({1, 3})


def shown(width: int, rows: tuple[tuple[str, ...], ...] = ROWS) -> list[str]:
    return [line.text for line in laid_out(NAMES, rows, width, numeric=NUMERIC)]


@pytest.mark.parametrize("width", [1, 20, 30, 40, 50, 60, 70, 80, 100, 120, 400])
def test_every_word_is_whole_at_every_width(width: int) -> None:
    """Only a word that is longer than the line passes its end."""
    lines = shown(width)
    words = {word for row in ROWS for cell in row for word in cell.split(" ")}
    printed = {word for line in lines for word in line.split()}
    assert words <= printed
    assert all(len(line) <= width or " " not in line.strip() for line in lines) or width < 40
    assert all(line == line.rstrip() for line in lines)


def test_where_there_is_room_each_row_is_a_line() -> None:
    """Figures to the right, no spaces at the ends."""
    assert shown(200, ROWS[:1]) == [
        "target  size  verdict       p99 wait  because",
        "─" * 89,
        "a         14  server bound    6.1 ms  throughput stays at 785 calls/s from 13 connections",
    ]


def test_text_wraps_before_figures_do() -> None:
    """The longest column gives way; names and figures stay on their line."""
    assert shown(66, ROWS[:1])[2:] == [
        "a         14  server bound    6.1 ms  throughput stays at 785",
        "                                      calls/s from 13 connections",
    ]


def test_a_long_name_stands_above_its_row() -> None:
    """And costs the other rows nothing."""
    assert shown(70)[2:] == [
        "a              14  server bound           6.1 ms  throughput stays at",
        "                                                  785 calls/s from 13",
        "                                                  connections",
        "orders-api-of-the-north-and-the-south",
        "          8 or 25  not pushed    604/s, in doubt  –",
    ]


def test_what_does_not_fit_side_by_side_becomes_a_block_a_row() -> None:
    """One cell a line under its name, wrapped between words."""
    assert shown(36, ROWS[:1]) == [
        "target a",
        "  size      14",
        "  verdict   server bound",
        "  p99 wait  6.1 ms",
        "  because   throughput stays at 785",
        "            calls/s from 13",
        "            connections",
    ]


def test_wrapped_text_keeps_paragraphs_and_long_words() -> None:
    """A path can be copied, whatever the width."""
    path = "/very/long/path/that-is-longer-than-the-line"
    assert wrap(f"written: {path}\n\nend", 20, "  ") == ["written:", f"  {path}", "", "end"]
